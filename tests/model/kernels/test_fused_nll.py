"""The fused projection equals torch's linear layer and cross-entropy, in values and gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from tests.tiny import draws
from textvae.model.kernels import fused_nll
from textvae.model.kernels.fused_nll import token_nll

SIZE = 6
VOCAB = 11
CHUNK = 8  # rows
Problem = tuple[Tensor, Tensor, Tensor, Tensor, float]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make chunks so small that a handful of rows spans several."""
    monkeypatch.setattr(fused_nll, "TRAINING_CHUNK_SCORES", CHUNK * VOCAB)


def problem(rows: int, dtype: torch.dtype = torch.float32) -> Problem:
    """Return states, weight and bias that require gradients, targets, and a scale."""
    tensors = [draws(rows, SIZE), draws(VOCAB, SIZE, seed=1), draws(VOCAB, seed=2)]
    states, weight, bias = [tensor.to(dtype).requires_grad_() for tensor in tensors]
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
    """Both the scaled sum and the NLL of every row are equal."""
    inputs = problem(rows)
    for fused, plain in zip(token_nll(*inputs), reference(*inputs), strict=True):
        torch.testing.assert_close(fused, plain)


@pytest.mark.parametrize("rows", ROWS)
def test_all_gradients_equal_those_of_cross_entropy(rows):
    """The gradients are those of states, weight and bias, with an upstream gradient of 0.3."""
    inputs = problem(rows)
    fused_gradients = gradients(token_nll, *inputs, upstream=0.3)
    plain_gradients = gradients(reference, *inputs, upstream=0.3)
    for fused, plain in zip(fused_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(fused, plain)


def test_without_gradients_the_values_are_the_same():
    """Evaluation and training use different code, which must agree."""
    inputs = problem(3 * CHUNK + 5)
    with torch.no_grad():
        in_evaluation = token_nll(*inputs)
    in_training = token_nll(*inputs)
    for value, expected in zip(in_evaluation, in_training, strict=True):
        torch.testing.assert_close(value, expected)


def test_only_the_sum_carries_a_gradient():
    """The NLL of each row is for reports only."""
    total, nll = token_nll(*problem(CHUNK))
    assert total.requires_grad
    assert not nll.requires_grad


def test_the_gradients_agree_with_finite_differences():
    """In double precision, the derivative along a random direction of all inputs is equal."""
    states, weight, bias, targets, scale = problem(CHUNK + 3, torch.float64)
    tensors = (states, weight, bias)
    directions = [
        draws(*tensor.shape, seed=9 + number).double() for number, tensor in enumerate(tensors)
    ]
    slope = 0.0
    found = gradients(token_nll, states, weight, bias, targets, scale)
    for gradient, direction in zip(found, directions, strict=True):
        slope += float((gradient * direction).sum())

    def value_at(step: float) -> float:
        pairs = zip(tensors, directions, strict=True)
        states, weight, bias = [tensor + step * direction for tensor, direction in pairs]
        return float(reference(states, weight, bias, targets, scale)[0])

    width = 1e-3
    with torch.no_grad():
        difference = value_at(width) - value_at(-width)
    assert slope == pytest.approx(difference / (2 * width), rel=1e-3)


@pytest.mark.parametrize("rows", [CHUNK - 1, 3 * CHUNK + 5])
def test_under_bf16_autocast_values_and_gradients_stay_near_single_precision(rows):
    """The difference is that of the seven stored bits of bf16; gradients have the weights' type."""
    inputs = problem(rows)
    exact_total, exact_nll = reference(*inputs)
    exact_gradients = gradients(reference, *inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, nll = token_nll(*inputs)
        fused_gradients = gradients(token_nll, *inputs)
    assert total.dtype == nll.dtype == torch.float32
    torch.testing.assert_close(total, exact_total, rtol=0.02, atol=0.02)
    torch.testing.assert_close(nll, exact_nll, rtol=0.05, atol=0.1)
    for fused, plain in zip(fused_gradients, exact_gradients, strict=True):
        assert fused.dtype == torch.float32
        assert (fused - plain).norm() < 0.03 * plain.norm()


def test_a_word_of_probability_near_0_has_the_nll_of_cross_entropy():
    """An NLL of a hundred nats, whose probability underflows, is exact in training."""
    states, weight, bias, targets, scale = problem(4)
    inputs = (30 * states.detach(), weight, bias, targets, scale)
    _, expected = reference(*inputs)
    assert expected.max() > 80
    torch.testing.assert_close(token_nll(*inputs)[1], expected)


@pytest.mark.parametrize("is_training", [True, False])
def test_the_loss_of_no_rows_is_0(is_training):
    """It is 0 with and without gradients."""
    with torch.set_grad_enabled(is_training):
        total, nll = token_nll(*problem(0))
    assert total.item() == 0
    assert nll.shape == (0,)


@pytest.mark.parametrize("rows", ROWS)
def test_the_chunks_cover_every_row_once_and_stay_within_their_size(rows):
    """The chunks come in order, and none has more scores than the setting says."""
    size = fused_nll.rows_per_chunk(torch.empty(VOCAB, 1), fused_nll.TRAINING_CHUNK_SCORES)
    chunks = [list(range(rows)[chunk]) for chunk in fused_nll.split_rows(rows, size)]
    assert [row for chunk in chunks for row in chunk] == list(range(rows))
    assert all(len(chunk) <= CHUNK for chunk in chunks)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_computes_the_same_likelihood(dtype):
    """Its formula and that of the CPU both equal cross-entropy in single precision."""
    torch.manual_seed(0)
    scores = (8 * torch.randn(40, VOCAB)).to(dtype)
    targets = torch.randint(VOCAB, (40,))
    expected = cross_entropy(scores.float(), targets, reduction="none")
    torch.testing.assert_close(fused_nll.nll_on_gpu(scores, targets), expected)
    nll, probability = fused_nll.approximate_nll(scores, targets, torch.empty_like(scores))
    torch.testing.assert_close(nll, expected, atol=0.01, rtol=0.01)
    torch.testing.assert_close(probability, torch.exp(-expected), atol=0.01, rtol=0.01)
