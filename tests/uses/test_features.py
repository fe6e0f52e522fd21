"""Features: one row per text, whatever the batch."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, tiny_tokenizer
from tests.tiny_run import train_tiny
from textvae.errors import ConfigError
from textvae.model.building import build_model
from textvae.settings.reading import read_settings
from textvae.uses.features import FEATURES

SHORT = {"steps": 1, "evaluations": 1, "warmup_steps": 0}
PLAIN = {"techniques": {"target_kl": "off", "unit_floor": "off"}}


@pytest.mark.parametrize("kind", FEATURES)
def test_features_do_not_depend_on_the_batch(vae, kind):
    """Rows keep the order of the texts and have the stated width; no texts give no rows."""
    rows = vae.features(SENTENCES, kind)
    assert rows.shape == (len(SENTENCES), FEATURES[kind].width(vae.model))
    np.testing.assert_allclose(vae.features(SENTENCES, kind, batch_size=2), rows, atol=1e-5)
    one_by_one = np.concatenate([vae.features(text, kind) for text in SENTENCES])
    np.testing.assert_allclose(one_by_one, rows, atol=1e-5)
    assert vae.features([], kind).shape == (0, rows.shape[1])


def test_the_mean_is_what_encode_returns_and_a_map_of_the_states(lstm):
    """Each kind contains the information of the kind before it."""
    q = lstm.posterior(SENTENCES)
    np.testing.assert_allclose(lstm.features(SENTENCES, "mean"), lstm.encode(SENTENCES), atol=1e-6)
    np.testing.assert_allclose(
        lstm.features(SENTENCES, "gaussian"), torch.cat([q.mean, q.logvar], 1), atol=1e-6
    )
    states = torch.from_numpy(lstm.features(SENTENCES))
    torch.testing.assert_close(lstm.model.posterior.mean(states), q.mean)


def test_features_that_a_model_does_not_have_are_refused(lstm, tmp_path):
    """An unknown kind, a posterior without variance, or a language model."""
    with pytest.raises(ConfigError, match="features = 'means' is unknown: did you mean 'mean'"):
        lstm.features("a man", "means")
    point = train_tiny(
        tmp_path / "point", model={"posterior": "deterministic"}, objective=PLAIN, training=SHORT
    )
    with pytest.raises(ConfigError, match="has no log-variance; choose mean or states"):
        point.features("a man", "gaussian")
    language_model = train_tiny(tmp_path / "lm", objective="language_model", training=SHORT)
    with pytest.raises(ConfigError, match="has no latent to encode"):
        language_model.features("a man", "states")


def test_the_page_states_the_widths_of_the_default_recipe():
    """They are in its table, and in the example for two texts."""
    settings = read_settings()
    model = build_model(settings.model, tiny_tokenizer())
    page = (Path(__file__).parents[2] / "docs/uses/features.md").read_text(encoding="utf-8")
    stated = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([\d,]+) \|$", page, re.MULTILINE)
    widths = {kind: FEATURES[kind].width(model) for kind, _ in stated}
    assert widths.keys() == FEATURES.keys()
    assert dict(stated) == {kind: f"{width:,}" for kind, width in widths.items()}
    assert f"the encoder's states: (2, {widths['states']})" in page
    assert f'"mean")  # (2, {widths["mean"]})' in page
