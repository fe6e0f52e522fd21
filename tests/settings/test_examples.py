"""The example configs: each is a set of settings that fit, with a header that says how to use it."""

import pytest

from textvae.settings.examples import list_examples
from textvae.settings.reading import read_settings

EXAMPLES = list_examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_by_its_name(name):
    """Its header has a command that trains with it."""
    read_settings(name)
    header = EXAMPLES[name].read_text(encoding="utf-8")
    ways = (f"--config configs/{name}.yaml", f"compare configs/{name.partition('/')[0]}/*.yaml")
    assert any(way in header for way in ways)


def test_an_unfrozen_language_model_is_compared_with_itself_without_a_latent():
    """Decoder and schedule are those of the model that it is the baseline of."""
    model, baseline = (
        read_settings(f"ptb/{name}") for name in ("pretrained", "pretrained_language_model")
    )
    assert baseline.objective.kind == "language_model"
    assert baseline.model.decoder == model.model.decoder
    assert baseline.training == model.training
