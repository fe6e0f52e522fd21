"""The wide LSTM has the same values and gradients as the library's."""

import pytest
import torch

from textvae.model.kernels.wide_lstm import LSTMSteps, WideLSTM


def gradients(cells, inputs, state, is_bf16):
    cells.zero_grad()
    inputs = inputs.clone().requires_grad_()
    state = tuple(part.clone().requires_grad_() for part in state)
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        states, (h, c) = cells(inputs, state)
    (states.float().square().sum() + h.float().sum() + 2 * c.float().sum()).backward()
    return states, [
        inputs.grad,
        *(part.grad for part in state),
        *(weight.grad for weight in cells.parameters()),
    ]


def test_steps_pass_the_numerical_gradient_check():
    """The check is in double precision, for inputs, first state, weights and bias."""
    torch.manual_seed(0)
    shapes = [(3, 2, 4), (2, 5), (2, 5), (20, 4), (20, 5), (20,)]
    values = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(LSTMSteps.apply, values)


def test_a_wide_layer_in_bf16_agrees_with_the_library_in_single_precision():
    """States and all gradients agree to the precision of bf16."""
    torch.manual_seed(0)
    ours = WideLSTM(24, 512, batch_first=True)
    library = torch.nn.LSTM(24, 512, batch_first=True)
    library.load_state_dict(ours.state_dict())
    inputs = torch.randn(3, 7, 24)
    state = (torch.randn(1, 3, 512), torch.randn(1, 3, 512))
    states, grads = gradients(ours, inputs, state, is_bf16=True)
    exact_states, exact_grads = gradients(library, inputs, state, is_bf16=False)
    assert states.dtype == torch.bfloat16
    torch.testing.assert_close(states.float(), exact_states, atol=0.03, rtol=0)
    for grad, exact in zip(grads, exact_grads, strict=True):
        assert (grad - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("hidden", [16, 512])
def test_without_bf16_it_equals_the_library(hidden):
    """The states are equal bit for bit."""
    torch.manual_seed(0)
    ours = WideLSTM(8, hidden, batch_first=True)
    library = torch.nn.LSTM(8, hidden, batch_first=True)
    library.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 5, 8)
    assert torch.equal(ours(inputs)[0], library(inputs)[0])
