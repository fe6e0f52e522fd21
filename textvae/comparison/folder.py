"""The output folder of a comparison: the settings of its runs, and a lock.

`comparison.json` holds the settings that each run was started with. A later call
may add configs and seeds, and evaluate differently. It may not change the
settings of an existing run, because the table would then describe a model that
nobody trained.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textvae.comparison.matrix import Trial
from textvae.errors import OutputError
from textvae.runs.run import SECTIONS
from textvae.runtime.files import is_temporary, read_json, write_json
from textvae.runtime.locks import hold_lock

_COMPARISON_FILE = "comparison.json"


@contextmanager
def lock_comparison_folder(folder: Path, trials: Sequence[Trial]) -> Iterator[None]:
    """Keep other comparisons out of the folder, and record the settings of the runs.

    Raises:
        OutputError: the folder holds other files, another comparison is running there, or a run
            was started with other settings.
    """
    # This check comes before the lock, too: a folder with other files must not get a lock file.
    _read_comparison(folder)
    with hold_lock(folder / ".lock", f"{folder}: another comparison is running there"):
        record_trials(folder, trials)
        yield


def record_trials(folder: Path, trials: Sequence[Trial]) -> None:
    """Record the settings of runs in a folder that this process has locked.

    Raises:
        OutputError: a run was started with other settings.
    """
    existing = _read_comparison(folder)
    requested = {trial.name: trial.settings for trial in trials}
    for name, settings in requested.items():
        if name in existing:
            _check_same_settings(folder, name, existing[name], settings)
    write_json(folder / _COMPARISON_FILE, {**existing, **requested})


def _read_comparison(folder: Path) -> dict[str, Any]:
    """Return the settings of the runs in a folder, by name; empty if the folder is new or empty.

    Raises:
        OutputError: the folder holds other files.
    """
    file = folder / _COMPARISON_FILE
    if file.is_file():
        return _read_comparison_file(file)
    if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        raise OutputError(
            f"{folder}: contains files that are not a comparison; choose another --output."
        )
    return {}


def _is_empty(folder: Path) -> bool:
    """Return whether a folder holds at most what a comparison killed at its start has left."""
    return all(path.name == ".lock" or is_temporary(path.name) for path in folder.iterdir())


def _read_comparison_file(file: Path) -> dict[str, Any]:
    """Return the content of a `comparison.json`: the settings of each run, by name.

    Raises:
        OutputError: the file is damaged or not ours, so it must not be overwritten.
    """
    try:
        record = read_json(file)
    except ValueError as error:
        raise OutputError(f"{file}: cannot be read ({error}); choose another --output.") from None
    if not isinstance(record, dict) or not record or not all(map(_is_settings, record.values())):
        raise OutputError(f"{file}: is not the record of a comparison; choose another --output.")
    return record


def _is_settings(value: object) -> bool:
    """Return whether a value of `comparison.json` has the sections of a run's settings."""
    return isinstance(value, dict) and value.keys() >= SECTIONS


def _check_same_settings(
    folder: Path, name: str, existing: dict[str, Any], requested: dict[str, Any]
) -> None:
    """Check that a run is requested with the settings that it was started with.

    Raises:
        OutputError: a setting differs; the message names the first one.
    """
    before = _flatten_settings(existing)
    now = _flatten_settings(requested)
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise OutputError(
                f"{folder}: {name} was started with {key} = {before.get(key)!r}, not "
                f"{now.get(key)!r}. Continue it as it was started, or choose another --output."
            )


def _flatten_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one dict with dotted keys, such as `model.latent_dim`."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            result.update(_flatten_settings(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result
