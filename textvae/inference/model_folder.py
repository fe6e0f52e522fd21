"""Check that a folder holds a finished text VAE, from its names and its small files alone.

Nothing here imports torch, so that the command line can refuse a wrong folder at once.
"""

from pathlib import Path

from textvae.errors import CheckpointError
from textvae.runtime.files import read_json
from textvae.runtime.foreign_code import refuse_foreign_code_in
from textvae.version import RUN_FORMAT, __version__

WEIGHTS_FILE = "model.safetensors"
MODEL_TYPE = "textvae"  # in config.json
ADAPTER = "adapter_config.json"  # the file in which peft describes an adapter
# The files that could name code for transformers to download and run.
CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json")

_PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def check_model_folder(path: Path) -> None:
    """Refuse a folder that holds no finished text VAE, and say what it holds instead.

    Raises:
        CheckpointError: the folder is missing, is damaged, or does not hold a text VAE.
    """
    if not path.is_dir():
        raise CheckpointError(
            f"{path}: there is no such folder; expected a folder that `textvae train` wrote, or "
            "the name of a model on the Hugging Face Hub, such as owner/name."
        )
    if not (path / WEIGHTS_FILE).is_file():
        raise CheckpointError(_explain_missing_weights(path))
    try:
        config = read_json(path / "config.json")
    except ValueError as error:
        raise CheckpointError(
            f"{path / 'config.json'}: is missing or is not JSON ({error})."
        ) from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path / 'config.json'}: is not the config of a model.")
    if config.get("model_type") != MODEL_TYPE:
        raise CheckpointError(
            f"{path}: holds a {config.get('model_type')!r} model, not a text VAE."
        )
    _check_run_format(path, config.get("run_format", 0))
    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise CheckpointError(f"{path}: has no tokenizer.json. Copy the whole run again.")
    # Where peft is installed, transformers would apply the adapter to the model unasked.
    if (path / ADAPTER).is_file():
        raise CheckpointError(
            f"{path / ADAPTER}: belongs to an adapter, which textvae does not support. Remove it."
        )
    refuse_foreign_code_in(path, CONFIGS, CheckpointError)


def _check_run_format(path: Path, found: object) -> None:
    """Refuse a folder in a format of an earlier or a later release.

    Raises:
        CheckpointError: the formats differ; the message says which release to use.
    """
    if found == RUN_FORMAT:
        return
    if isinstance(found, int) and found < RUN_FORMAT:
        advice = (
            f"an earlier version of textvae wrote it. Train it again with textvae {__version__}"
        )
    else:
        advice = (
            "a newer version of textvae wrote it. Install that version "
            "(pip install --upgrade textvae)"
        )
    raise CheckpointError(
        f"{path}: has the run format {found!r}, and this version reads {RUN_FORMAT}: {advice}."
    )


def _explain_missing_weights(path: Path) -> str:
    """Return the message for a folder without weights: what it holds, and how to go on."""
    has_checkpoint = any(path.glob("checkpoint-*"))
    # Before its first checkpoint, a run has only the model that it starts from.
    if has_checkpoint or (path / "init" / WEIGHTS_FILE).is_file():
        finish = f" (or end it now: textvae finish {path})" if has_checkpoint else ""
        return (
            f"{path}: its training has not finished. "
            f"Continue it with: textvae train --output {path} --resume{finish}"
        )
    pickles: list[str] = []
    for pattern in _PICKLE_PATTERNS:
        pickles.extend(file.name for file in path.glob(pattern))
    note = f"; {pickles[0]} is a pickle, which textvae never reads" if pickles else ""
    return f"{path}: holds no {WEIGHTS_FILE}{note}. Expected a folder that `textvae train` wrote."
