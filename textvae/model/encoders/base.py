"""The contract of an encoder: it maps token ids to one state per token."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from textvae.schema import PartSettings


class Encoder(nn.Module, ABC):
    """Maps a sentence to one state per token.

    The constructor of every encoder takes its own settings and the number of tokens. An
    encoder may start from a base: a pretrained model whose weights it takes over.

    Attributes:
        hidden: size of a state.
        is_bidirectional: whether the first half of a state comes from a forward recurrence and
            the second half from a backward one, whose last state is at the first token.
        learning_rate: the rate of its weights; None for that of the run.
        has_own_tokens: whether it reads the tokens of another tokenizer than the decoder's.
        gives_fixed_vectors: whether it is frozen and returns one state per sentence.
    """

    Settings: type[PartSettings] = PartSettings
    hidden: int
    is_bidirectional: bool = False
    learning_rate: float | None = None
    has_own_tokens: bool = False
    gives_fixed_vectors: bool = False

    @abstractmethod
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states.

        Shapes:
            input_ids, attention_mask: (batch, length), padded on the right
            returns: (batch, length, hidden); the values under padding are arbitrary
        """

    @classmethod
    def open_base(cls, settings: Any) -> tuple[Any, PreTrainedModel | None]:
        """Return the settings, with a record of the base, and the base; None for a part without a base.

        Raises:
            ConfigError: the base is missing, or cannot be an encoder.
        """
        return settings, None

    def adopt(self, whole: PreTrainedModel) -> None:
        """Copy the weights of a base, as the model is built."""

    def freeze(self) -> None:
        """Freeze the weights that are not trained; loading a model unfreezes all of them."""

    def list_base_weights(self) -> list[str]:
        """Return the names of the weights that are loaded from a base, and not saved."""
        return []

    def load_base_weights(self) -> None:
        """Load the weights that `list_base_weights` names.

        Raises:
            ConfigError: the base is missing, or has other weights than it had.
        """

    def merge_base(self) -> dict[str, Any]:
        """Make the part complete without its base; return the settings that change."""
        return {}
