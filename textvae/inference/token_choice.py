"""Choose the next token from a decoder's states: the most likely one, or a sampled one."""

import torch
from torch import Tensor, nn

from textvae.model.kernels.fused_nll import cap_logits

_BF16_RELATIVE_ERROR = 2.0**-8  # relative error of a number rounded to bf16
_LARGEST_BOUND = 1.0  # of rounding errors; with larger ones, too few samples would be accepted
_LARGEST_EXPONENT = 60.0  # so that the sum of any vocabulary's exponentials is finite
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

        Where bf16 is fast, tokens are sampled from rough logits in bf16, and each is accepted
        with the probability exp(full - rough - bound). Here `full` is the token's logit in
        single precision, and `bound` the largest difference that rounding can make. Accepted
        tokens have exactly the distribution of the full logits (rejection sampling: von
        Neumann 1951, "Various techniques used in connection with random digits").

        Args:
            states: (rows, size)
        """
        if self.is_bf16_fast and self.cap is None:
            scaled = states.float() / temperature
            bound, largest = self._bound_rough_logits(scaled, temperature)
            if bound.max() < _LARGEST_BOUND and largest.max() < _LARGEST_EXPONENT:  # not if NaN
                return self._sample_by_rejection(scaled, temperature, bound)
        return sample_tokens(self.logits(states) / temperature)

    def _sample_by_rejection(self, states: Tensor, temperature: float, bound: Tensor) -> Tensor:
        """Return one token of each row, (rows,).

        Args:
            states: divided by the temperature, (rows, size).
            bound: of the error of each row's rough logits, (rows,).
        """
        rough_bias = (self.rough_bias.float() / temperature).bfloat16()
        weights = torch.addmm(rough_bias, states.bfloat16(), self.rough_weight.t()).exp_()
        tokens = torch.empty(len(states), dtype=torch.long, device=states.device)
        rows = torch.arange(len(states), device=states.device)
        while True:
            sampled, log_weights = _sample_from_weights(weights)
            tokens[rows] = sampled
            full = self._compute_logits_of(states[rows], sampled, temperature)
            is_rejected = torch.rand_like(full).log() > full - log_weights - bound[rows]
            if not is_rejected.any():
                return tokens
            rows, weights = rows[is_rejected], weights[is_rejected]

    def _compute_logits_of(
        self, states: Tensor, tokens: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """Return one logit per row, (rows,), before the cap and in single precision.

        Args:
            states: divided by the temperature, (rows, size).
            tokens: (rows,)
        """
        logits = (states.float() * self.weight[tokens].float()).sum(1)
        return logits if self.bias is None else logits + self.bias[tokens].float() / temperature

    def _bound_rough_logits(self, states: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """Return, for each row, a bound of the error and one of the size of its rough logits.

        Seven numbers are rounded: state, weight, bias (twice), the logit, its exponential, and
        the sum of a part of the exponentials. The product of a state and a row of weights is at
        most that of their norms (Cauchy-Schwarz inequality).

        Shapes:
            states: divided by the temperature, (rows, size); returns: (rows,) each
        """
        products = states.norm(dim=1) * self.max_weight_norm
        max_bias = self.max_bias / temperature
        return _BF16_RELATIVE_ERROR * (3 * products + 3 * max_bias + 2.1), products + max_bias

    def find_candidates(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (row, token) pairs that could be the highest logit of their row.

        Returns:
            Row numbers and token ids, (pairs,) each.
        """
        rough = torch.addmm(self.rough_bias, states.bfloat16(), self.rough_weight.t())
        rough = rough.view(len(states), _VOCABULARY_PARTS, -1)
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


def _sample_from_weights(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sample a token of each row with probabilities proportional to weights, in bf16.

    First a part of the vocabulary is sampled and then a token of it: sums of parts cost less
    than the cumulative sum of all.

    Shapes:
        weights: (rows, vocab, a multiple of the number of parts)
        returns: tokens, and the logarithms of the weights they were sampled with, (rows,) each
    """
    parts = weights.view(len(weights), _VOCABULARY_PARTS, -1)
    sums = parts.sum(2).float()
    part = _find_positions(sums.cumsum(1))
    rows = torch.arange(len(weights), device=weights.device)
    cumulative = parts[rows, part].float().cumsum(1)
    place = _find_positions(cumulative)
    tokens = part * parts.shape[2] + place
    # The sum of a part was rounded, so its tokens are sampled a little more or less often.
    correction = sums[rows, part] / cumulative[:, -1]
    return tokens, (weights[rows, tokens].float() * correction).log()


def _find_positions(cumulative: Tensor) -> Tensor:
    """Return the position of one sample of each row, (rows,), from cumulative sums, (rows, n)."""
    uniform = torch.rand(len(cumulative), 1, device=cumulative.device)
    # The last sum differs from 1 by rounding; scaling keeps every number within the sums.
    position = uniform * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, position, right=True).squeeze(1)
    return tokens.clamp_(max=cumulative.shape[1] - 1)
