"""The label of a conditional model beside z: every conditioning hears both (Sohn, Lee & Yan 2015)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from textvae.data.labels import format_names
from textvae.errors import ConfigError


class LabelEmbedding(nn.Embedding):
    """A learned vector for each label."""

    def __init__(self, names: Sequence[str], size: int) -> None:
        super().__init__(len(names), size)
        self.names = tuple(names)

    def beside(self, latent: Tensor, label_ids: Tensor | None) -> Tensor:
        """Return z with the vectors of labels, (batch,), beside it: (batch, latent + size).

        Raises:
            ConfigError: there are no labels.
        """
        if label_ids is None:
            raise ConfigError(
                f"this model was trained with labels: give label=, one of {format_names(self.names)}."
            )
        return torch.cat([latent, self(label_ids).to(latent.dtype)], dim=-1)
