"""A model and its tokenizer, together: what every use and every measure works on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textvae.data.batching import Batch, Collator
from textvae.data.labels import Labels
from textvae.model.modeling import TextVAEModel
from textvae.model.priors import Prior

ADAPTER = "adapter_config.json"


CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Bundle:
    """A text VAE ready for use.

    Attributes:
        label: of a conditional model, the number of the one label that all texts are taken for.
    """

    model: TextVAEModel
    tokenizer: PreTrainedTokenizerBase
    label: int | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.model.device
        return device

    @property
    def collator(self) -> Collator:
        """Makes padded batches of token ids."""
        return Collator(self.tokenizer, self.labels)

    @property
    def labels(self) -> Labels | None:
        """The labels a conditional model knows."""
        config = self.model.config
        if not config.labels:
            return None
        return Labels(
            str(config.label_column), tuple(config.labels), tuple(config.label_counts or ())
        )

    @property
    def label_column(self) -> str | None:
        """The column of a conditional model's data sets in which each text has its label; None if all have one."""
        return self.model.config.label_column if self.label is None else None

    @property
    def prior(self) -> Prior:
        """p(z), or p(z | label) where all texts are taken for one."""
        prior: Prior = self.model.prior.conditional_on(self.label_ids(1))
        return prior

    def label_ids_for(self, names: Sequence[str]) -> Tensor | None:
        """Return the numbers of these labels, (n,), if the model wants one for each text.

        Raises:
            ConfigError: it does not know one of them.
        """
        known = self.labels if self.label is None else None
        return None if known is None else known.ids(names)

    def label_ids(self, count: int) -> Tensor | None:
        """Return the one label for each of so many texts, (count,), on the model's device, if there is one."""
        return None if self.label is None else torch.full((count,), self.label, device=self.device)

    def batch(self, sentences: list[list[int]], labels: Sequence[str] | None = None) -> Batch:
        """Return a padded batch of these token ids, on the model's device; labels by name, or else the bundle's one."""
        batch = {
            name: value.to(self.device) for name, value in self.collator.collate(sentences).items()
        }
        known = self.labels
        ids = (
            self.label_ids(len(sentences)) if labels is None or known is None else known.ids(labels)
        )
        return batch if ids is None else {**batch, "label_ids": ids.to(self.device)}

    @property
    def max_length(self) -> int:
        """The longest sentence, in tokens, that the model was made for."""
        length = self.model.generation_config.max_new_tokens
        assert length is not None, "a saved text VAE has a length limit"
        return int(length)

    @property
    def max_text_tokens(self) -> int:
        """The most tokens of a text that are read; one place is the end's."""
        return self.max_length - 1
