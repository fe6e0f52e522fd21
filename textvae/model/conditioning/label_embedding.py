"""The label of a conditional model, appended to z before every conditioning.

Sohn, Lee & Yan 2015, Learning Structured Output Representation using Deep
Conditional Generative Models.
"""

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

    def append_label(self, latent: Tensor, label_ids: Tensor | None) -> Tensor:
        """Return z with the vector of its label appended.

        Shapes:
            latent: (batch, latent); label_ids: (batch,)
            returns (batch, latent + size)

        Raises:
            ConfigError: `label_ids` is None.
        """
        if label_ids is None:
            raise ConfigError(
                f"this model was trained with labels: give one of {format_names(self.names)}, with "
                "--label on the command line or `vae.with_label(...)` in Python, or give the model "
                "itself label_ids=, a tensor of numbers."
            )
        return torch.cat([latent, self(label_ids).to(latent.dtype)], dim=-1)
