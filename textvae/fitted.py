"""What is fitted on a trained model and kept with it: directions, calibrations, priors, indices.

A folder each, `RUN/fitted/KIND/NAME` unless told otherwise: `fitted.json` says
what it is and which model it belongs to, `tensors.safetensors` holds its
numbers. Nothing is pickled, and nothing is used with another model's latents.
"""

import json
import shutil
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from textvae.bundle import Bundle
from textvae.errors import CheckpointError, OutputError

FOLDER = "fitted"  # in a run
RECORD, TENSORS = "fitted.json", "tensors.safetensors"


def model_fingerprint(bundle: Bundle) -> str:
    """Return a hash of the model's weights: the same for a model saved and loaded again, on any device."""
    digest = blake2b(digest_size=16)
    for name, value in sorted(bundle.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save_fitted(
    folder: str | Path, bundle: Bundle, kind: str, record: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Path:
    """Save what was fitted, replacing what stood there; whole or not at all. Return the folder.

    Raises:
        OutputError: something else stands there, or the folder cannot be written.
    """
    path = Path(folder)
    if path.exists() and not (path / RECORD).is_file():
        raise OutputError(f"{path}: something that was not fitted on a model stands there; name another folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    whole = {"kind": kind, "model": model_fingerprint(bundle), **record}
    (staging / RECORD).write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, staging / TENSORS)
    if path.exists():
        shutil.rmtree(path)
    staging.chmod(0o755)  # mkdtemp's is for its owner alone
    return staging.rename(path)


def load_fitted(folder: str | Path, bundle: Bundle, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the record and the tensors of what was fitted.

    Raises:
        CheckpointError: it is missing, damaged, of another kind, or fitted on another model.
    """
    path = Path(folder)
    if not (path / RECORD).is_file():
        raise CheckpointError(f"{path}: no {kind} was fitted there.{known_beside(path)}")
    try:
        record: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))
        tensors: dict[str, Tensor] = load_file(path / TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path}: is damaged ({error}); fit it again.") from error
    if record.get("kind") != kind:
        raise CheckpointError(f"{path}: holds `{record.get('kind')}`, wanted is `{kind}`.")
    if record.get("model") != model_fingerprint(bundle):
        raise CheckpointError(f"{path}: was fitted on another model's latents; fit it again on this one.")
    return record, tensors


def known_beside(path: Path) -> str:
    """Return a sentence that names what was fitted beside a path."""
    beside = sorted(record.parent.name for record in path.parent.glob(f"*/{RECORD}"))
    return f" There is: {', '.join(beside)}." if beside else ""
