"""A sentence-transformers module: the encoder of a text VAE as a sentence embedding.

    SentenceTransformer(modules=[TextVAEModule("runs/demo")])

A saved module consists of safetensors and JSON files, and `TextVAE` can load it as a run.
`SentenceTransformer(folder, trust_remote_code=True)` loads it, too: sentence-transformers imports
modules of other packages only with this argument, and says so in its error. No code is
downloaded, since the class is that of the installed textvae.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from textvae.data.row_report import LEAVE_OUT
from textvae.data.texts import require_texts
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.inference.encode import require_latent, tokenize_and_truncate
from textvae.runs.hub import locate_run
from textvae.runtime.extras import check_installed
from textvae.schema import choose, require_integer
from textvae.uses.features import DEFAULT_FEATURES, FEATURES

try:
    from sentence_transformers.base.modules import InputModule
except ImportError:
    # Raises an error that says what to install, if the package is missing altogether.
    check_installed("sentence-transformers", "its modules", "sentence_transformers")
    raise


# The options of `load` that say where to find the module.
_LOADING_OPTIONS = ("token", "cache_folder", "revision", "local_files_only")


class TextVAEModule(InputModule):
    """Embeds texts; it is the only module that a `SentenceTransformer` needs.

    It can be fine-tuned like other modules.

    Args:
        run: the folder of a trained run, or its name on the Hugging Face Hub.
        features: `states` (of the encoder), `mean` (of the posterior) or `gaussian` (mean and
            log-variance); see `textvae.uses.features`.
        max_seq_length: the maximum length of a text in tokens, without its end; longer texts are
            cut. By default, and at most, what the model can read.

    Raises:
        CheckpointError: the folder is missing, damaged, or not a run.
        ConfigError: the features are unknown, the length is too large, or the run is a language
            model.
    """

    config_file_name = "textvae_module.json"  # not config.json, which is the model's
    config_keys = ["features", "max_seq_length"]  # noqa: RUF012  # the base class declares it without ClassVar

    def __init__(
        self, run: str | Path, features: str = DEFAULT_FEATURES, max_seq_length: int | None = None
    ) -> None:
        super().__init__()
        bundle = load_bundle(locate_run(run), "cpu")  # sentence-transformers moves it to its device
        require_latent(bundle)
        self.feature = choose(FEATURES, features, "features")
        self.features = features
        self.model = bundle.model
        self.tokenizer = bundle.tokenizer
        self.encoder_tokenizer = bundle.encoder_tokenizer
        self.max_seq_length = max_seq_length

    @property
    def bundle(self) -> Bundle:
        """The model and its tokenizers."""
        return Bundle(self.model, self.tokenizer, self.encoder_tokenizer)

    @property
    def max_seq_length(self) -> int:
        """The maximum length of a text in tokens, without its end; longer texts are cut."""
        return self._max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        """Set the maximum length; None is what the model can read.

        Raises:
            ConfigError: it is not a whole number from 1 to what the model can read.
        """
        most = self.bundle.max_text_tokens
        length = most if value is None else require_integer(value, "max_seq_length")
        if length > most:
            raise ConfigError(
                f"max_seq_length = {length}: this model reads texts of at most {most} tokens; "
                f"choose 1 to {most}."
            )
        self._max_seq_length = length

    def get_embedding_dimension(self) -> int:
        """Return the width of an embedding: how many numbers it has."""
        return self.feature.width(self.model)

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **options: Any
    ) -> dict[str, Tensor]:
        """Return the token ids and the attention mask of texts, each (batch, length).

        Args:
            inputs: texts.
            prompt: put in front of each text.
            options: not used; sentence-transformers passes those of other kinds of modules.

        Raises:
            DataError: an input is not a text, or is blank.
        """
        texts = require_texts(inputs, "inputs")
        blank = sum(not text.strip() for text in texts)
        if blank:
            # No row numbers: sentence-transformers sorts the texts before it makes batches.
            raise DataError(
                f"{blank} of {len(texts)} texts of a batch are blank and have no embedding; "
                f"{LEAVE_OUT}"
            )
        prompted = [(prompt or "") + text for text in texts]
        ids = tokenize_and_truncate(self.bundle, prompted)
        batch = self.bundle.collator.collate([row[: self.max_seq_length] for row in ids])
        return {
            "input_ids": batch["encoder_input_ids"],
            "attention_mask": batch["encoder_attention_mask"],
        }

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Return the features with `sentence_embedding`, (batch, width), added."""
        embedding = self.feature.compute(
            self.model, features["input_ids"], features["attention_mask"]
        )
        return {**features, "sentence_embedding": embedding}

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **options: Any
    ) -> None:
        """Save model, tokenizer and the kind of features.

        The files are always safetensors and JSON; the other arguments are not used.
        """
        save_bundle(self.bundle, output_path)
        self.save_config(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> "TextVAEModule":
        """Load a saved module from a folder or from the Hugging Face hub.

        Raises:
            CheckpointError: the folder or repository is not found.
        """
        # sentence-transformers passes more options, which concern modules of other kinds.
        where = {name: options[name] for name in _LOADING_OPTIONS if name in options}
        where["subfolder"] = subfolder
        folder = cls.load_dir_path(model_name_or_path, **where)
        if folder is None:
            raise CheckpointError(
                f"{model_name_or_path}: no such folder or repository was found; "
                "check its name, or the token for a private one."
            )
        return cls(folder, **cls.load_config(model_name_or_path, **where))
