"""The output folder of a comparison: the settings of its runs, and a lock.

`comparison.json` holds the settings that each run was started with. A later call
may add configs and seeds, and evaluate differently. It may not change the
settings of an existing run, because the table would then describe a model that
nobody trained.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textvae.comparison.matrix import Trial
from textvae.errors import OutputError
from textvae.runs.run import SECTIONS
from textvae.runtime.files import is_temporary, write_json
from textvae.runtime.locks import hold_lock

_COMPARISON_FILE = "comparison.json"


@contextmanager
def lock_comparison_folder(folder: Path, trials: Sequence[Trial]) -> Iterator[None]:
    """Keep other comparisons out of the folder, and record the settings of the runs.

    Raises:
        OutputError: the folder holds other files, another comparison is running there, or a run
            was started with other settings.
    """
    # Check before locking, too: a lock file must not be created in a folder with other files.
    _read_comparison(folder)
    with hold_lock(folder / ".lock", f"{folder}: another comparison is running there"):
        existing = _read_comparison(folder)
        requested = {trial.name: trial.settings for trial in trials}
        for name, settings in requested.items():
            if name in existing:
                _refuse_changed_settings(folder, name, existing[name], settings)
        write_json(folder / _COMPARISON_FILE, {**existing, **requested})
        yield


def _read_comparison(folder: Path) -> dict[str, Any]:
    """Return the settings of the runs in a folder; empty if the folder is new or empty.

    Raises:
        OutputError: the folder holds other files.
    """
    file = folder / _COMPARISON_FILE
    if file.is_file():
        return _read_record(file)
    if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        raise OutputError(
            f"{folder}: contains files that are not a comparison; choose another --output."
        )
    return {}


def _is_empty(folder: Path) -> bool:
    """Whether a folder has no files, except those of a comparison that was killed at its start."""
    return all(path.name == ".lock" or is_temporary(path.name) for path in folder.iterdir())


def _read_record(file: Path) -> dict[str, Any]:
    """Return the settings of each run in a `comparison.json`.

    Raises:
        OutputError: the file is damaged or not ours, so it must not be overwritten.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file}: cannot be read ({error}); choose another --output.") from None
    if not isinstance(record, dict) or not record or not all(map(_is_settings, record.values())):
        raise OutputError(f"{file}: is not the record of a comparison; choose another --output.")
    return record


def _is_settings(value: object) -> bool:
    """Whether a value of `comparison.json` has the sections of a run's settings."""
    return isinstance(value, dict) and value.keys() >= SECTIONS


def _refuse_changed_settings(
    folder: Path, name: str, before: dict[str, Any], now: dict[str, Any]
) -> None:
    """Raise an OutputError that names the first setting of a run that differs, if any does."""
    old = _flatten_settings(before)
    new = _flatten_settings(now)
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise OutputError(
                f"{folder}: {name} was started with {key} = {old.get(key)!r}, not {new.get(key)!r}."
                " Continue it as it was started, or choose another --output."
            )


def _flatten_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted keys."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            result.update(_flatten_settings(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result
