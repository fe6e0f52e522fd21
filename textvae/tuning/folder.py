"""The output folder of a search: what it was started with, and a lock.

study.json   the settings that the search started from, the corpus, the search space
study.db     Optuna's database of the trials
trials/      the run of the best trial, and the log of each trial
trials.json  trials.csv   the table
best.yaml    the best settings, for `textvae train --config`
front/       the settings of each trial on the Pareto front
front.svg    the picture
cache/       during a search: the prepared corpus
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from textvae.data.sources import is_pipe, list_corpus_files
from textvae.errors import ConfigError, DataError, OutputError
from textvae.runtime.files import is_temporary, read_json, write_json
from textvae.runtime.locks import hold_lock
from textvae.runtime.paths import require_path
from textvae.settings.run import Settings

STUDY_FILE = "study.json"
CACHE_FOLDER = "cache"

_TRIALS_FOLDER = "trials"
_LOCK = ".lock"
_CHUNK_BYTES = 2**20

# The entries of study.json that a later call must repeat, with what a message calls them.
_FIXED_ENTRIES = {
    "corpus": "another corpus",
    "settings": "other settings",
    "search": "another search space",
    "goal": "another goal",
    "kl_floor": "another --kl-floor",
    "seed": "another seed",
}


def describe_corpus(corpus: object) -> dict[str, str]:
    """Return the name of a corpus, and a digest of its content.

    A corpus that is no local file or folder has no digest.

    Args:
        corpus: a path or name, or a list of sentences.

    Raises:
        ConfigError: it is something else.
        DataError: it can be read only once.
    """
    if isinstance(corpus, str | Path):
        path = require_path(corpus, "corpus")
        name = str(path)
        if name == "-" or is_pipe(name):
            raise DataError(
                f"{name}: can be read only once, and every trial reads the corpus; save it as a file."
            )
        files = list_corpus_files(name)
        return {"name": name, "digest": _digest_files(files) if files else ""}
    if isinstance(corpus, list | tuple) and all(isinstance(text, str) for text in corpus):
        text = json.dumps(corpus)
        return {"name": "", "digest": sha256(text.encode()).hexdigest()}
    raise ConfigError(
        "corpus: expected the path or name of a corpus, or a list of sentences; save a table as a "
        f"file, such as my.csv (got {type(corpus).__name__})."
    )


def _digest_files(files: Iterable[Path]) -> str:
    """Return a digest of the content of some files, in their order."""
    digest = sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        digest.update(b"\0")
    return digest.hexdigest()


@contextmanager
def lock_study_folder(folder: Path) -> Iterator[None]:
    """Keep other searches out of a folder.

    Raises:
        OutputError: the folder holds other files, or another search is running there.
    """
    # This check comes before the lock: a folder with other files must not get a lock file.
    read_study_file(folder)
    with hold_lock(folder / _LOCK, f"{folder}: another search is running there"):
        yield


def read_study_file(folder: Path) -> dict[str, Any] | None:
    """Return what a search was started with; None if the folder is new or empty.

    Raises:
        OutputError: the folder holds other files, or a damaged study.json.
    """
    file = folder / STUDY_FILE
    if not file.is_file():
        if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
            raise OutputError(
                f"{folder}: contains files that are not a search; choose another --output."
            )
        return None
    try:
        record = read_json(file)
    except ValueError as error:
        raise OutputError(f"{file}: cannot be read ({error}); choose another --output.") from None
    if not isinstance(record, dict) or not record.keys() >= {*_FIXED_ENTRIES, "space"}:
        raise OutputError(f"{file}: is not the record of a search; choose another --output.")
    return record


def _is_empty(folder: Path) -> bool:
    """Return whether a folder holds at most what a search killed at its start has left."""
    names = (_LOCK, CACHE_FOLDER)
    return all(path.name in names or is_temporary(path.name) for path in folder.iterdir())


def check_same_study(
    folder: Path, existing: Mapping[str, Any], requested: Mapping[str, Any]
) -> None:
    """Check that a search continues as it was started.

    Raises:
        OutputError: an entry differs; the message names the first one.
    """
    now = json.loads(json.dumps(requested))  # tuples become lists, as in the file
    for name, what in _FIXED_ENTRIES.items():
        if existing[name] != now[name]:
            raise OutputError(
                f"{folder}: the search there was started with {what}"
                f"{_describe_difference(existing[name], now[name])}, so its trials cannot be "
                "compared with new ones. Repeat its command, or choose another --output."
            )


def _describe_difference(before: Any, now: Any, path: str = "") -> str:
    """Return the first entry that differs, as a message has it; empty for long values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            if before.get(key) != now.get(key):
                inner = f"{path}.{key}" if path else str(key)
                return _describe_difference(before.get(key), now.get(key), inner)
    name = f"{path} = " if path else ""
    return f" ({name}{str(before)[:80]}, not {str(now)[:80]})"


def write_study_file(folder: Path, record: Mapping[str, Any]) -> None:
    """Record what a search was started with."""
    write_json(folder / STUDY_FILE, dict(record))


def with_cache(settings: Settings, folder: Path) -> Settings:
    """Return settings with which the prepared corpus is cached in the folder of a search."""
    if settings.data.cache != "auto" or settings.data.corpus is None:
        return settings
    data = settings.data.model_copy(update={"cache": str((folder / CACHE_FOLDER).resolve())})
    return settings.model_copy(update={"data": data})


def locate_run(folder: Path, number: int) -> Path:
    """Return the run folder of a trial, in the folder of its search."""
    return folder / _TRIALS_FOLDER / f"trial-{number:03d}"
