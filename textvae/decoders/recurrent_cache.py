"""A recurrent state that transformers' `generate()` can carry, also through beam search."""

from torch import Tensor
from transformers import Cache

from textvae.errors import ConfigError


class RecurrentCache(Cache):
    """The state after the tokens read so far.

    Attributes:
        state: (h,) or (h, c), each (layers, batch, hidden); empty before the first token.
    """

    is_compileable = False  # its state changes length-free; compiling it gains nothing
    is_croppable = False  # the base class asks its layers, and without any it would say yes

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

    # The base class does the following layer by layer. There are no layers here, so that each would do nothing.

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows of these indices only."""
        self.reorder_cache(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row, its copies next to each other."""
        self.state = tuple(part.repeat_interleave(repeats, dim=1) for part in self.state)

    def reset(self) -> None:
        """Forget all tokens."""
        self.state, self.seen = (), 0

    def crop(self, tokens_to_remove: int) -> None:
        """Refuse to forget the last tokens: the state before them is gone.

        Raises:
            ConfigError: there are tokens to remove.
        """
        if tokens_to_remove:
            raise ConfigError(
                "a recurrent decoder cannot take back tokens, which assisted decoding needs: "
                "leave out assistant_model and prompt_lookup_num_tokens."
            )
