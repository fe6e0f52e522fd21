"""The output folder of a comparison: what stands there, and that only one works at it.

`comparison.json` holds the settings each run was begun with. A second call may
add rows and seeds, and measure otherwise; it may not ask other settings of a
run that stands, for the table would then compare what nobody trained.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from textvae.comparison.matrix import Trial
from textvae.errors import OutputError

RECORD = "comparison.json"


@contextmanager
def opened(folder: Path, trials: Sequence[Trial]) -> Iterator[None]:
    """Hold the folder of a comparison, and note what its runs are.

    Raises:
        OutputError: something else stands there, another process works there, or a run was begun otherwise.
    """
    standing = read(folder)
    for trial in trials:
        if trial.name in standing:
            refuse_change(folder, trial.name, standing[trial.name], trial.settings)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            write(folder / RECORD, {**standing, **{trial.name: trial.settings for trial in trials}})
            yield
    except Timeout:
        raise OutputError(f"{folder}: another comparison is at work there; let it finish, or end it.") from None


def read(folder: Path) -> dict[str, Any]:
    """Return the settings of the runs that stand in a folder; nothing where it is empty or not there.

    Raises:
        OutputError: something else stands there.
    """
    file = folder / RECORD
    if file.is_file():
        standing: dict[str, Any] = json.loads(file.read_text())
        return standing
    if folder.exists() and (not folder.is_dir() or any(path.name != ".lock" for path in folder.iterdir())):
        raise OutputError(f"{folder}: holds something that is no comparison; choose another --output.")
    return {}


def write(file: Path, record: Any) -> None:
    """Write a JSON file whole or not at all."""
    beside = file.with_name(f".{file.name}")
    beside.write_text(json.dumps(record, indent=2) + "\n")
    beside.replace(file)


def refuse_change(folder: Path, name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse other settings for a run that stands, and say which differ."""
    old, new = flat(before), flat(now)
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise OutputError(
                f"{folder}: {name} was begun with {key} = {old.get(key)!r}, not {new.get(key)!r}. "
                "Go on as it was begun, or choose another --output."
            )


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        result.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return result
