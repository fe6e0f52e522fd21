"""What every encoder is: token ids in, one state per token out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from textvae.schema import PartSettings


class Encoder(nn.Module, ABC):
    """Reads a sentence.

    Attributes:
        hidden: size of a state.
        is_bidirectional: a state is [forward half, backward half], so that the
            backward reading ends at the first token.
    """

    Settings: type[PartSettings] = PartSettings
    hidden: int
    is_bidirectional: bool = False

    @abstractmethod
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states.

        Shapes:
            input_ids, attention_mask: (batch, length), padded on the right
            returns: (batch, length, hidden); what stands under padding is arbitrary
        """
