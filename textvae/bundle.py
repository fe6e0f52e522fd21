"""A model and its tokenizer, together: what every use and every measure works on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from textvae.batching import Batch, Collator
from textvae.configuration import refuse_code_of_folder
from textvae.errors import CheckpointError, ConfigError, TextVAEError
from textvae.labels import Labels
from textvae.modeling import TextVAEModel
from textvae.priors import Prior
from textvae.tokenization import read_tokenizer

WEIGHTS = "model.safetensors"
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
        return Labels(str(config.label_column), tuple(config.labels), tuple(config.label_counts or ()))

    @property
    def label_column(self) -> str | None:
        """The column of a conditional model's data sets in which each text has its label; None if all have one."""
        return self.model.config.label_column if self.label is None else None

    @property
    def prior(self) -> Prior:
        """p(z), or p(z | label) where all texts are taken for one."""
        prior: Prior = self.model.prior.given(self.label_ids(1))
        return prior

    def told(self, names: Sequence[str]) -> Tensor | None:
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
        batch = {name: value.to(self.device) for name, value in self.collator.collate(sentences).items()}
        known = self.labels
        ids = self.label_ids(len(sentences)) if labels is None or known is None else known.ids(labels)
        return batch if ids is None else {**batch, "label_ids": ids.to(self.device)}

    @property
    def longest(self) -> int:
        """The longest sentence, in tokens, that the model was made for."""
        length = self.model.generation_config.max_new_tokens
        assert length is not None, "a saved text VAE has a length limit"
        return int(length)

    @property
    def room(self) -> int:
        """The most tokens of a text that are read; one place is the end's."""
        return self.longest - 1


def choose_device(name: str | None) -> torch.device:
    """Return the device of that name; without one, a GPU if there is one.

    Raises:
        ConfigError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device = {name!r}: there is no GPU here that torch can use; leave it out, or say cpu.")
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device = {name!r} is unknown; choose cpu or cuda.") from None


def load_bundle(folder: str | Path, device: str | None = None) -> Bundle:
    """Load a trained model and its tokenizer.

    Raises:
        CheckpointError: the folder is missing, damaged, or holds something else.
    """
    path = Path(folder)
    check_folder(path)
    transformers_logging.disable_progress_bar()
    try:
        model, report = TextVAEModel.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        tokenizer = read_tokenizer(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path / WEIGHTS}: is damaged or cut short ({error}); copy it again.") from error
    except TextVAEError as error:
        raise CheckpointError(f"{path}: its config does not make a model: {error}") from error
    except Exception as error:  # the libraries, and packages that a file asks for, have errors without a common root
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":. ")
        raise CheckpointError(
            f"{path}: cannot be loaded ({reason}). Copy it again, whole, or train it anew."
        ) from error
    if report["missing_keys"] or report.get("mismatched_keys"):
        lost = sorted([*report["missing_keys"], *(str(key) for key in report.get("mismatched_keys") or [])])
        raise CheckpointError(
            f"{path / WEIGHTS}: does not hold what config.json describes; missing: {', '.join(lost[:3])}."
        )
    return Bundle(model.to(choose_device(device)).eval(), tokenizer)


def check_folder(path: Path) -> None:
    """Refuse a folder that is no finished model of ours, and say what it is instead."""
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such folder; wanted is one that `textvae train` wrote.")
    if not (path / WEIGHTS).is_file():
        if list(path.glob("checkpoint-*")):
            raise CheckpointError(
                f"{path}: its training has not finished. Go on: textvae train --output {path} --resume"
            )
        pickles = [
            file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt") for file in path.glob(pattern)
        ]
        found = f"; {pickles[0]} is a pickle, which is never read" if pickles else ""
        raise CheckpointError(f"{path}: holds no {WEIGHTS}{found}. Wanted is a folder that `textvae train` wrote.")
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path / 'config.json'}: is missing or no JSON ({error}).") from error
    if config.get("model_type") != TextVAEModel.config_class.model_type:
        raise CheckpointError(f"{path}: holds a {config.get('model_type')!r} model, not a text VAE.")
    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise CheckpointError(f"{path}: has no tokenizer.json. Copy the run again, whole.")
    if (path / ADAPTER).is_file():  # where peft is installed, transformers would change the model by it
        raise CheckpointError(f"{path / ADAPTER}: belongs to an adapter, and textvae reads none. Remove it there.")
    refuse_code_of_folder(path, CONFIGS, CheckpointError)


def save_bundle(bundle: Bundle, folder: str | Path, weights: dict[str, Any] | None = None) -> None:
    """Save model, tokenizer and generation settings as safetensors and JSON; `weights`: where the model is sharded."""
    transformers_logging.disable_progress_bar()
    bundle.model.save_pretrained(str(folder), state_dict=weights)
    bundle.tokenizer.save_pretrained(str(folder))
