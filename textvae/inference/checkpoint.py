"""Load a trained model and its tokenizer from a folder, and save them to one."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from textvae.data.tokenization import read_tokenizer
from textvae.errors import CheckpointError, TextVAEError
from textvae.inference.bundle import ADAPTER, CONFIGS, Bundle
from textvae.model.modeling import TextVAEModel
from textvae.runtime.device import choose_device
from textvae.runtime.foreign_code import refuse_foreign_code_in

WEIGHTS_FILE = "model.safetensors"


def load_bundle(folder: str | Path, device: str | None = None) -> Bundle:
    """Load a trained model and its tokenizer.

    Raises:
        CheckpointError: the folder is missing, damaged, or holds something else.
    """
    path = Path(folder)
    check_model_folder(path)
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
        raise CheckpointError(
            f"{path / WEIGHTS_FILE}: is damaged or cut short ({error}); copy it again."
        ) from error
    except TextVAEError as error:
        raise CheckpointError(f"{path}: its config does not make a model: {error}") from error
    except Exception as error:  # the libraries, and packages that a file asks for, have errors without a common root
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":. ")
        raise CheckpointError(
            f"{path}: cannot be loaded ({reason}). Copy it again, whole, or train it anew."
        ) from error
    if report["missing_keys"] or report.get("mismatched_keys"):
        lost = sorted(
            [*report["missing_keys"], *(str(key) for key in report.get("mismatched_keys") or [])]
        )
        raise CheckpointError(
            f"{path / WEIGHTS_FILE}: does not hold what config.json describes; missing: {', '.join(lost[:3])}."
        )
    return Bundle(model.to(choose_device(device)).eval(), tokenizer)


def check_model_folder(path: Path) -> None:
    """Refuse a folder that is no finished model of ours, and say what it is instead."""
    if not path.is_dir():
        raise CheckpointError(
            f"{path}: there is no such folder; wanted is one that `textvae train` wrote."
        )
    if not (path / WEIGHTS_FILE).is_file():
        if list(path.glob("checkpoint-*")):
            raise CheckpointError(
                f"{path}: its training has not finished. Go on: textvae train --output {path} --resume"
            )
        pickles = [
            file.name
            for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
            for file in path.glob(pattern)
        ]
        found = f"; {pickles[0]} is a pickle, which is never read" if pickles else ""
        raise CheckpointError(
            f"{path}: holds no {WEIGHTS_FILE}{found}. Wanted is a folder that `textvae train` wrote."
        )
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path / 'config.json'}: is missing or no JSON ({error})."
        ) from error
    if config.get("model_type") != TextVAEModel.config_class.model_type:
        raise CheckpointError(
            f"{path}: holds a {config.get('model_type')!r} model, not a text VAE."
        )
    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise CheckpointError(f"{path}: has no tokenizer.json. Copy the run again, whole.")
    if (
        path / ADAPTER
    ).is_file():  # where peft is installed, transformers would change the model by it
        raise CheckpointError(
            f"{path / ADAPTER}: belongs to an adapter, and textvae reads none. Remove it there."
        )
    refuse_foreign_code_in(path, CONFIGS, CheckpointError)


def save_bundle(bundle: Bundle, folder: str | Path, weights: dict[str, Any] | None = None) -> None:
    """Save model, tokenizer and generation settings as safetensors and JSON; `weights`: where the model is sharded."""
    transformers_logging.disable_progress_bar()
    bundle.model.save_pretrained(str(folder), state_dict=weights)
    bundle.tokenizer.save_pretrained(str(folder))
