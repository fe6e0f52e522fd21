"""A bundle: a model with its tokenizer, which every use and every measure works on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textvae.data.batching import Batch, Collator
from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.labels import Labels
from textvae.model.modeling import TextVAEModel
from textvae.model.priors import Prior


@dataclass(frozen=True)
class Bundle:
    """A text VAE ready for use.

    Attributes:
        encoder_tokenizer: the tokenizer of an encoder with tokens of its own; None if the encoder
            has the decoder's tokens.
        fixed_label_id: the number of the label that a conditional model uses for all texts;
            None if each text has its own label, or if the model is unconditional.
    """

    model: TextVAEModel
    tokenizer: PreTrainedTokenizerBase
    encoder_tokenizer: EncoderTokenizer | None = None
    fixed_label_id: int | None = None

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        device: torch.device = self.model.device
        return device

    @property
    def collator(self) -> Collator:
        """The collator that pads token ids to batches."""
        return Collator(self.tokenizer, self.labels, self.encoder_tokenizer)

    @property
    def labels(self) -> Labels | None:
        """The labels of a conditional model; None for an unconditional one."""
        config = self.model.config
        if not config.labels:
            return None
        counts = tuple(config.label_counts or ())
        return Labels(str(config.label_column), tuple(config.labels), counts)

    @property
    def fixed_label(self) -> str | None:
        """The name of the label that a conditional model uses for all texts, or None."""
        if self.labels is None or self.fixed_label_id is None:
            return None
        return self.labels.names[self.fixed_label_id]

    @property
    def label_column(self) -> str | None:
        """The data set's column of labels; None if labels are not taken from the data set."""
        return self.model.config.label_column if self.fixed_label_id is None else None

    @property
    def prior(self) -> Prior:
        """The prior p(z), or p(z | label) if the bundle has a fixed label."""
        prior: Prior = self.model.prior.conditional_on(self.fixed_label_ids(1))
        return prior

    @property
    def max_length(self) -> int:
        """The model's maximum length in tokens, the end token included."""
        length = self.model.generation_config.max_new_tokens
        assert length is not None, "a saved text VAE has a length limit"
        return int(length)

    @property
    def max_text_tokens(self) -> int:
        """The maximum number of tokens of a text; the end token takes one more place."""
        return self.max_length - 1

    def label_ids_for(self, names: Sequence[str]) -> Tensor | None:
        """Return the numbers of labels, (n,), or None if the model takes no label per text.

        Raises:
            ConfigError: the model does not know one of the labels.
        """
        labels = self.labels
        if labels is None or self.fixed_label_id is not None:
            return None
        return labels.to_ids(names)

    def fixed_label_ids(self, count: int) -> Tensor | None:
        """Return the fixed label for each text, (count,), on the model's device, or None."""
        if self.fixed_label_id is None:
            return None
        return torch.full((count,), self.fixed_label_id, device=self.device)

    def make_batch(self, sentences: list[list[int]], labels: Sequence[str] | None = None) -> Batch:
        """Return a padded batch of token ids on the model's device.

        Args:
            labels: the name of each sentence's label; by default the bundle's fixed label.
        """
        collated = self.collator.collate(sentences)
        batch = {name: value.to(self.device) for name, value in collated.items()}
        known = self.labels
        label_ids = self.fixed_label_ids(len(sentences))
        if labels is not None and known is not None:
            label_ids = known.to_ids(labels)
        if label_ids is not None:
            batch["label_ids"] = label_ids.to(self.device)
        return batch
