"""What is fitted on a trained model and kept with it: directions, calibrations, priors, indices.

A folder each, `RUN/fitted/KIND/NAME`: `fitted.json` says what it is and which
model it belongs to, `tensors.safetensors` holds its numbers. Nothing is pickled,
and nothing is used with another model's latents.
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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from textvae.errors import CheckpointError, ConfigError, OutputError
from textvae.inference.bundle import Bundle
from textvae.runtime.files import clean_up_after_kill, is_temporary, new_folder, replace_folder

FITTED_FOLDER = "fitted"  # in a run


RECORD_FILE, TENSORS_FILE = "fitted.json", "tensors.safetensors"


_ENTRIES = {
    RECORD_FILE,
    TENSORS_FILE,
    "rows.arrow",
    "vectors.faiss",
    ".DS_Store",
}  # the third and fourth are an index's


def hash_weights(bundle: Bundle) -> str:
    """Return a hash of the model's weights: the same for a model saved and loaded again, on any device."""
    digest = blake2b(digest_size=16)
    for name, value in sorted(bundle.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def fitted_path(run: Path | None, kind: str, name: str) -> Path:
    """Return where a run keeps what is fitted on it, by kind and name.

    Raises:
        ConfigError: the model is in no folder yet, or the name is no folder's.
    """
    if not re.fullmatch(r"[\w.-]*\w", name):
        raise ConfigError(
            f"name = {name!r}: wanted are letters, digits, - and _, for a folder is named so."
        )
    if run is None:
        raise ConfigError(
            "this model was not loaded from a folder: save_pretrained it to one, and load it from there."
        )
    return run / FITTED_FOLDER / kind / name


@contextmanager
def stage_fitted_folder(
    folder: str | Path, bundle: Bundle, kind: str, record: dict[str, Any]
) -> Iterator[Path]:
    """Yield a folder to fill; it takes its place, with the record as it then is, once all has gone well.

    Raises:
        OutputError: something else stands there, or it cannot be written.
    """
    path = Path(folder)
    clean_up_after_kill(path)
    refuse_other_folder(path)
    with new_folder(path) as staging:
        yield staging
        whole = {"kind": kind, "model": hash_weights(bundle), **record}
        (staging / RECORD_FILE).write_text(
            json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        refuse_other_folder(path)  # fitting may have taken long
        replace_folder(staging, path)


def refuse_other_folder(path: Path) -> None:
    """Refuse to replace a folder that does not hold what was fitted, and nothing else.

    Raises:
        OutputError: with what is there.
    """
    if not os.path.lexists(path):
        return
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in names if name not in _ENTRIES and not is_temporary(name)]
    if foreign or RECORD_FILE not in names:
        inside = f" ({', '.join(foreign[:3])})" if foreign else ""
        raise OutputError(
            f"{path}: something that was not fitted on a model stands there{inside}; name another folder."
        )


def save_fitted(
    folder: str | Path,
    bundle: Bundle,
    kind: str,
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Save what was fitted, replacing what stood there; whole or not at all.

    Raises:
        OutputError: something else stands there, or it cannot be written.
    """
    with stage_fitted_folder(folder, bundle, kind, dict(record)) as staging:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            staging / TENSORS_FILE,
        )


def load_fitted(
    folder: str | Path, bundle: Bundle, kind: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the record and the tensors of what was fitted.

    Raises:
        CheckpointError: it is missing, damaged, of another kind, or fitted on another model.
    """
    record = read_fitted_record(folder, bundle, kind)
    try:
        return record, load_file(Path(folder) / TENSORS_FILE)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: is damaged ({error}); fit it again.") from error


def read_fitted_record(folder: str | Path, bundle: Bundle, kind: str) -> dict[str, Any]:
    """Return the record of what was fitted.

    Raises:
        CheckpointError: it is missing, damaged, of another kind, or fitted on another model.
    """
    path = Path(folder)
    if not (path / RECORD_FILE).is_file():
        verb = "index" if kind == "index" else f"{kind} fit"
        raise CheckpointError(
            f"{path}: no {kind} was fitted there.{_list_siblings(path)} Fit one: textvae {verb} --help."
        )
    try:
        record: dict[str, Any] = json.loads((path / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: is damaged ({error}); fit it again.") from error
    if record.get("kind") != kind:
        raise CheckpointError(f"{path}: holds `{record.get('kind')}`, wanted is `{kind}`.")
    if record.get("model") != hash_weights(bundle):
        raise CheckpointError(
            f"{path}: was fitted on another model's latents; fit it again on this one."
        )
    return record


def _list_siblings(path: Path) -> str:
    """Return a sentence that names what was fitted beside a path."""
    beside = sorted(record.parent.name for record in path.parent.glob(f"*/{RECORD_FILE}"))
    return f" There is: {', '.join(beside)}." if beside else ""
