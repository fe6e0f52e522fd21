"""Verbs that move latents keep them on the sphere that a spherical model was trained on."""

import math

import pytest
import torch

from tests.tiny import (
    DECODER_SETTINGS,
    ENCODER_SETTINGS,
    LATENT,
    SENTENCES,
    stirred,
    tiny_tokenizer,
)
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel
from textvae.model.priors import PRIORS
from textvae.model.priors.uniform_sphere import UniformSphere, UniformSphereSettings
from textvae.vae import TextVAE

A, B, C = SENTENCES[:3]
LABELS = ["one", "two"] * 3

VERBS = {
    "edit": lambda vae: vae.edit(SENTENCES, vae.fit_attribute(SENTENCES, LABELS), strength=2),
    "analogy": lambda vae: vae.analogy(A, B, C, strength=2),
    "traverse": lambda vae: vae.traverse(A, 0, steps=3, unit="prior"),
    "a linear path": lambda vae: vae.interpolate(A, B, steps=3),
    "a spherical path": lambda vae: vae.interpolate(A, B, steps=3, path="spherical"),
    "augment": lambda vae: vae.augment(SENTENCES, LABELS, n=1, rounds=1, spread=2),
}


@pytest.fixture
def spherical_vae():
    """A tiny model with a von Mises-Fisher posterior."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    config = TextVAEConfig(
        latent_dim=LATENT,
        vocab_size=len(tokenizer),
        encoder_vocab_size=len(tokenizer),
        encoder_settings=ENCODER_SETTINGS["lstm"],
        decoder_settings=DECODER_SETTINGS["lstm"],
        posterior_settings={"kind": "von_mises_fisher"},
        prior_settings={"kind": "uniform_sphere"},
        conditioning=["output"],
    )
    return TextVAE(stirred(TextVAEModel(config)), tokenizer)


def generate_from_fitted_prior(vae, folder):
    """Generate from a mixture of Gaussians in all of space."""
    vae.save_pretrained(folder)
    vae.folder = folder
    vae.fit_prior("gaussian_mixture", SENTENCES * 20)
    vae.generate(6, prior="gaussian_mixture", seed=1)


@pytest.mark.parametrize("verb", [*VERBS, "a fitted prior"])
def test_decoded_latents_are_on_the_sphere(spherical_vae, monkeypatch, tmp_path, verb):
    """The decoder has seen no other latents, and their norm would be far from them."""
    decoded = []
    generate = spherical_vae.model.generate

    def record(**inputs):
        decoded.append(inputs["latent"])
        return generate(**inputs)

    monkeypatch.setattr(spherical_vae.model, "generate", record)
    if verb == "a fitted prior":
        generate_from_fitted_prior(spherical_vae, tmp_path)
    else:
        VERBS[verb](spherical_vae)
    norms = torch.cat(decoded).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, math.sqrt(LATENT)))


def test_projection_moves_no_latent_of_the_sphere():
    """It is idempotent, and the prior's own samples stay where they are."""
    prior = UniformSphere(UniformSphereSettings(), LATENT)
    z = prior.sample(5)
    torch.testing.assert_close(prior.project(z), z)
    torch.testing.assert_close(prior.project(3 * z), z)


def test_projection_is_nothing_where_a_prior_covers_all_of_space():
    """The method of the base class returns z itself."""
    z = torch.ones(2, LATENT)
    prior = PRIORS["standard_normal"]
    assert prior(prior.Settings(kind="standard_normal"), LATENT).project(z) is z
