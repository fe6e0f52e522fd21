"""The contract of an encoder: it maps token ids to one state per token."""

from abc import ABC, abstractmethod

from torch import Tensor
from transformers import PreTrainedModel

from textvae.errors import ConfigError
from textvae.model.part import Part


class Encoder(Part, ABC):
    """Maps a sentence to one state per token.

    The constructor of every encoder takes its own settings and the number of tokens.

    Attributes:
        hidden: size of a state.
        is_bidirectional: whether the first half of a state comes from a forward recurrence and
            the second half from a backward one, whose last state is at the first token.
        has_own_tokens: whether it reads the tokens of another tokenizer than the decoder's.
        has_fixed_states: whether it starts from states that training does not change; they can be
            computed once, and `continue_from` goes on from there.
        has_sentence_state: whether it returns one state per sentence instead of one per token.
    """

    hidden: int
    is_bidirectional: bool = False
    has_own_tokens: bool = False
    has_fixed_states: bool = False
    has_sentence_state: bool = False

    @abstractmethod
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states.

        Shapes:
            input_ids, attention_mask: (batch, length), padded on the right
            returns: (batch, length, hidden); the values under padding are arbitrary
        """

    def compute_fixed_states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states that training does not change, (batch, length, size).

        Raises:
            ConfigError: the encoder has no such states.
        """
        raise ConfigError("only an encoder with a frozen part has such states.")

    def continue_from(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return what `forward` returns, from the fixed states; the mask is that of these states."""
        return states

    def adopt(self, whole: PreTrainedModel) -> None:
        """Copy the weights of a base, as the model is built."""
