"""Save and load what is fitted on a trained model: directions, calibrations, priors, indices.

Each fit is a folder, `RUN/fitted/KIND/NAME`. Its `fitted.json` says what it is and
which model it belongs to, its `tensors.safetensors` holds the numbers. Nothing is
pickled, and a fit is never used with the latents of another model.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from textvae.errors import CheckpointError, ConfigError, OutputError
from textvae.inference.bundle import Bundle
from textvae.runtime.files import (
    clean_up_after_kill,
    is_temporary,
    let_others_read,
    new_folder,
    read_json,
    replace_folder,
    write_text,
)
from textvae.terminal import quote_value

FITTED_FOLDER = "fitted"  # inside a run
RECORD_FILE = "fitted.json"
TENSORS_FILE = "tensors.safetensors"

# No name begins with a dot, as the folders do that are being written.
_NAME = re.compile(r"\w(?:[\w.-]*\w)?")
_MAX_NAME_LENGTH = 60  # characters; at most 240 bytes, and file systems allow 255

_INDEX_FILES = {"rows.arrow", "vectors.faiss"}
_ENTRIES = {RECORD_FILE, TENSORS_FILE, *_INDEX_FILES, ".DS_Store"}


def hash_weights(bundle: Bundle) -> str:
    """Return a hash of the model's weights.

    It does not depend on the device, and does not change when the model is saved and loaded.
    """
    digest = blake2b(digest_size=16)
    for name, value in sorted(bundle.model.state_dict().items()):
        digest.update(name.encode())
        # As bytes, since NumPy has no bfloat16.
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def fitted_path(run: Path | None, kind: str, name: str) -> Path:
    """Return the folder of a fit inside a run, by kind and name.

    Raises:
        ConfigError: the model is not in a folder yet, or the name cannot be a folder's name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _MAX_NAME_LENGTH:
        raise ConfigError(
            f"name = {quote_value(name)}: use up to {_MAX_NAME_LENGTH} letters, digits, `-`, `_` "
            "and `.`, because it names a folder; begin and end with a letter, a digit or `_`."
        )
    if run is None:
        raise ConfigError(
            "this model was not loaded from a folder: save it with save_pretrained, and load it "
            "from there."
        )
    return run / FITTED_FOLDER / kind / name


@contextmanager
def stage_fitted_folder(
    folder: str | Path, bundle: Bundle, kind: str, record: dict[str, Any]
) -> Iterator[Path]:
    """Yield an empty folder to fill; at the end it is moved to `folder`, together with the record.

    The record is written when the block ends, so the block may still add to it. If the
    block fails, an older fit in `folder` stays.

    Raises:
        OutputError: `folder` holds something else, or cannot be written.
    """
    path = Path(folder)
    clean_up_after_kill(path)
    refuse_other_folder(path)
    with new_folder(path) as staging:
        yield staging
        _write_record(staging, {"kind": kind, "model": hash_weights(bundle), **record})
        refuse_other_folder(path)  # fitting may have taken long
        replace_folder(staging, path)


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a fit."""
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / RECORD_FILE, text)


def replace_model_hash(folder: Path, old: str, new: str) -> None:
    """Name the model `new` in the record of a fit, if it belongs to the model `old`.

    Only for models whose latents are the same. A damaged record stays as it is.

    Args:
        old, new: hashes of the weights.
    """
    try:
        record = read_json(folder / RECORD_FILE)
    except ValueError:
        return
    if isinstance(record, dict) and record.get("model") == old:
        _write_record(folder, {**record, "model": new})


def refuse_other_folder(path: Path) -> None:
    """Refuse to replace an existing folder unless it holds a fit and nothing else.

    Raises:
        OutputError: the folder holds something else; the message names some of it.
    """
    if not os.path.lexists(path):
        return
    names = []
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in names if name not in _ENTRIES and not is_temporary(name)]
    if foreign or RECORD_FILE not in names:
        content = f" ({', '.join(foreign[:3])})" if foreign else ""
        raise OutputError(
            f"{path}: already exists and holds something that textvae did not fit{content}; "
            "name another folder."
        )


def save_fitted(
    folder: str | Path,
    bundle: Bundle,
    kind: str,
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Save a fit atomically; an older fit in the folder is replaced.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    with stage_fitted_folder(folder, bundle, kind, dict(record)) as staging:
        # safetensors refuses tensors that are not contiguous.
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(contiguous, staging / TENSORS_FILE)
        let_others_read(staging / TENSORS_FILE)


def load_fitted(
    folder: str | Path, bundle: Bundle, kind: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the record and the tensors of a fit.

    Raises:
        CheckpointError: the fit is missing, damaged, of another kind, or of another model.
    """
    record = read_fitted_record(folder, bundle, kind)
    with explain_damage(folder):
        tensors = load_file(Path(folder) / TENSORS_FILE)
        for name, value in tensors.items():
            if value.is_floating_point() and not value.isfinite().all():
                raise ValueError(f"{name} holds numbers that are not finite")
    return record, tensors


@contextmanager
def explain_damage(folder: str | Path, what: str = "is damaged") -> Iterator[None]:
    """Turn any error of code that uses a saved fit into one that says that the fit is damaged.

    Args:
        what: the words of the message that say so.

    Raises:
        CheckpointError: the code inside the block failed.
    """
    try:
        yield
    except CheckpointError:
        raise
    except (Exception, MemoryError) as error:  # the libraries' errors have no common base
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(f"{folder}: {what} ({reason[:200]}); fit it again.") from error


def read_fitted_record(folder: str | Path, bundle: Bundle, kind: str) -> dict[str, Any]:
    """Return the record of a fit.

    Raises:
        CheckpointError: the fit is missing, damaged, of another kind, or of another model.
    """
    path = Path(folder)
    if not (path / RECORD_FILE).is_file():
        verb = f"{kind} fit"
        if kind == "index":  # `textvae index` has no subcommand `fit`
            verb = "index"
        raise CheckpointError(
            f"{path}: no {kind} was fitted there.{_list_siblings(path)} "
            f"Fit one: textvae {verb} --help."
        )
    with explain_damage(path):
        record = read_json(path / RECORD_FILE)
        if not isinstance(record, dict):
            raise ValueError(f"expected a mapping, got {type(record).__name__}")
    if record.get("kind") != kind:
        raise CheckpointError(f"{path}: expected a fitted `{kind}`, got `{record.get('kind')}`.")
    if record.get("model") != hash_weights(bundle):
        raise CheckpointError(
            f"{path}: was fitted on another model's latents; fit it again on this one."
        )
    return record


def _list_siblings(path: Path) -> str:
    """Return a sentence that names the other fits of the same kind, or an empty string."""
    siblings = sorted(record.parent.name for record in path.parent.glob(f"*/{RECORD_FILE}"))
    if not siblings:
        return ""
    return f" Available: {', '.join(siblings)}."
