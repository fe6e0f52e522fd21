"""Choose the next token from a decoder's states: the most likely one, or a sampled one."""

import torch
from torch import Tensor, nn

from textvae.model.kernels.fused_nll import cap_logits

_BF16_RELATIVE_ERROR = 2.0**-8  # relative error of a number rounded to bf16
_LARGEST_BOUND = 1.0  # of rounding errors; with larger ones, too few draws would be accepted
# The vocabulary is cut into this many parts. Tokens at the same position in each part form
# a group, which is searched only if its highest logit could be the highest of all.
_VOCABULARY_PARTS = 16


class TokenChoice:
    """Chooses tokens over a whole vocabulary, quickly on a CPU.

    Args:
        weight, bias: the projection from states to logits, (vocab, size) and (vocab,); the
            bias may be None.
        is_bf16_fast: whether the processor multiplies bf16 in hardware.
        cap: soft cap of the logits, if any. It never changes their order.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        is_bf16_fast: bool,
        *,
        cap: float | None = None,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.is_bf16_fast = is_bf16_fast
        self.cap = cap
        if is_bf16_fast:
            # Pad the vocabulary to a multiple of the parts, with tokens that are never chosen.
            padding = -len(weight) % _VOCABULARY_PARTS
            self.rough_weight = nn.functional.pad(weight.bfloat16(), (0, 0, 0, padding))
            full_bias = weight.new_zeros(len(weight)) if bias is None else bias
            rough_bias = full_bias.bfloat16()
            self.rough_bias = nn.functional.pad(rough_bias, (0, padding), value=-torch.inf)
            self.max_weight_norm = weight.norm(dim=1).max()
            self.max_bias = full_bias.abs().max()

    def logits(self, states: Tensor) -> Tensor:
        """Return every token's logit, (rows, vocab), from states, (rows, size)."""
        return cap_logits(self._uncapped_logits(states), self.cap)

    def _uncapped_logits(self, states: Tensor) -> Tensor:
        """Return every token's logit before the cap, (rows, vocab)."""
        return nn.functional.linear(states, self.weight, self.bias).float()

    def choose_greedily(self, states: Tensor) -> Tensor:
        """Return the token of highest logit of each row, (rows,), from states, (rows, size).

        Where bf16 is fast, rough logits in bf16 select the candidates: all tokens that
        could have the highest logit, given the largest error that rounding can make (by
        the Cauchy-Schwarz inequality). Only the candidates' logits are computed in full
        precision, so the choice is that of the full logits. The cap is left out: it keeps
        the order, but rounds the largest logits to the same number.
        """
        if not self.is_bf16_fast:
            return self._uncapped_logits(states).argmax(-1)
        row, token = self.find_candidates(states)
        full = self._compute_logits_of(states[row], token)
        best = full.new_full((len(states),), -torch.inf).scatter_reduce_(0, row, full, "amax")
        is_best = full == best[row]
        # Of several tokens with the same logit, take the first one, as argmax does.
        # A row whose logits are NaN has no candidate; it gets the last token, so that a
        # diverged model can still be evaluated.
        first = token.new_full((len(states),), len(self.weight) - 1)
        return first.scatter_reduce_(0, row[is_best], token[is_best], "amin")

    def sample(self, states: Tensor, temperature: float = 1.0) -> Tensor:
        """Return one token of each row, (rows,), sampled from the softmax of its logits.

        Where bf16 is fast, tokens are drawn from rough logits in bf16, and a draw is accepted
        with the probability exp(full - rough - bound), where `full` is the logit of the drawn
        token in full precision and `bound` the largest difference of the two that rounding can
        make. Accepted tokens have exactly the distribution of the full logits (rejection
        sampling: von Neumann 1951, "Various techniques used in connection with random digits").
        """
        if not self.is_bf16_fast:
            return sample_tokens(self.logits(states) / temperature)
        bound = self._bound_rough_error(states) / temperature
        if not bound.max() < _LARGEST_BOUND:  # also if it is NaN
            return sample_tokens(self.logits(states) / temperature)
        rough = self._rough_logits(states)[:, : len(self.weight)].float()
        rough = cap_logits(rough, self.cap) / temperature
        cumulative = rough.softmax(-1).cumsum(-1)
        tokens = _find_positions(cumulative)
        rejected = self._reject(states, rough, tokens, bound, temperature)
        while len(rejected):
            drawn = _find_positions(cumulative[rejected])
            tokens[rejected] = drawn
            again = self._reject(
                states[rejected], rough[rejected], drawn, bound[rejected], temperature
            )
            rejected = rejected[again]
        return tokens

    def _reject(
        self, states: Tensor, rough: Tensor, tokens: Tensor, bound: Tensor, temperature: float
    ) -> Tensor:
        """Return the rows whose drawn token is not accepted, (rejected rows,)."""
        full = cap_logits(self._compute_logits_of(states, tokens), self.cap) / temperature
        difference = full - rough.gather(1, tokens.unsqueeze(1)).squeeze(1)
        is_rejected = torch.rand_like(bound).log() > difference - bound
        return is_rejected.nonzero().squeeze(1)

    def _compute_logits_of(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return the logit before the cap of one token per row, (rows,), in full precision."""
        full = (states * self.weight[tokens]).sum(1)
        return full if self.bias is None else full + self.bias[tokens]

    def _rough_logits(self, states: Tensor) -> Tensor:
        """Return logits before the cap in bf16, (rows, vocab padded with -inf)."""
        return torch.addmm(self.rough_bias, states.bfloat16(), self.rough_weight.t())

    def _bound_rough_error(self, states: Tensor) -> Tensor:
        """Return a bound of the error of each row's rough logits, (rows,).

        States, weights, bias and result are rounded. The product of a state and a row of
        weights is at most that of their norms (Cauchy-Schwarz). The cap brings numbers closer.
        """
        products = states.norm(dim=1) * self.max_weight_norm
        return _BF16_RELATIVE_ERROR * (3 * products + 2 * self.max_bias)

    def find_candidates(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (row, token) pairs that could be the highest logit of their row.

        Returns:
            Row numbers and token ids, (pairs,) each.
        """
        rough = self._rough_logits(states).view(len(states), _VOCABULARY_PARTS, -1)
        group_peaks = rough.amax(1)
        peak = group_peaks.amax(1, keepdim=True).float()
        products = 2 * states.norm(dim=1, keepdim=True) * self.max_weight_norm
        error = _BF16_RELATIVE_ERROR * (products + peak.abs() + self.max_bias)
        # Three times: both compared logits may be wrong, and so may the rounded limit.
        limit = (peak - 3 * error).bfloat16()
        row, group = (group_peaks >= limit).nonzero(as_tuple=True)
        pair, part = (rough[row, :, group] >= limit[row]).nonzero(as_tuple=True)
        row = row[pair]
        token = part * group_peaks.shape[1] + group[pair]
        # Where the logits are infinite or NaN, the limit is -inf and admits the padding.
        is_real = token < len(self.weight)
        return row[is_real], token[is_real]


def sample_tokens(logits: Tensor) -> Tensor:
    """Return one token per row, (rows,), sampled from the softmax of logits, (rows, vocab).

    It takes one random number per row and finds it in the cumulative distribution;
    `torch.multinomial` draws one random number for every token of the vocabulary.
    """
    return _find_positions(logits.softmax(-1).cumsum(-1))


def _find_positions(cumulative: Tensor) -> Tensor:
    """Return one token per row, (rows,), drawn from cumulative sums, (rows, vocab)."""
    uniform = torch.rand(len(cumulative), 1, device=cumulative.device)
    # The last sum differs from 1 by rounding; scaling keeps every number within the sums.
    position = uniform * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, position, right=True).squeeze(1)
    return tokens.clamp_(max=cumulative.shape[1] - 1)
