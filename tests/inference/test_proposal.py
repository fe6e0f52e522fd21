"""The proposal with a fitted width: exact on a linear-Gaussian model, and on a tiny text model."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal

from tests.linear_gaussian import LATENT, LinearGaussian, build_inputs
from tests.tiny import draws, tiny_dataset, tiny_vae
from textvae.data.batching import select_decoder_inputs
from textvae.errors import ConfigError
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import MEASURES, MeasureSettings
from textvae.inference.likelihood import (
    iterate_weighted_samples,
    sample_log_weights,
    scale_width,
)
from textvae.inference.proposal import fit_width
from textvae.model.posteriors import DiagonalGaussian, VonMisesFisher

FITTED = MeasureSettings(fit_proposal=True)


def fit(model):
    inputs = build_inputs(model)
    return fit_width(inputs.bundle, inputs.dataset)


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.0, 1.4])
def test_the_fitted_width_is_that_of_the_true_posterior(spread):
    """A posterior with half of the right deviation gets a factor near 2."""
    torch.testing.assert_close(
        fit(LinearGaussian(n=100, spread=spread)),
        torch.full((LATENT,), 1 / spread, dtype=torch.float64),
        rtol=0.1,
        atol=0,
    )


def test_a_posterior_with_a_wrong_mean_is_widened():
    """The draws then have to reach the true posterior from the side."""
    assert (fit(LinearGaussian(n=100, shift=0.5)) > 1.1).all()


def test_the_fitted_proposal_is_tighter_and_still_an_upper_bound():
    """It gains more than half of the looseness of a posterior that is too narrow."""
    model = LinearGaussian(n=300, spread=0.5)
    inputs = build_inputs(model, samples=10)
    before = MEASURES["likelihood"](inputs)
    after = MEASURES["likelihood"](replace(inputs, settings=FITTED))
    truth = -model.log_evidence().mean().item()
    assert truth - 0.02 < after["iw_nll"] < truth + 0.5 * (before["iw_nll"] - truth)
    assert after["iw_ess_median"] > before["iw_ess_median"]
    assert after["iw_looseness"] < before["iw_looseness"]
    assert after["iw_width"] == pytest.approx(2, rel=0.1)
    assert before["iw_width"] == 1


def test_the_width_is_fitted_on_the_validation_sentences_if_there_are_any():
    """Other sentences give other draws, and so a slightly different width."""
    inputs = build_inputs(LinearGaussian(n=60, spread=0.6))
    inputs = replace(inputs, settings=FITTED)
    half = replace(inputs, validation=inputs.dataset.select(range(30)))
    width = inputs.proposal_width
    half_width = half.proposal_width
    assert width is not None
    assert half_width is not None
    assert not torch.equal(width, half_width)
    torch.testing.assert_close(width, half_width, rtol=0.2, atol=0)


def test_a_width_of_one_changes_nothing():
    """The sentences have unequal lengths; the draws are those of q."""
    bundle = tiny_vae().bundle
    batch = bundle.make_batch(tiny_dataset(bundle)["input_ids"])
    weights = []
    for width in (None, torch.ones(bundle.model.config.latent_dim, dtype=torch.float64)):
        torch.manual_seed(0)
        with torch.no_grad():
            weights.append(sample_log_weights(bundle, batch, 3, width))
    torch.testing.assert_close(weights[0], weights[1])


def test_the_width_of_each_dimension_is_scaled_by_its_own_factor():
    """The mean stays where it is."""
    before = DiagonalGaussian(draws(3, 2), draws(3, 2, seed=1))
    after = scale_width(before, torch.tensor([0.5, 3.0]))
    assert torch.equal(after.mean, before.mean)
    ratio = (0.5 * after.logvar).exp() / (0.5 * before.logvar).exp()
    torch.testing.assert_close(ratio, torch.tensor([[0.5, 3.0]]).expand(3, 2))


def test_a_text_model_is_evaluated_with_a_fitted_proposal():
    """The same twice; adaptive draws use the proposal too."""
    vae = tiny_vae()
    dataset = tiny_dataset(vae.bundle)
    settings = MeasureSettings(fit_proposal=True, adaptive=True)
    records = [
        evaluate(vae.bundle, dataset, 50, ["likelihood"], settings=settings) for _ in range(2)
    ]
    assert records[0] == records[1]
    assert records[0]["iw_width"] > 0


def test_another_posterior_is_refused_before_anything_is_measured():
    """The message says what to do instead."""
    inputs = build_inputs(LinearGaussian(n=5))
    outputs = replace(inputs.outputs, posterior=VonMisesFisher(inputs.outputs.mean, 5.0))
    with pytest.raises(ConfigError, match=r"fit_proposal = True needs a Gaussian posterior.*raise"):
        replace(inputs, outputs=outputs, settings=FITTED)


def test_weights_of_a_wider_proposal_are_those_of_each_sentence_alone():
    """The sentences have unequal lengths; the density is that of the wider Gaussian."""
    bundle = tiny_vae().bundle
    model = bundle.model
    rows = tiny_dataset(bundle)["input_ids"]
    batch = bundle.make_batch(rows)
    width = torch.tensor([0.7, 1.3, 1.0, 2.0])
    with torch.no_grad():
        q = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
        assert isinstance(q, DiagonalGaussian)
        portions = [*iterate_weighted_samples(model, scale_width(q, width), batch, 3)]
        z = torch.cat([part for part, _ in portions])
        together = torch.cat([part for _, part in portions])
        for row, ids in enumerate(rows):
            nll = [
                model(**select_decoder_inputs(bundle.make_batch([ids])), latent=z[k, [row]])
                for k in range(3)
            ]
            wide = Normal(q.mean[row], q.logvar[row].mul(0.5).exp() * width)
            prior = Normal(0.0, 1.0).log_prob(z[:, row]).sum(1)
            expected = prior - wide.log_prob(z[:, row]).sum(1)
            expected -= torch.cat([output.sentence_reconstruction for output in nll])
            # The normalizer of the softmax may be computed in bf16.
            torch.testing.assert_close(together[:, row].float(), expected, rtol=0, atol=0.3)
