"""Sentences near a sentence: distinct, nearest first, with the distance and the log-likelihood."""

import numpy as np
import pytest

from tests.tiny import SENTENCES, tiny_vae
from textvae.errors import ConfigError, DataError
from textvae.model.posteriors.deterministic import Point
from textvae.runtime.seeds import Stream, derive_seed
from textvae.uses import vary as module

TEXT = SENTENCES[0]
OPTIONS = {"spread": 4.0, "n": 4, "seed": 3}


def test_variations_are_distinct_and_sorted_by_their_distance(vae):
    """The text itself is not among them, and the seed decides which they are."""
    records = vae.vary(TEXT, **OPTIONS)
    texts = [record["text"] for record in records]
    assert 0 < len(texts) <= 4
    assert len(set(texts)) == len(texts)
    assert TEXT not in texts
    distances = [record["distance"] for record in records]
    assert distances == sorted(distances)
    assert vae.vary(f" {TEXT} ", **OPTIONS) == records


def test_distance_and_log_likelihood_are_those_of_the_other_methods(vae):
    """The distance is between posterior means, and the log-likelihood that of `score`."""
    for record in vae.vary(TEXT, **OPTIONS):
        difference = vae.encode([record["text"]]) - vae.encode([TEXT])
        assert record["distance"] == pytest.approx(float(np.linalg.norm(difference)), abs=1e-4)
        nll = vae.score([record["text"]], seed=3)[0]["iw_nll"]
        assert record["log_likelihood"] == pytest.approx(-nll, abs=1e-3)


@pytest.mark.parametrize("unit", ["posterior", "prior"])
def test_the_spread_is_the_standard_deviation_of_the_latents(lstm, monkeypatch, unit):
    """It is relative to the posterior of the text or to the prior."""
    seen = []

    def decode_nothing(_, z, *rest, **options):
        seen.append(z)
        return ["a"] * len(z)

    monkeypatch.setattr(module, "decode_latents", decode_nothing)
    lstm.vary(TEXT, n=4000, spread=0.5, unit=unit, rounds=1, seed=0)
    deviation = seen[0].std(0)
    q = lstm.posterior([TEXT])
    expected = 0.5 * (q.logvar[0] / 2).exp() if unit == "posterior" else 0.5
    assert deviation.tolist() == pytest.approx((deviation * 0 + expected).tolist(), rel=0.1)
    assert seen[0].mean(0).tolist() == pytest.approx(q.mean[0].tolist(), abs=0.1)


def test_a_posterior_without_width_needs_the_prior_as_unit(monkeypatch):
    """The message says so."""
    vae = tiny_vae()
    point = Point(vae.posterior([TEXT]).mean)
    monkeypatch.setattr(module, "posterior", lambda *_: point)
    with pytest.raises(ConfigError, match="choose unit = 'prior'"):
        vae.vary(TEXT)


def test_each_round_has_noise_of_its_own():
    """Otherwise a round would find the sentences of the one before."""
    assert derive_seed(0, Stream.VARIATIONS, 0) != derive_seed(0, Stream.VARIATIONS, 1)


WRONG = {
    "an unknown option": ({"sprad": 1}, "did you mean 'spread'"),
    "no spread": ({"spread": 0}, "spread = 0"),
    "an infinite spread": ({"spread": float("inf")}, "spread"),
    "an unknown unit": ({"unit": "posteriors"}, "unit"),
    "no texts": ({"n": 0}, "n = 0"),
    "several texts per latent": ({"num_return_sequences": 2, "temperature": 1.0}, "n says how"),
    "an option that cannot work": ({"use_cache": False}, "use_cache is not supported"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_refused(lstm, options, message):
    """The message names the option."""
    with pytest.raises(ConfigError, match=message):
        lstm.vary(TEXT, **options)


def test_a_blank_text_is_refused(lstm):
    """It has no neighbors."""
    with pytest.raises(DataError, match="blank"):
        lstm.vary(" ")
