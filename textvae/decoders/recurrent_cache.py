"""A recurrent state that transformers' `generate()` can carry, also through beam search."""

from torch import Tensor
from transformers import Cache


class RecurrentCache(Cache):
    """The state after the tokens read so far.

    Attributes:
        state: (h,) or (h, c), each (layers, batch, hidden); empty before the first token.
    """

    is_compileable = False  # its state changes length-free; compiling it gains nothing

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.state: tuple[Tensor, ...] = ()
        self.seen = 0

    def advance(self, state: tuple[Tensor, ...], tokens: int) -> None:
        """Take over the state after `tokens` more tokens."""
        self.state = state
        self.seen += tokens

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens were read."""
        return self.seen

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let each beam continue from the beam it came from."""
        self.state = tuple(part.index_select(1, beam_idx.to(part.device)) for part in self.state)
