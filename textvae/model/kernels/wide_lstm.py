"""An LSTM layer that trains fast when it is wide, on a CPU in bf16.

The library's kernel computes the gradient of each step's weights on its own.
Here the forward pass keeps the gates, so that going back only the recurrence
itself is done step by step; the gradients of the weights and of the inputs are
one product each, over all steps at once. From a few hundred units on that is
about twice as fast; below, the library's kernel has less overhead and is used.
"""

from typing import Any

import torch
from torch import Tensor, nn

from textvae.runtime.device import compute_dtype

_MIN_WIDE_UNITS = 512  # units


class WideLSTM(nn.LSTM):
    """`nn.LSTM`, with the same parameters and results, whose wide layers are trained by `LSTMSteps`."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - the library's own names
        """Return the states, (batch, length, hidden), and the last (h, c)."""
        if not self.is_fast_for(input):
            return super().forward(input, hx)
        h, c = hx if hx is not None else (input.new_zeros(1, len(input), self.hidden_size),) * 2
        weight_ih, weight_hh, bias_ih, bias_hh = self.parameters()
        states, cell = LSTMSteps.apply(  # type: ignore[no-untyped-call]
            input.transpose(0, 1), h[0], c[0], weight_ih, weight_hh, bias_ih + bias_hh
        )
        return states.transpose(0, 1), (states[-1:], cell.unsqueeze(0))

    def is_fast_for(self, inputs: Any) -> bool:
        """Whether this is a padded batch, trained on a CPU in bf16, and the layer is single and wide."""
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

    Shapes, time first:
        inputs: (length, batch, size); h, c: (batch, hidden)
        returns: every h, (length, batch, hidden), and the last c, (batch, hidden)

    Gates stand in the order of `nn.LSTM`: input, forget, cell, output.
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
        """Run the steps, keeping the gates."""
        dtype = compute_dtype(inputs)
        length, batch, _ = inputs.shape
        hidden = h.shape[-1]
        flat = inputs.to(dtype).reshape(length * batch, -1)
        narrow_ih, narrow_hh = weight_ih.to(dtype), weight_hh.to(dtype)
        gates = torch.addmm(bias.to(dtype), flat, narrow_ih.t()).view(length, batch, 4 * hidden)
        states, cells = (torch.empty(length + 1, batch, hidden, dtype=dtype) for _ in range(2))
        squashed = torch.empty(length, batch, hidden, dtype=dtype)
        states[0], cells[0] = h, c
        for step, gate in enumerate(gates):
            gate.addmm_(states[step], narrow_hh.t())
            gate[:, : 2 * hidden].sigmoid_()
            gate[:, 2 * hidden : 3 * hidden].tanh_()
            gate[:, 3 * hidden :].sigmoid_()
            enter, forget, new, leave = gate.chunk(4, dim=1)
            torch.mul(forget, cells[step], out=cells[step + 1]).addcmul_(enter, new)
            torch.tanh(cells[step + 1], out=squashed[step])
            torch.mul(leave, squashed[step], out=states[step + 1])
        ctx.save_for_backward(flat, gates, states, cells, squashed, narrow_ih, narrow_hh)
        ctx.input_type = inputs.dtype
        return states[1:], cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Go back through the recurrence, then form all other gradients at once."""
        flat, gates, states, cells, squashed, weight_ih, weight_hh = ctx.saved_tensors
        length, batch, hidden = squashed.shape
        slopes, leak = _local_derivatives(gates, cells, squashed)
        forget = gates[..., hidden : 2 * hidden]
        d_gates = torch.empty_like(slopes)
        d_states, d_cell = grads[0], grads[1].clone()
        d_h = torch.zeros_like(d_cell)
        onward = weight_hh.contiguous()
        for step in reversed(range(length)):
            d_h = d_h + d_states[step]
            d_cell.addcmul_(d_h, leak[step])
            torch.mul(slopes[step, :, :3], d_cell.unsqueeze(1), out=d_gates[step, :, :3])
            torch.mul(slopes[step, :, 3], d_h, out=d_gates[step, :, 3])
            d_cell.mul_(forget[step])
            d_h = d_gates[step].view(batch, 4 * hidden) @ onward
        d_flat = d_gates.view(length * batch, 4 * hidden)
        d_inputs = (d_flat @ weight_ih).view(length, batch, -1).to(ctx.input_type)
        before = states[:-1].reshape(length * batch, hidden)
        kind = ctx.input_type if ctx.input_type == torch.float64 else torch.float32
        weights = (
            (d_flat.t() @ flat).to(kind),
            (d_flat.t() @ before).to(kind),
            d_flat.sum(0).to(kind),
        )
        return d_inputs, d_h, d_cell, *weights


def _local_derivatives(gates: Tensor, cells: Tensor, squashed: Tensor) -> tuple[Tensor, Tensor]:
    """Return what turns a step's gradients into its gates', for all steps at once.

    Returns:
        slopes: (length, batch, 4, hidden): d cell / d input, forget and cell gate, and d h / d output gate,
            each before its squashing.
        leak: (length, batch, hidden): d h / d cell.
    """
    enter, forget, new, leave = gates.chunk(4, dim=-1)
    slopes = torch.empty(*enter.shape[:2], 4, enter.shape[2], dtype=gates.dtype)
    torch.mul(new, enter * (1 - enter), out=slopes[:, :, 0])
    torch.mul(cells[:-1], forget * (1 - forget), out=slopes[:, :, 1])
    torch.mul(enter, 1 - new * new, out=slopes[:, :, 2])
    torch.mul(squashed, leave * (1 - leave), out=slopes[:, :, 3])
    return slopes, leave * (1 - squashed * squashed)
