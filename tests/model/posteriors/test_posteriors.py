"""Posteriors, pooling and the Gaussian itself."""

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
POSTERIOR_POOLINGS = [
    (kind, pooling)
    for kind in POSTERIORS
    for pooling in (*((name,) for name in POOLINGS), tuple(POOLINGS))
]


def posterior(kind: str, **more):
    torch.manual_seed(0)
    return built(POSTERIORS, small(POSTERIORS, kind, **more), HIDDEN, LATENT, True)


@pytest.mark.parametrize(("kind", "pooling"), POSTERIOR_POOLINGS)
def test_padding_never_reaches_the_posterior(kind, pooling):
    """Changing what lies under the padding changes nothing."""
    part, states = posterior(kind, pooling=pooling), draws(3, 5, HIDDEN)
    noisy = states.masked_fill(~MASK.unsqueeze(-1), 99.0)
    torch.testing.assert_close(part(noisy, MASK).tensors, part(states, MASK).tensors)


@pytest.mark.parametrize(("kind", "pooling"), POSTERIOR_POOLINGS)
def test_more_padding_changes_no_posterior(kind, pooling):
    """Two more columns of padding leave q(z | x) as it is."""
    part, states = posterior(kind, pooling=pooling), draws(3, 5, HIDDEN)
    wide = torch.cat([states, torch.full((3, 2, HIDDEN), -50.0)], dim=1)
    wide_mask = torch.cat([MASK, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(part(wide, wide_mask).tensors, part(states, MASK).tensors)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_posterior_gives_one_distribution_of_the_latent_size_per_sentence(kind):
    """Of the kind it promises: mean and draws (batch, latent), in single precision whatever the states are."""
    q = posterior(kind)(draws(3, 5, HIDDEN).bfloat16(), MASK)
    assert isinstance(q, POSTERIORS[kind].distribution)
    assert q.mean.shape == q.sample().shape == (3, LATENT)
    assert {tensor.dtype for tensor in (q.sample(), *q.tensors.values())} == {torch.float32}


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_latent_too_small_is_refused(kind):
    """The message gives the smallest."""
    least = POSTERIORS[kind].min_latent
    built(POSTERIORS, small(POSTERIORS, kind), HIDDEN, least, True)
    if least > 1:
        with pytest.raises(ConfigError, match=f"it wants at least {least}"):
            built(POSTERIORS, small(POSTERIORS, kind), HIDDEN, least - 1, True)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_mask_of_another_shape_is_refused(kind):
    """The message gives both shapes."""
    with pytest.raises(ShapeError, match=r"\(batch, length\) = \(3, 5\) but the mask is \(3, 4\)"):
        posterior(kind)(draws(3, 5, HIDDEN), MASK[:, :4])


def test_the_log_variance_never_leaves_its_bound():
    """However large the states, |logvar| stays within the bound; near zero it is linear."""
    part = posterior("gaussian", pooling=("mean",), logvar_bound=3.0)
    assert part(1e4 * draws(3, 5, HIDDEN), MASK).logvar.abs().max() <= 3.0
    small_states = 1e-3 * draws(3, 5, HIDDEN)
    part.logvar.bias.data.zero_()
    linear = part.logvar(POOLINGS["mean"](small_states, MASK, True))
    torch.testing.assert_close(part(small_states, MASK).logvar, linear, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("is_bidirectional", [True, False])
def test_the_last_state_is_where_each_direction_stops_reading(kind, is_bidirectional):
    """Pooling `last` equals the final hidden states of both directions over each sentence alone."""
    torch.manual_seed(0)
    encoder = built(
        ENCODERS, {**ENCODER_SETTINGS[kind], "layers": 1, "bidirectional": is_bidirectional}, VOCAB
    )
    batch = tiny_batch()
    states = encoder(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    pooled = POOLINGS["last"](states, batch["encoder_attention_mask"].bool(), is_bidirectional)
    for row, ids, mask in zip(
        pooled, batch["encoder_input_ids"], batch["encoder_attention_mask"], strict=True
    ):
        embedded = encoder.embed(ids[mask.bool()]).unsqueeze(0)
        ends = [encoder.forwards[0](embedded)[0][0, -1]]
        if is_bidirectional:
            ends.append(encoder.backwards[0](embedded.flip(1))[0][0, -1])
        torch.testing.assert_close(row, torch.cat(ends))


def test_mean_and_max_pooling_equal_torch_over_the_real_states():
    """Sentence by sentence, without its padding."""
    states = draws(3, 5, HIDDEN)
    for row in range(3):
        real = states[row, MASK[row]]
        torch.testing.assert_close(POOLINGS["mean"](states, MASK, True)[row], real.mean(0))
        torch.testing.assert_close(POOLINGS["max"](states, MASK, True)[row], real.amax(0))


def test_the_density_equals_that_of_torch():
    """Also for many draws a sentence, (draws, batch, latent)."""
    q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
    z = draws(5, 3, LATENT, seed=2)
    reference = Independent(Normal(q.mean, torch.exp(0.5 * q.logvar)), 1)
    torch.testing.assert_close(q.log_prob(z), reference.log_prob(z))


def test_draws_have_the_mean_and_the_variance_of_the_posterior():
    """Over many draws, and differentiably."""
    mean, logvar = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -1.0]], requires_grad=True)
    torch.manual_seed(0)
    z = DiagonalGaussian(mean.expand(20_000, -1), logvar.expand(20_000, -1)).sample()
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), logvar[0].exp(), atol=0.04, rtol=0)
    z.square().mean().backward()
    assert (logvar.grad > 0).all()
