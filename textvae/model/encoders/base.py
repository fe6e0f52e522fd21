"""The contract of an encoder: it maps token ids to one state per token."""

from abc import ABC, abstractmethod

from torch import Tensor
from transformers import PreTrainedModel

from textvae.model.part import Part


class Encoder(Part, ABC):
    """Maps a sentence to one state per token.

    The constructor of every encoder takes its own settings and the number of tokens.

    Attributes:
        hidden: size of a state.
        is_bidirectional: whether the first half of a state comes from a forward recurrence and
            the second half from a backward one, whose last state is at the first token.
        has_own_tokens: whether it reads the tokens of another tokenizer than the decoder's.
        gives_fixed_vectors: whether it is frozen and returns one state per sentence.
    """

    hidden: int
    is_bidirectional: bool = False
    has_own_tokens: bool = False
    gives_fixed_vectors: bool = False

    @abstractmethod
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states.

        Shapes:
            input_ids, attention_mask: (batch, length), padded on the right
            returns: (batch, length, hidden); the values under padding are arbitrary
        """

    def adopt(self, whole: PreTrainedModel) -> None:
        """Copy the weights of a base, as the model is built."""
