"""The fused projection equals torch's linear layer and cross-entropy, values and gradients."""

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from tests.tiny import draws
from textvae.model.kernels import fused_nll as projection
from textvae.model.kernels.fused_nll import token_nll

SIZE, VOCAB = 6, 11
CHUNK = 8


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Let a handful of rows span several chunks."""
    monkeypatch.setattr(projection, "TRAINING_CHUNK_SCORES", CHUNK * VOCAB)


def problem(rows: int, dtype: torch.dtype = torch.float32):
    """Return states, weight and bias that ask for gradients, targets, and a scale."""
    tensors = [draws(rows, SIZE), draws(VOCAB, SIZE, seed=1), draws(VOCAB, seed=2)]
    states, weight, bias = (tensor.to(dtype).requires_grad_() for tensor in tensors)
    targets = torch.randint(VOCAB, (rows,), generator=torch.Generator().manual_seed(3))
    return states, weight, bias, targets, 0.37


def reference(states, weight, bias, targets, scale):
    nll = cross_entropy(linear(states, weight, bias).float(), targets, reduction="none")
    return (nll * scale).sum(), nll


def gradients(function, states, weight, bias, targets, scale, upstream=1.0):
    leaves = [tensor.detach().requires_grad_() for tensor in (states, weight, bias)]
    (upstream * function(*leaves, targets, scale)[0]).backward()
    return [leaf.grad for leaf in leaves]


ROWS = [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]


@pytest.mark.parametrize("rows", ROWS)
def test_the_fused_loss_equals_cross_entropy_at_every_chunk_boundary(rows):
    """The weighted sum and every row's own."""
    given = problem(rows)
    for fused, plain in zip(token_nll(*given), reference(*given), strict=True):
        torch.testing.assert_close(fused, plain)


@pytest.mark.parametrize("rows", ROWS)
def test_all_gradients_equal_those_of_cross_entropy(rows):
    """Of states, weight and bias, scaled by what comes from upstream."""
    given = problem(rows)
    for fused, plain in zip(
        gradients(token_nll, *given, 0.3), gradients(reference, *given, 0.3), strict=True
    ):
        torch.testing.assert_close(fused, plain)


def test_without_gradients_the_values_are_the_same():
    """Measuring and training agree."""
    given = problem(3 * CHUNK + 5)
    with torch.no_grad():
        measured = token_nll(*given)
    for trained, value in zip(token_nll(*given), measured, strict=True):
        torch.testing.assert_close(trained, value)


def test_a_row_its_own_nll_carries_no_gradient():
    """Only the weighted sum does."""
    total, nll = token_nll(*problem(CHUNK))
    assert total.requires_grad
    assert not nll.requires_grad


def test_the_gradients_agree_with_finite_differences():
    """In double precision, along a random direction of all inputs."""
    states, weight, bias, targets, scale = problem(CHUNK + 3, torch.float64)
    found = gradients(token_nll, states, weight, bias, targets, scale)
    directions = [
        draws(*tensor.shape, seed=9 + place).double()
        for place, tensor in enumerate((states, weight, bias))
    ]
    width = 1e-3
    with torch.no_grad():
        ahead, behind = (
            reference(
                *(
                    tensor + sign * width * way
                    for tensor, way in zip((states, weight, bias), directions, strict=True)
                ),
                targets,
                scale,
            )[0]
            for sign in (1, -1)
        )
    slope = sum(
        float((gradient * way).sum()) for gradient, way in zip(found, directions, strict=True)
    )
    assert slope == pytest.approx(float(ahead - behind) / (2 * width), rel=1e-3)


@pytest.mark.parametrize("rows", [CHUNK - 1, 3 * CHUNK + 5])
def test_under_bf16_autocast_values_and_gradients_stay_near_single_precision(rows):
    """Within the seven bits bf16 keeps; gradients come back in the weights' own precision."""
    given = problem(rows)
    exact, exact_gradients = reference(*given), gradients(reference, *given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, nll = token_nll(*given)
        found = gradients(token_nll, *given)
    assert total.dtype == nll.dtype == torch.float32
    torch.testing.assert_close(total, exact[0], rtol=0.02, atol=0.02)
    torch.testing.assert_close(nll, exact[1], rtol=0.05, atol=0.1)
    for fused, plain in zip(found, exact_gradients, strict=True):
        assert fused.dtype == torch.float32
        assert (fused - plain).norm() < 0.03 * plain.norm()


def test_a_word_that_seems_impossible_costs_what_cross_entropy_says():
    """An NLL of a hundred nats is not cut off in training."""
    states, weight, bias, targets, scale = problem(4)
    given = (30 * states.detach(), weight, bias, targets, scale)
    assert reference(*given)[1].max() > 80
    torch.testing.assert_close(token_nll(*given)[1], reference(*given)[1])


@pytest.mark.parametrize("is_training", [True, False])
def test_no_row_at_all_costs_nothing(is_training):
    """With gradients as without."""
    with torch.set_grad_enabled(is_training):
        total, nll = token_nll(*problem(0))
    assert total.item() == 0
    assert nll.shape == (0,)


@pytest.mark.parametrize("rows", ROWS)
def test_the_chunks_cover_every_row_once_and_stay_within_their_size(rows):
    """In order, the scores of each no more than are wanted at once."""
    cut = projection.split_rows(
        rows, projection.rows_per_chunk(torch.empty(VOCAB, 1), projection.TRAINING_CHUNK_SCORES)
    )
    assert [row for chunk in cut for row in range(rows)[chunk]] == list(range(rows))
    assert all(len(range(rows)[chunk]) <= CHUNK for chunk in cut)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_is_given_the_same_likelihood(dtype):
    """What it works out is what the CPU does, and cross-entropy in single precision."""
    torch.manual_seed(0)
    scores, targets = (8 * torch.randn(40, VOCAB)).to(dtype), torch.randint(VOCAB, (40,))
    expected = cross_entropy(scores.float(), targets, reduction="none")
    torch.testing.assert_close(projection.nll_on_gpu(scores, targets), expected)
    nll, chance = projection.approximate_nll(scores, targets, torch.empty_like(scores))
    torch.testing.assert_close(nll, expected, atol=0.01, rtol=0.01)
    torch.testing.assert_close(chance, torch.exp(-expected), atol=0.01, rtol=0.01)
