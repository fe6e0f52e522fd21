"""The presets: what they ask for, and which corpora they do not fit."""

import pytest

from tests.tiny_run import SETTINGS, train_tiny, write_corpus
from textvae.errors import ConfigError
from textvae.settings.auto import resolve_auto
from textvae.settings.presets import read_preset
from textvae.settings.reading import read_settings


def resolve(tokens, **model):
    settings = read_settings(base=read_preset("faithful"), model=model)
    return resolve_auto(settings, tokens_per_sentence=tokens).objective.techniques


def test_the_faithful_preset_has_five_nats_for_each_token():
    """The floor of each dimension follows from the target."""
    techniques = resolve(12.1)
    assert techniques["target_kl"].nats == pytest.approx(60.5)
    assert techniques["unit_floor"].floor == pytest.approx(60.5 / 256 / 4, abs=1e-4)


@pytest.mark.parametrize(("tokens", "needed"), [(26, 260), (80, 800)])
def test_texts_too_long_for_the_latent_are_refused_with_what_they_would_take(tokens, needed):
    """With a latent of that size, they are accepted."""
    with pytest.raises(ConfigError, match=rf"{tokens} tokens on average.*latent_dim={needed}"):
        resolve(tokens)
    assert resolve(tokens, latent_dim=needed)["target_kl"].nats == needed / 2


def test_a_corpus_that_does_not_fit_leaves_no_run(tmp_path):
    """The refusal comes after the corpus was read, and before the run stands."""
    corpus = write_corpus(tmp_path)
    with pytest.raises(
        ConfigError, match=r"set objective\.techniques\.target_kl\.nats=2 for as many"
    ):
        train_tiny(
            tmp_path / "run",
            corpus=str(corpus),
            model={**SETTINGS["model"], "latent_dim": 4},
            objective={"techniques": {"target_kl": {"nats": "whole"}}},
        )
    assert [path.name for path in tmp_path.iterdir()] == [corpus.name]
