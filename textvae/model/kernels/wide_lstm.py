"""An LSTM layer that trains fast when it is wide, on a CPU in bf16.

torch's kernel computes the gradient of the weights step by step. Here the
forward pass saves the gates, so that only the recurrence itself goes back step by
step; the gradients of weights and inputs are one matrix product each, over all
steps at once. From a few hundred units on this is about twice as fast. In
narrower layers torch's kernel has less overhead and is used.
"""

from typing import Any

import torch
from torch import Tensor, nn

from textvae.runtime.device import compute_dtype

_MIN_WIDE_UNITS = 512  # hidden units of the narrowest layer that uses `LSTMSteps`


class WideLSTM(nn.LSTM):
    """`nn.LSTM` with the same parameters and results, whose wide layers train with `LSTMSteps`."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - torch's own names
        """Return the states, (batch, length, hidden), and the last h and c, (1, batch, hidden)."""
        if not self.is_fast_for(input):
            return super().forward(input, hx)
        if hx is None:
            zeros = input.new_zeros(1, len(input), self.hidden_size)
            hx = (zeros, zeros)
        h, c = hx
        # The two biases are only ever added, so one sum replaces them; autograd passes
        # its gradient on to both.
        weight_ih, weight_hh, bias_ih, bias_hh = self.parameters()
        states, cell = LSTMSteps.apply(  # type: ignore[no-untyped-call]
            input.transpose(0, 1), h[0], c[0], weight_ih, weight_hh, bias_ih + bias_hh
        )
        return states.transpose(0, 1), (states[-1:], cell.unsqueeze(0))

    def is_fast_for(self, inputs: Any) -> bool:
        """Whether `LSTMSteps` supports this input and layer, and is faster than torch's kernel.

        It needs a padded batch, a CPU that computes in bf16, and a single wide layer in training.
        """
        # `nn.LSTM` also accepts packed sequences, which are not tensors.
        if (
            not isinstance(inputs, Tensor)
            or not torch.is_grad_enabled()
            or inputs.device.type != "cpu"
        ):
            return False
        is_single = self.num_layers == 1 and not self.bidirectional and self.batch_first
        return (
            compute_dtype(inputs) == torch.bfloat16
            and is_single
            and self.hidden_size >= _MIN_WIDE_UNITS
        )


class LSTMSteps(torch.autograd.Function):
    """One LSTM layer over a whole batch of sentences.

    The gates have the order of `nn.LSTM`: input i, forget f, cell g, output o. Each
    step computes c = f * c + i * g and h = o * tanh(c).

    Shapes, time first:
        inputs: (length, batch, size); h, c: (batch, hidden)
        returns: every h, (length, batch, hidden), and the last c, (batch, hidden)
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        h: Tensor,
        c: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Run all steps and save the gates."""
        dtype = compute_dtype(inputs)
        length, batch, _ = inputs.shape
        hidden = h.shape[-1]
        flat = inputs.to(dtype).reshape(length * batch, -1)
        cast_ih = weight_ih.to(dtype)
        cast_hh = weight_hh.to(dtype)
        # The inputs' part of all gates in one product; each step adds the part of h.
        gates = torch.addmm(bias.to(dtype), flat, cast_ih.t()).view(length, batch, 4 * hidden)
        states = torch.empty(length + 1, batch, hidden, dtype=dtype)
        cells = torch.empty(length + 1, batch, hidden, dtype=dtype)
        tanh_cells = torch.empty(length, batch, hidden, dtype=dtype)
        states[0] = h
        cells[0] = c
        for step, gate in enumerate(gates):
            gate.addmm_(states[step], cast_hh.t())
            # In place, so that `gates` ends up with the activations for `backward`.
            gate[:, : 2 * hidden].sigmoid_()
            gate[:, 2 * hidden : 3 * hidden].tanh_()
            gate[:, 3 * hidden :].sigmoid_()
            input_gate, forget_gate, cell_gate, output_gate = gate.chunk(4, dim=1)
            torch.mul(forget_gate, cells[step], out=cells[step + 1])
            cells[step + 1].addcmul_(input_gate, cell_gate)
            torch.tanh(cells[step + 1], out=tanh_cells[step])
            torch.mul(output_gate, tanh_cells[step], out=states[step + 1])
        ctx.save_for_backward(flat, gates, states, cells, tanh_cells, cast_ih, cast_hh)
        ctx.input_type = inputs.dtype
        return states[1:], cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Go back through the recurrence, then form all other gradients at once."""
        flat, gates, states, cells, tanh_cells, weight_ih, weight_hh = ctx.saved_tensors
        length, batch, hidden = tanh_cells.shape
        derivatives, cell_derivative = _local_derivatives(gates, cells, tanh_cells)
        forget_gate = gates[..., hidden : 2 * hidden]
        d_gates = torch.empty_like(derivatives)
        d_states = grads[0]
        d_cell = grads[1].clone()
        d_h = torch.zeros_like(d_cell)
        contiguous_hh = weight_hh.contiguous()
        for step in reversed(range(length)):
            # h has a gradient from the loss and one from the next step. c has one from the
            # next step, through its forget gate, and one from h.
            d_h = d_h + d_states[step]
            d_cell.addcmul_(d_h, cell_derivative[step])
            # The first three gates act on c, the output gate on h.
            torch.mul(derivatives[step, :, :3], d_cell.unsqueeze(1), out=d_gates[step, :, :3])
            torch.mul(derivatives[step, :, 3], d_h, out=d_gates[step, :, 3])
            d_cell.mul_(forget_gate[step])
            d_h = d_gates[step].view(batch, 4 * hidden) @ contiguous_hh
        d_flat = d_gates.view(length * batch, 4 * hidden)
        d_inputs = (d_flat @ weight_ih).view(length, batch, -1).to(ctx.input_type)
        previous = states[:-1].reshape(length * batch, hidden)
        # Gradients of weights have the type of the weights: single precision, except in
        # the tests, whose numerical gradient check needs double precision.
        weight_type = torch.float64 if ctx.input_type == torch.float64 else torch.float32
        d_weight_ih = (d_flat.t() @ flat).to(weight_type)
        d_weight_hh = (d_flat.t() @ previous).to(weight_type)
        d_bias = d_flat.sum(0).to(weight_type)
        return d_inputs, d_h, d_cell, d_weight_ih, d_weight_hh, d_bias


def _local_derivatives(gates: Tensor, cells: Tensor, tanh_cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives within each step, for all steps at once.

    Returns:
        (length, batch, 4, hidden): d c / d input, forget and cell gate, and d h / d output gate,
            each with respect to the gate before its activation function. They use
            sigmoid' = s (1 - s) and tanh' = 1 - t^2.
        (length, batch, hidden): d h / d c.
    """
    input_gate, forget_gate, cell_gate, output_gate = gates.chunk(4, dim=-1)
    length, batch, hidden = input_gate.shape
    derivatives = torch.empty(length, batch, 4, hidden, dtype=gates.dtype)
    torch.mul(cell_gate, input_gate * (1 - input_gate), out=derivatives[:, :, 0])
    torch.mul(cells[:-1], forget_gate * (1 - forget_gate), out=derivatives[:, :, 1])
    torch.mul(input_gate, 1 - cell_gate * cell_gate, out=derivatives[:, :, 2])
    torch.mul(tanh_cells, output_gate * (1 - output_gate), out=derivatives[:, :, 3])
    return derivatives, output_gate * (1 - tanh_cells * tanh_cells)
