"""What encoders and decoders have in common: settings, and perhaps a base to start from."""

from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from textvae.schema import PartSettings

VECTORS_HELP = (
    "file of word vectors that the embeddings start from: GloVe, or word2vec's or fastText's text "
    "format, gzipped or not"
)


class Part(nn.Module):
    """An encoder or a decoder.

    It may start from a base: a pretrained model whose weights it takes over. The methods here
    are those of a part without a base.

    Attributes:
        learning_rate: the rate of the weights of its base; None for that of the run.
    """

    Settings: type[PartSettings] = PartSettings
    learning_rate: float | None = None

    def base_parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights that have the rate `learning_rate`, if it is set."""
        return self.parameters()

    @classmethod
    def open_base(cls, settings: Any) -> tuple[Any, PreTrainedModel | None]:
        """Return the settings with a record of the base, and the base; None for a part without one.

        Raises:
            ConfigError: the base is missing, or cannot be such a part.
        """
        return settings, None

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
