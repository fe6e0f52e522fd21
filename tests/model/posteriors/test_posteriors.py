"""Posteriors, pooling and the diagonal Gaussian."""

import pytest
import torch
from torch.distributions import Independent, Normal

from tests.tiny import ENCODER_SETTINGS, LATENT, VOCAB, built, draws, small, tiny_batch
from textvae.errors import ConfigError, ShapeError
from textvae.model.encoders import ENCODERS
from textvae.model.posteriors import POSTERIORS, DiagonalGaussian
from textvae.model.posteriors.pooling import POOLINGS

HIDDEN = 6
MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]).bool()
POOLING_SETTINGS = [("mean",), ("max",), ("last",), ("mean", "max", "last")]
POSTERIOR_POOLINGS = [(kind, pooling) for kind in POSTERIORS for pooling in POOLING_SETTINGS]


def posterior(kind: str, **more):
    torch.manual_seed(0)
    return built(POSTERIORS, small(POSTERIORS, kind, **more), HIDDEN, LATENT, True)


@pytest.mark.parametrize(("kind", "pooling"), POSTERIOR_POOLINGS)
def test_padding_never_reaches_the_posterior(kind, pooling):
    """Other states under the padding do not change q(z | x)."""
    part = posterior(kind, pooling=pooling)
    states = draws(3, 5, HIDDEN)
    noisy = states.masked_fill(~MASK.unsqueeze(-1), 99.0)
    torch.testing.assert_close(part(noisy, MASK).tensors, part(states, MASK).tensors)


@pytest.mark.parametrize(("kind", "pooling"), POSTERIOR_POOLINGS)
def test_more_padding_changes_no_posterior(kind, pooling):
    """Two more columns of padding do not change q(z | x)."""
    part = posterior(kind, pooling=pooling)
    states = draws(3, 5, HIDDEN)
    wide = torch.cat([states, torch.full((3, 2, HIDDEN), -50.0)], dim=1)
    wide_mask = torch.cat([MASK, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(part(wide, wide_mask).tensors, part(states, MASK).tensors)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_posterior_returns_one_distribution_per_sentence(kind):
    """Mean and samples are (batch, latent), in single precision whatever the type of the states."""
    q = posterior(kind)(draws(3, 5, HIDDEN).bfloat16(), MASK)
    assert isinstance(q, POSTERIORS[kind].distribution)
    assert q.mean.shape == q.sample().shape == (3, LATENT)
    assert {tensor.dtype for tensor in (q.sample(), *q.tensors.values())} == {torch.float32}


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_latent_too_small_is_refused(kind):
    """The message gives the smallest size that works."""
    smallest = POSTERIORS[kind].min_latent
    built(POSTERIORS, small(POSTERIORS, kind), HIDDEN, smallest, True)
    if smallest > 1:
        with pytest.raises(ConfigError, match=f"it needs at least {smallest}"):
            built(POSTERIORS, small(POSTERIORS, kind), HIDDEN, smallest - 1, True)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_mask_of_another_shape_is_refused(kind):
    """The message gives both shapes."""
    with pytest.raises(ShapeError, match=r"\(batch, length\) = \(3, 5\) but the mask is \(3, 4\)"):
        posterior(kind)(draws(3, 5, HIDDEN), MASK[:, :4])


def test_the_log_variance_stays_within_its_bound():
    """|logvar| is below the bound even for huge states, and linear in small ones."""
    part = posterior("gaussian", pooling=("mean",), logvar_bound=3.0)
    assert part(1e4 * draws(3, 5, HIDDEN), MASK).logvar.abs().max() <= 3.0
    small_states = 1e-3 * draws(3, 5, HIDDEN)
    part.logvar.bias.data.zero_()
    linear = part.logvar(POOLINGS["mean"](small_states, MASK, True))
    torch.testing.assert_close(part(small_states, MASK).logvar, linear, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("is_bidirectional", [True, False])
def test_the_last_state_is_where_each_direction_stops_reading(kind, is_bidirectional):
    """Pooling `last` returns the final states of both directions over each sentence alone."""
    torch.manual_seed(0)
    settings = {**ENCODER_SETTINGS[kind], "layers": 1, "bidirectional": is_bidirectional}
    encoder = built(ENCODERS, settings, VOCAB)
    batch = tiny_batch()
    is_real = batch["encoder_attention_mask"].bool()
    states = encoder(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    pooled = POOLINGS["last"](states, is_real, is_bidirectional)
    for number, row in enumerate(pooled):
        ids = batch["encoder_input_ids"][number, is_real[number]]
        embedded = encoder.embed(ids).unsqueeze(0)
        ends = [encoder.forwards[0](embedded)[0][0, -1]]
        if is_bidirectional:
            ends.append(encoder.backwards[0](embedded.flip(1))[0][0, -1])
        torch.testing.assert_close(row, torch.cat(ends))


def test_mean_and_max_pooling_equal_torch_over_the_real_states():
    """They equal `mean` and `amax` of each sentence alone, without its padding."""
    states = draws(3, 5, HIDDEN)
    for row in range(3):
        real = states[row, MASK[row]]
        torch.testing.assert_close(POOLINGS["mean"](states, MASK, True)[row], real.mean(0))
        torch.testing.assert_close(POOLINGS["max"](states, MASK, True)[row], real.amax(0))


def test_the_density_equals_that_of_torch():
    """It is equal for many samples per sentence, (samples, batch, latent)."""
    q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
    z = draws(5, 3, LATENT, seed=2)
    reference = Independent(Normal(q.mean, torch.exp(0.5 * q.logvar)), 1)
    torch.testing.assert_close(q.log_prob(z), reference.log_prob(z))


def test_samples_have_the_mean_and_the_variance_of_the_posterior():
    """Over many samples; they also carry a gradient to the variance."""
    mean = torch.tensor([[1.0, -2.0]])
    logvar = torch.tensor([[0.5, -1.0]], requires_grad=True)
    torch.manual_seed(0)
    z = DiagonalGaussian(mean.expand(20_000, -1), logvar.expand(20_000, -1)).sample()
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), logvar[0].exp(), atol=0.04, rtol=0)
    z.square().mean().backward()
    assert logvar.grad is not None
    assert (logvar.grad > 0).all()
