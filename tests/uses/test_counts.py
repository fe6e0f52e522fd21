"""Counts and seeds that cannot be used are refused in Python with our own error."""

import pytest

from tests.tiny import SENTENCES
from textvae.errors import ConfigError

LABELS = ["one", "two"] * 3
TEXT = SENTENCES[0]

COUNTS = {
    "generate": lambda vae, value: vae.generate(value),
    "complete": lambda vae, value: vae.complete("a man", n=value),
    "interpolate": lambda vae, value: vae.interpolate(TEXT, SENTENCES[1], steps=value),
    "traverse": lambda vae, value: vae.traverse(TEXT, 0, unit="prior", steps=value),
    "infill": lambda vae, value: vae.infill("a ___ .", n=value),
    "infill tokens": lambda vae, value: vae.infill("a ___ .", most_tokens=value),
    "infill latents": lambda vae, value: vae.infill("a ___ .", latents=value),
    "infill beams": lambda vae, value: vae.infill("a ___ .", beams=value),
    "neighbors": lambda vae, value: vae.neighbors(TEXT, k=value),
    "augment": lambda vae, value: vae.augment(SENTENCES, LABELS, n=value),
    "augment rounds": lambda vae, value: vae.augment(SENTENCES, LABELS, rounds=value),
    "fit_anomaly": lambda vae, value: vae.fit_anomaly(SENTENCES, draws=value),
    "score": lambda vae, value: vae.score(SENTENCES, samples=value),
    "uncertainty": lambda vae, value: vae.uncertainty(SENTENCES, draws=value),
    "evaluate": lambda vae, value: vae.evaluate(samples=value),
    "beams": lambda vae, value: vae.generate(1, num_beams=value),
    "length": lambda vae, value: vae.generate(1, max_new_tokens=value),
}

SIZES = {
    "posterior": lambda vae, value: vae.posterior(SENTENCES, batch_size=value),
    "encode": lambda vae, value: vae.encode(SENTENCES, batch_size=value),
    "features": lambda vae, value: vae.features(SENTENCES, batch_size=value),
    "decode": lambda vae, value: vae.decode([[0.0] * vae.latent_dim], batch_size=value),
    "reconstruct": lambda vae, value: vae.reconstruct(SENTENCES, batch_size=value),
    "generate": lambda vae, value: vae.generate(1, batch_size=value),
    "limit": lambda vae, value: vae.evaluate(limit=value),
}

SEEDS = {
    "generate": lambda vae, value: vae.generate(1, seed=value),
    "complete": lambda vae, value: vae.complete("a man", 1, seed=value),
    "decode": lambda vae, value: vae.decode([[0.0] * vae.latent_dim], seed=value),
    "infill": lambda vae, value: vae.infill("a ___ .", seed=value),
    "augment": lambda vae, value: vae.augment(SENTENCES, LABELS, seed=value),
    "fit_anomaly": lambda vae, value: vae.fit_anomaly(SENTENCES, seed=value),
    "fit_prior": lambda vae, value: vae.fit_prior(texts=SENTENCES, seed=value),
    "score": lambda vae, value: vae.score(SENTENCES, seed=value),
    "uncertainty": lambda vae, value: vae.uncertainty(SENTENCES, seed=value),
}


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "many", 10**30], ids=str)
@pytest.mark.parametrize("verb", COUNTS)
def test_a_count_that_is_no_count_is_refused(lstm, verb, value):
    """Zero, a negative number, a fraction, a truth value, a word, or more than fits into memory."""
    with pytest.raises(ConfigError, match=str(value)):
        COUNTS[verb](lstm, value)


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "many"], ids=str)
@pytest.mark.parametrize("verb", SIZES)
def test_a_size_that_is_no_count_is_refused(lstm, verb, value):
    """A batch size or a limit may be as large as one likes, because it is only an upper bound."""
    with pytest.raises(ConfigError, match=str(value)):
        SIZES[verb](lstm, value)


@pytest.mark.parametrize("value", [-1, 2**63, 1.5, True], ids=str)
@pytest.mark.parametrize("verb", SEEDS)
def test_a_seed_out_of_range_is_refused(lstm, verb, value):
    """The random generators take whole numbers from 0 to 2^63 - 1."""
    with pytest.raises(ConfigError, match=str(value)):
        SEEDS[verb](lstm, value)


@pytest.mark.parametrize("value", [-1, 1.0, True, "first"], ids=str)
def test_a_dimension_that_is_no_index_is_refused(lstm, value):
    """It is counted from 0."""
    with pytest.raises(ConfigError, match="dimension = "):
        lstm.traverse(TEXT, value, unit="prior")


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), 1e30, True, "far"], ids=str)
def test_a_strength_that_leaves_all_latents_behind_is_refused(lstm, strength):
    """Such a latent overflows in the decoder."""
    with pytest.raises(ConfigError, match=r"analogy\.strength"):
        lstm.analogy(*SENTENCES[:3], strength=strength)


@pytest.mark.parametrize("temperature", [0, 1e-300, float("inf"), float("nan")], ids=str)
def test_a_temperature_that_overflows_is_refused(lstm, temperature):
    """Logits are divided by it, in decoding and in infilling."""
    with pytest.raises(ConfigError, match="temperature"):
        lstm.generate(1, temperature=temperature)
    with pytest.raises(ConfigError, match="temperature"):
        lstm.infill("a ___ .", method="sampling", temperature=temperature)


def test_a_completion_ends_where_a_transformer_cannot_read_on(vae, monkeypatch):
    """By default a text may have as many tokens after its prefix as without one."""
    limit = vae.model.decoder.max_length
    if limit is None:
        return
    monkeypatch.setattr(vae.model.generation_config, "max_new_tokens", limit)
    prefix = " ".join(["dogs"] * 12)
    for seed in range(3):
        for text in vae.complete(prefix, 3, seed=seed, min_new_tokens=2):
            assert text.startswith(prefix)


def test_a_text_may_not_be_longer_than_a_transformer_can_read(vae):
    """A recurrent decoder has no such limit."""
    limit = vae.model.decoder.max_length
    if limit is None:
        assert vae.generate(1, max_new_tokens=60)
        return
    assert vae.generate(1, max_new_tokens=limit)
    with pytest.raises(ConfigError, match=f"positions for {limit} new tokens"):
        vae.generate(1, max_new_tokens=limit + 1)
    with pytest.raises(ConfigError, match=f"positions for {limit - 2} new tokens"):
        vae.complete("a man", 1, max_new_tokens=limit)
