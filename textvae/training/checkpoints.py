"""Checkpoints that are whole or not there: written beside, flushed, renamed.

`checkpoint-N` inside a run holds the model and what a resumed run needs. A
folder only gets that name once all its files are on the disk; whatever an
interrupted save left behind is swept away.
"""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from safetensors import SafetensorError, safe_open

from textvae.files import flush, remove

STAGING = ".saving"
STATE_FILE = "textvae_state.json"
SHARDED_STATES = ("optimizer.bin", "pytorch_model_fsdp.bin")  # as accelerate writes them under FSDP
NAME = re.compile(r"checkpoint-(\d+)")


def publish(staged: Path, final: Path) -> None:
    """Flush every file of `staged` and give the folder its final name."""
    for path in (*staged.rglob("*"), staged):
        flush(path)
    if final.exists():
        remove(final)
    staged.replace(final)
    flush(final.parent)


def sweep(run: Path) -> None:
    """Remove what an interrupted save left; of a link only itself, for what it points to is not ours."""
    with suppress(OSError):
        remove(run / STAGING)


def checkpoints(run: Path) -> list[Path]:
    """Return a run's checkpoints, oldest first."""
    found = [(int(match[1]), path) for path in run.glob("checkpoint-*") if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def newest_whole(run: Path) -> Path | None:
    """Return the newest checkpoint that can be read to its end, or None."""
    return next((path for path in reversed(checkpoints(run)) if is_whole(path)), None)


def is_whole(checkpoint: Path) -> bool:
    """Whether weights, states and sums of a checkpoint are as they were written."""
    try:
        for name in ("trainer_state.json", STATE_FILE):
            json.loads((checkpoint / name).read_text())
        with safe_open(checkpoint / "model.safetensors", framework="pt") as weights:
            weights.keys()
        names = SHARDED_STATES if (checkpoint / SHARDED_STATES[0]).is_file() else ("optimizer.pt",)
        return all(ZipFile(checkpoint / name).testzip() is None for name in (*names, "scheduler.pt"))
    except (OSError, ValueError, SafetensorError, BadZipFile):
        return False


def keep_only(run: Path, wanted: set[str]) -> None:
    """Delete the checkpoints whose names are not wanted."""
    for path in checkpoints(run):
        if path.name not in wanted:
            remove(path)


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Save our part of a checkpoint."""
    (folder / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any]:
    """Load our part of a checkpoint."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text())
    return state
