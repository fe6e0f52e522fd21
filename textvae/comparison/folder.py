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

from textvae.comparison.matrix import Trial
from textvae.errors import OutputError
from textvae.runs.run import SECTIONS
from textvae.runtime.files import is_temporary, write_json
from textvae.runtime.locks import hold_lock

_COMPARISON_FILE = "comparison.json"


@contextmanager
def lock_comparison_folder(folder: Path, trials: Sequence[Trial]) -> Iterator[None]:
    """Hold the folder of a comparison, and note what its runs are.

    Raises:
        OutputError: something else stands there, another process works there, or a run was begun otherwise.
    """
    _read_comparison(
        folder
    )  # refused before the lock leaves its file in a folder of something else
    with hold_lock(folder / ".lock", f"{folder}: another comparison is at work there"):
        standing = _read_comparison(folder)
        for trial in trials:
            if trial.name in standing:
                _refuse_changed_settings(folder, trial.name, standing[trial.name], trial.settings)
        write_json(
            folder / _COMPARISON_FILE,
            {**standing, **{trial.name: trial.settings for trial in trials}},
        )
        yield


def _read_comparison(folder: Path) -> dict[str, Any]:
    """Return the settings of the runs that stand in a folder; nothing where it is empty or not there.

    Raises:
        OutputError: something else stands there.
    """
    file = folder / _COMPARISON_FILE
    if file.is_file():
        return _read_record(file)
    if folder.exists() and (
        not folder.is_dir()
        or any(path.name != ".lock" and not is_temporary(path.name) for path in folder.iterdir())
    ):
        raise OutputError(
            f"{folder}: holds something that is no comparison; choose another --output."
        )
    return {}


def _read_record(file: Path) -> dict[str, Any]:
    """Return the settings of each run that a comparison has noted.

    Raises:
        OutputError: the file is damaged, or not ours; it must not be written over.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file}: cannot be read ({error}); choose another --output.") from None
    runs = list(record.values()) if isinstance(record, dict) else []
    if not runs or not all(
        isinstance(settings, dict) and settings.keys() >= SECTIONS for settings in runs
    ):
        raise OutputError(f"{file}: is not the record of a comparison; choose another --output.")
    return dict(record)


def _refuse_changed_settings(
    folder: Path, name: str, before: dict[str, Any], now: dict[str, Any]
) -> None:
    """Refuse other settings for a run that stands, and say which differ."""
    old, new = _flatten_settings(before), _flatten_settings(now)
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise OutputError(
                f"{folder}: {name} was begun with {key} = {old.get(key)!r}, not {new.get(key)!r}. "
                "Go on as it was begun, or choose another --output."
            )


def _flatten_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        result.update(
            _flatten_settings(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else {f"{prefix}{key}": value}
        )
    return result
