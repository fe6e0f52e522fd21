"""Choosing the next token from a decoder's states: the likeliest, or a drawn one."""

import torch
from torch import Tensor, nn

_BF16_RELATIVE_ERROR = 2.0**-8  # relative error of a number rounded to bf16


_VOCABULARY_PARTS = 16  # that the vocabulary is cut into; of tokens at the same place in each, the highest is looked at first


class TokenChoice:
    """Chooses tokens over a whole vocabulary, quickly on a CPU.

    Args:
        weight, bias: the projection from states to scores, (vocab, size) and (vocab,).
        is_bf16_fast: whether the processor multiplies bf16 in hardware.
    """

    def __init__(self, weight: Tensor, bias: Tensor, is_bf16_fast: bool) -> None:
        self.weight, self.bias, self.is_bf16_fast = weight, bias, is_bf16_fast
        if is_bf16_fast:
            missing = -len(weight) % _VOCABULARY_PARTS
            self.rough_weight = nn.functional.pad(weight.bfloat16(), (0, 0, 0, missing))
            self.rough_bias = nn.functional.pad(bias.bfloat16(), (0, missing), value=-torch.inf)
            self.longest, self.most_bias = weight.norm(dim=1).max(), bias.abs().max()

    def scores(self, states: Tensor) -> Tensor:
        """Return every token's score, (rows, vocab), from states, (rows, size)."""
        return nn.functional.linear(states, self.weight, self.bias).float()

    def likeliest(self, states: Tensor) -> Tensor:
        """Return each row's token of highest score, (rows,), from states, (rows, size).

        In bf16 the scores are found roughly; those that could be the highest,
        given how wrong rounding can make a product (by Cauchy and Schwarz), are
        worked out in full. The choice is that of the full scores.
        """
        if not self.is_bf16_fast:
            return self.scores(states).argmax(-1)
        row, token = self.candidates(states)
        full = (states[row] * self.weight[token]).sum(1) + self.bias[token]
        best = full.new_full((len(states),), -torch.inf).scatter_reduce_(0, row, full, "amax")
        is_best = full == best[row]
        first = token.new_full((len(states),), len(self.bias))
        return first.scatter_reduce_(0, row[is_best], token[is_best], "amin")

    def candidates(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows and tokens, (pairs,) each, that could have the highest score of their row."""
        rough = torch.addmm(self.rough_bias, states.bfloat16(), self.rough_weight.t()).view(
            len(states), _VOCABULARY_PARTS, -1
        )
        peaks = rough.amax(1)
        peak = peaks.amax(1, keepdim=True).float()
        error = _BF16_RELATIVE_ERROR * (
            2 * states.norm(dim=1, keepdim=True) * self.longest + peak.abs() + self.most_bias
        )
        limit = (peak - 3 * error).bfloat16()  # two scores may each be wrong, and so may the limit
        row, place = (peaks >= limit).nonzero(as_tuple=True)
        which, part = (rough[row, :, place] >= limit[row]).nonzero(as_tuple=True)
        return row[which], part * peaks.shape[1] + place[which]


def sample_tokens(scores: Tensor) -> Tensor:
    """Return a token for each row, (rows,), drawn from the softmax of its scores, (rows, vocab).

    One random number a row, looked up in the cumulated chances (the library
    draws one for every token of the vocabulary).
    """
    total = scores.softmax(-1).cumsum(-1)
    place = torch.rand(len(scores), 1, device=scores.device) * total[:, -1:]
    return torch.searchsorted(total, place, right=True).squeeze(1).clamp_(max=scores.shape[1] - 1)
