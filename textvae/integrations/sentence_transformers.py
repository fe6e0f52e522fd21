"""A module of sentence-transformers: a text VAE where a sentence embedding is wanted.

    SentenceTransformer(modules=[TextVAEModule("runs/demo")])

What it saves is a run of ours, safetensors and JSON, that `TextVAE` loads as well.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_transformers.base.modules import InputModule
from torch import Tensor

from textvae.data.row_report import LEAVE_OUT
from textvae.data.texts import require_texts
from textvae.errors import CheckpointError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.inference.encode import require_latent, tokenize_and_truncate
from textvae.runtime.extras import check_installed
from textvae.schema import choose
from textvae.uses.features import DEFAULT_FEATURES, FEATURES

check_installed("sentence-transformers", "its modules", "sentence_transformers")


class TextVAEModule(InputModule):
    """The first, and only needed, module of a `SentenceTransformer`; it can be fine-tuned.

    Args:
        run: the folder of a trained run.
        features: `states` (the encoder's), `mean` (the posterior's) or `gaussian`; see `textvae.uses.features`.

    Raises:
        CheckpointError: the folder is missing, damaged, or holds something else.
        ConfigError: the features are unknown, or the run is a language model.
    """

    config_file_name = "textvae_module.json"  # `config.json` is the model's
    config_keys = ["features"]  # noqa: RUF012

    def __init__(self, run: str | Path, features: str = DEFAULT_FEATURES) -> None:
        super().__init__()
        bundle = load_bundle(run, "cpu")  # sentence-transformers moves it
        require_latent(bundle)
        self.feature, self.features = choose(FEATURES, features, "features"), features
        self.model, self.tokenizer = bundle.model, bundle.tokenizer

    @property
    def bundle(self) -> Bundle:
        """The model and its tokenizer."""
        return Bundle(self.model, self.tokenizer)

    @property
    def max_seq_length(self) -> int:
        """The most tokens of a text that are read."""
        return self.bundle.max_text_tokens

    def get_embedding_dimension(self) -> int:
        """Return how many numbers a text becomes."""
        return self.feature.width(self.model)

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **options: Any
    ) -> dict[str, Tensor]:
        """Return the ids and the mask of the texts, each (batch, length).

        Raises:
            DataError: one of them is not text, or is blank.
        """
        listed = require_texts(inputs, "inputs")
        if blank := sum(
            not text.strip() for text in listed
        ):  # in which rows nobody knows here: they come sorted
            raise DataError(
                f"{blank} of {len(listed)} texts of a batch are blank and have no embedding; {LEAVE_OUT}"
            )
        texts = [(prompt or "") + text for text in listed]
        batch = self.bundle.collator.collate(tokenize_and_truncate(self.bundle, texts))
        return {
            "input_ids": batch["encoder_input_ids"],
            "attention_mask": batch["encoder_attention_mask"],
        }

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Add `sentence_embedding`, (batch, width)."""
        embedding = self.feature.compute(self.model, features["input_ids"], features["attention_mask"])
        return {**features, "sentence_embedding": embedding}

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **options: Any
    ) -> None:
        """Save model, tokenizer and the kind of features; always as safetensors and JSON."""
        save_bundle(self.bundle, output_path)
        self.save_config(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> "TextVAEModule":
        """Load what `save` wrote, from a folder or the Hugging Face hub.

        Raises:
            CheckpointError: there is no such folder.
        """
        known = ("token", "cache_folder", "revision", "local_files_only")
        where = {
            "subfolder": subfolder,
            **{name: options[name] for name in known if name in options},
        }
        folder = cls.load_dir_path(model_name_or_path, **where)
        if folder is None:
            raise CheckpointError(f"{model_name_or_path}: there is no such folder or repository.")
        return cls(folder, **cls.load_config(model_name_or_path, **where))
