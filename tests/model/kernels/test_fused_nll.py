"""The fused projection equals torch's linear layer and cross-entropy, in values and gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from tests.tiny import draws
from textvae.model.kernels import fused_nll
from textvae.model.kernels.fused_nll import token_nll
from textvae.runtime.device import compute_dtype

SIZE = 6
VOCAB = 11
CHUNK = 8  # rows
Problem = tuple[Tensor, Tensor, Tensor, Tensor, float]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make chunks so small that a handful of rows spans several."""
    monkeypatch.setattr(fused_nll, "TRAINING_CHUNK_SCORES", CHUNK * VOCAB)
    monkeypatch.setattr(fused_nll, "_LEAST_TRAINING_ROWS", 1)


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


HEADS = [
    pytest.param(cap, has_bias, id=f"cap={cap}-{'bias' if has_bias else 'no_bias'}")
    for cap in (None, 1.5)
    for has_bias in (True, False)
]


def precise_reference(states, weight, bias, targets, scale, cap):
    """Return the scaled sum and each row's NLL, computed by torch in double precision."""
    scores = linear(states.double(), weight.double(), None if bias is None else bias.double())
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    nll = cross_entropy(scores, targets, reduction="none")
    return (nll * scale).sum(), nll


def head_gradients(function, leaves, frozen, *arguments, **options):
    """Return the gradients of states, weight and bias; None for what is frozen or absent."""
    copies = [None if leaf is None else leaf.detach().clone() for leaf in leaves]
    for number, copy in enumerate(copies):
        if copy is not None and number not in frozen:
            copy.requires_grad_()
    (0.25 * function(*copies, *arguments, **options)[0]).backward()
    return [None if copy is None else copy.grad for copy in copies]


@pytest.mark.parametrize("rows", [1, 3 * CHUNK + 5])
@pytest.mark.parametrize(("cap", "has_bias"), HEADS)
def test_values_equal_double_precision_with_and_without_cap_and_bias(rows, cap, has_bias):
    """It holds in training and in evaluation, for the sum and for each row."""
    states, weight, bias, targets, scale = problem(rows)
    inputs = (states, weight, bias if has_bias else None, targets, scale)
    expected = precise_reference(*inputs, cap)
    for is_training in (True, False):
        with torch.set_grad_enabled(is_training):
            found = token_nll(*inputs, cap=cap)
        for value, precise in zip(found, expected, strict=True):
            torch.testing.assert_close(value, precise.float())


@pytest.mark.parametrize("frozen", [(), (0,), (1,), (2,), (1, 2), (0, 1), (0, 2)], ids=str)
@pytest.mark.parametrize(("cap", "has_bias"), HEADS)
def test_gradients_equal_double_precision_and_frozen_tensors_get_none(frozen, cap, has_bias):
    """The numbers 0, 1 and 2 stand for frozen states, weight and bias."""
    if frozen == (0, 1) and not has_bias:
        frozen = (1,)  # otherwise nothing would require a gradient
    states, weight, bias, targets, scale = problem(3 * CHUNK + 5, torch.float64)
    leaves = (states, weight, bias if has_bias else None)
    found = head_gradients(token_nll, leaves, frozen, targets, scale, cap=cap)
    expected = head_gradients(precise_reference, leaves, frozen, targets, scale, cap)
    for number, (gradient, precise) in enumerate(zip(found, expected, strict=True)):
        assert (gradient is None) == (number in frozen or leaves[number] is None)
        torch.testing.assert_close(gradient, precise, rtol=1e-9, atol=1e-12)


def test_no_gradient_is_computed_where_nothing_requires_one():
    """The values are those of evaluation."""
    states, weight, bias, targets, scale = problem(2 * CHUNK)
    inputs = (states.detach(), weight.detach(), bias.detach(), targets, scale)
    total, nll = token_nll(*inputs, cap=1.5)
    assert not total.requires_grad
    torch.testing.assert_close(nll, precise_reference(*inputs, 1.5)[1].float())


@pytest.mark.parametrize(("cap", "has_bias"), HEADS)
def test_every_gradient_of_no_rows_is_0(cap, has_bias):
    """A batch that is all padding trains nothing and raises no error."""
    states, weight, bias, targets, scale = problem(0)
    leaves = (states, weight, bias if has_bias else None)
    found = head_gradients(token_nll, leaves, (), targets, scale, cap=cap)
    for gradient, leaf in zip(found, leaves, strict=True):
        if leaf is not None:
            assert torch.equal(gradient, torch.zeros_like(leaf))


@pytest.mark.parametrize(("cap", "has_bias"), HEADS)
def test_the_bf16_normalizer_is_corrected_exactly_for_the_target(cap, has_bias):
    """The NLL equals that of bf16 scores in which only the target's score is precise."""
    states, weight, bias, targets, _ = problem(3 * CHUNK + 5)
    states = 2 * states
    head = (weight, bias if has_bias else None)
    rough_head = (weight.bfloat16(), bias.bfloat16() if has_bias else None)
    with torch.no_grad():
        found = fused_nll.nll_without_grad(states, *head, targets, torch.bfloat16, cap=cap)
        rows = torch.arange(len(states))
        mixed = fused_nll.cap_logits(linear(states.bfloat16(), *rough_head), cap).double()
        exact = fused_nll.cap_logits(linear(states, *head), cap)
        mixed[rows, targets] = exact[rows, targets].double()
        expected = cross_entropy(mixed, targets, reduction="none")
        precise = cross_entropy(exact.double(), targets, reduction="none")
    # Rounding of the other scores remains; that of the target's score would be larger.
    torch.testing.assert_close(found.double(), expected, rtol=0.01, atol=0.01)
    torch.testing.assert_close(found.double(), precise, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("cap", [None, 1.5])
def test_under_autocast_a_frozen_head_without_bias_stays_near_single_precision(cap):
    """The gradient of the states has their own type."""
    states, weight, _, targets, scale = problem(3 * CHUNK + 5)
    leaves = (states, weight, None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head_gradients(token_nll, leaves, (1,), targets, scale, cap=cap)[0]
    expected = head_gradients(precise_reference, leaves, (1,), targets, scale, cap)[0]
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 0.03 * expected.norm()


def earlier_loss(states, weight, bias, targets, scale):
    """Return sum, rows' NLL and three gradients as the first version computed them."""
    dtype = compute_dtype(states)
    narrow_weight, narrow_bias = weight.to(dtype), bias.to(dtype)
    nll = torch.empty(len(states))
    d_states, d_bias, d_weight = torch.empty_like(states), torch.zeros_like(bias), None
    for chunk in fused_nll.split_rows(len(states), CHUNK):
        inputs = states[chunk].to(dtype)
        rows = torch.arange(len(inputs))
        probabilities = torch.softmax(torch.addmm(narrow_bias, inputs, narrow_weight.t()), -1)
        target_probability = probabilities[rows, targets[chunk]]
        nll[chunk] = -target_probability.float().clamp(min=1e-30).log()
        probabilities[rows, targets[chunk]] = target_probability - 1
        d_states[chunk] = torch.mm(probabilities, narrow_weight) * scale
        part = torch.mm(probabilities.t(), inputs * scale)
        d_weight = part.to(weight.dtype) if d_weight is None else d_weight + part
        d_bias += probabilities.sum(0) * scale
    return nll.sum() * scale, nll, d_states, d_weight, d_bias


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("rows", [CHUNK, 3 * CHUNK + 5])
def test_without_cap_and_with_bias_the_numbers_stay_bit_for_bit(rows, autocast):
    """Runs of earlier versions can be repeated: values and gradients are equal, not only close."""
    states, weight, bias, targets, scale = problem(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        total, nll = token_nll(states, weight, bias, targets, scale)
        total.backward()
        with torch.no_grad():
            expected = earlier_loss(states, weight, bias, targets, scale)
    found = (total, nll, states.grad, weight.grad, bias.grad)
    for value, earlier in zip(found, expected, strict=True):
        assert value is not None
        assert torch.equal(value, earlier)


def test_without_bias_chunks_have_many_rows_and_give_the_same_gradients(monkeypatch):
    """The numbers are the same when one chunk holds all rows."""
    states, weight, _, targets, scale = problem(3 * CHUNK + 5, torch.float64)
    found = []
    for least in (1, 256):
        monkeypatch.setattr(fused_nll, "_LEAST_TRAINING_ROWS", least)
        found.append(head_gradients(token_nll, (states, weight, None), (), targets, scale))
    for small, large in zip(*found, strict=True):
        torch.testing.assert_close(small, large)


@pytest.mark.parametrize("rows", ROWS)
def test_rows_that_do_not_count_change_neither_the_loss_nor_a_gradient(rows):
    """Padding may stay in the batch: everything is as if it had been taken out."""
    states, weight, bias, targets, scale = problem(rows)
    is_counted = torch.arange(rows) % 3 != 1

    def padded(*inputs):
        return token_nll(*inputs, is_counted=is_counted)

    def packed(states, weight, bias, targets, scale):
        return token_nll(states[is_counted], weight, bias, targets[is_counted], scale)

    with_padding = padded(states, weight, bias, targets, scale)
    without = packed(states, weight, bias, targets, scale)
    torch.testing.assert_close(with_padding[0], without[0])
    torch.testing.assert_close(with_padding[1][is_counted], without[1])
    assert not with_padding[1][~is_counted].any()
    with torch.no_grad():
        for value, expected in zip(
            padded(states, weight, bias, targets, scale), with_padding, strict=True
        ):
            torch.testing.assert_close(value, expected)
    found = gradients(padded, states, weight, bias, targets, scale)
    expected = gradients(packed, states, weight, bias, targets, scale)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
