"""Refined latents: they explain their own sentence better, and only their own."""

import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae.errors import ConfigError
from textvae.inference.encode import posterior, tokenize_and_truncate
from textvae.inference.refine import PRIOR_SHARE, refine_means

STEPS = 20


@pytest.fixture(scope="module")
def bundle():
    return tiny_vae().bundle


@pytest.fixture(scope="module")
def means(bundle):
    return posterior(bundle, SENTENCES).mean


def cost(bundle, texts, z):
    """Return what the steps lower, for each text."""
    batch = bundle.make_batch(tokenize_and_truncate(bundle, texts))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        nll = bundle.model(**inputs, latent=z).sentence_reconstruction
    return nll + PRIOR_SHARE * 0.5 * z.square().sum(1)


def test_the_steps_lower_the_cost_of_every_sentence(bundle, means):
    """The sentences differ in length, and the batch is padded."""
    before = means.clone()
    refined = refine_means(bundle, SENTENCES, means, STEPS)
    assert (cost(bundle, SENTENCES, refined) < cost(bundle, SENTENCES, means)).all()
    torch.testing.assert_close(means, before, rtol=0, atol=0)


def test_a_sentence_does_not_depend_on_the_others(bundle, means):
    """Neither on their number, nor on their lengths or order."""
    together = refine_means(bundle, SENTENCES, means, STEPS)
    reversed_order = refine_means(bundle, SENTENCES[::-1], means.flip(0), STEPS).flip(0)
    torch.testing.assert_close(together, reversed_order)
    for row, text in enumerate(SENTENCES):
        alone = refine_means(bundle, [text], means[row : row + 1], STEPS)
        torch.testing.assert_close(alone[0], together[row], rtol=1e-3, atol=1e-3)


def test_no_step_changes_nothing_and_the_weights_get_no_gradient(bundle, means):
    """The steps train z alone."""
    assert refine_means(bundle, SENTENCES, means, 0) is means
    refine_means(bundle, SENTENCES, means, 2)
    assert all(weights.grad is None for weights in bundle.model.parameters())


def test_the_steps_are_offered_by_reconstruct_edit_and_analogy():
    """Without steps, the texts are those of the posterior means."""
    vae = tiny_vae()
    texts = list(SENTENCES)
    assert vae.reconstruct(texts, refine=0) == vae.reconstruct(texts)
    z = refine_means(vae.bundle, texts, posterior(vae.bundle, texts).mean, STEPS)
    assert vae.reconstruct(texts, refine=STEPS) == vae.decode(z.numpy())
    assert vae.analogy(texts[0], texts[0], texts[1], refine=STEPS) == vae.decode(z[1:2].numpy())[0]


@pytest.mark.parametrize("steps", [-1, 10**9, 1.5, "many"])
def test_a_number_of_steps_that_makes_no_sense_is_refused(steps):
    """The message names the option."""
    with pytest.raises(ConfigError, match=r"reconstruct\.refine"):
        tiny_vae().reconstruct("a man .", refine=steps)


def test_latents_on_a_sphere_are_refused(bundle, means, monkeypatch):
    """A step would leave the sphere."""
    distribution = type(bundle.model.posterior).distribution
    monkeypatch.setattr(distribution, "is_spherical", True)
    with pytest.raises(ConfigError, match="on a sphere"):
        refine_means(bundle, SENTENCES, means, 1)
