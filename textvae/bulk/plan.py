"""The plan of a bulk job: what a folder of shards holds, and which units are still to be done.

The plan is the file `_plan.json` next to the shards; readers of Parquet folders skip
names that begin with an underscore. It records the verb, its settings, and the
SHA-256 of the model and of every file. A job that differs in any of these may not
continue in the folder, because the shards would then be a mixture of two jobs.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from tqdm import tqdm

from textvae.bulk.reading import count_rows
from textvae.bulk.shards import remove_partial_shards, shard_path, write_whole
from textvae.bulk.units import Unit, cut_units
from textvae.data.encoder_tokenizer import ENCODER_TOKENIZER
from textvae.data.tables import Quoting, TableSettings
from textvae.errors import OutputError
from textvae.inference.model_folder import check_model_folder
from textvae.runtime.files import is_temporary, read_json
from textvae.runtime.locks import hold_lock
from textvae.schema import validate_settings
from textvae.terminal import is_bar_hidden

_PLAN_FILE = "_plan.json"

_MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    ENCODER_TOKENIZER,
    "tokenizer_config.json",
)


@dataclass(frozen=True)
class BulkPlan:
    """What a bulk job does. The fields are the keys of `_plan.json`.

    Attributes:
        verb: encode, score or generate.
        model: SHA-256 of the files of the model and the tokenizer.
        settings: the verb's settings, such as `samples` and `seed` for score.
        column: the text column of tables.
        files: name, SHA-256 and number of rows of each file; empty where sentences are generated.
        shard_rows: the most rows of a unit, and so of its shard.
        count: how many sentences to generate.
        quoting: how tables quote their fields.
        reading: how files are read apart from that, where it is not the default.
        format: format of the shards; 1 by default, because plans of that format do not name it.
    """

    verb: str
    model: str
    settings: dict[str, Any]
    column: str
    files: list[dict[str, Any]]
    shard_rows: int
    count: int = 0
    quoting: Quoting = "auto"
    reading: dict[str, Any] = field(default_factory=dict)
    format: int = 1

    def list_units(self) -> list[Unit]:
        """Return all units, in order."""
        rows_per_file = [(file["name"], file["rows"]) for file in self.files]
        return list(cut_units(rows_per_file or [(None, self.count)], self.shard_rows))

    def build_table_settings(self) -> TableSettings:
        """Return how the files are read."""
        values = {"quoting": self.quoting, **self.reading}
        if self.column:  # where sentences are generated, it is empty
            values["text_column"] = self.column
        return validate_settings(TableSettings, values, "data")


_PLAN_TYPE = TypeAdapter(BulkPlan)


def hash_model_files(run: Path) -> str:
    """Return the SHA-256 of a run's model and tokenizer.

    Raises:
        CheckpointError: the folder is not a finished run.
    """
    check_model_folder(run)
    return _hash_files(run / name for name in _MODEL_FILES)


def describe_files(
    root: Path,
    names: list[str],
    settings: TableSettings,
    existing: BulkPlan | None,
    progress: bool,
) -> list[dict[str, Any]]:
    """Return name, SHA-256 and number of rows of each file.

    Args:
        root: the folder of the files.
        names: the names of the files in that folder.
        settings: how the files are read.
        existing: an earlier plan; rows of the files that it describes are not counted again.
        progress: whether to show a progress bar.

    Raises:
        DataError: a file is damaged, or its column is not text.
    """
    known_counts = _read_known_counts(existing, settings)
    described = []
    for name in tqdm(names, desc="reading", unit="file", disable=is_bar_hidden(progress)):
        file_hash = _hash_files([root / name])
        rows = known_counts.get((name, file_hash))
        if rows is None:
            rows = count_rows(root / name, settings)
        described.append({"name": name, "sha256": file_hash, "rows": rows})
    return described


def _read_known_counts(
    existing: BulkPlan | None, settings: TableSettings
) -> dict[tuple[str, str], int]:
    """Return the number of rows of each file that a plan describes, by name and SHA-256."""
    # Another column or quoting can change the number of rows, or refuse the file.
    if existing is None or existing.build_table_settings() != settings:
        return {}
    return {(file["name"], file["sha256"]): file["rows"] for file in existing.files}


def _hash_files(files: Iterable[Path]) -> str:
    """Return one SHA-256 of the contents of all files that exist, in order."""
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def read_plan(folder: Path) -> BulkPlan | None:
    """Return the plan in a folder, or None if the folder is empty or does not exist.

    Raises:
        OutputError: the folder holds other files, or its plan is damaged.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file; expected a folder for the shards. Name another.")
    if not (folder / _PLAN_FILE).is_file():
        if any(_is_foreign(file.name) for file in folder.iterdir()):
            raise OutputError(
                f"{folder}: contains other files; name an empty folder, or one that does not exist."
            )
        return None
    try:
        # From JSON, because strict validation in Python would accept only a BulkPlan.
        content = json.dumps(read_json(folder / _PLAN_FILE))
        plan = _PLAN_TYPE.validate_json(content, strict=True)
        if not all(map(_is_file_record, plan.files)):
            raise ValueError("an entry of its files has other keys or types than expected")
        return plan
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise OutputError(
            f"{folder / _PLAN_FILE}: is not a valid plan ({reason}); name another folder."
        ) from None


def _is_file_record(entry: dict[str, Any]) -> bool:
    """Return whether an entry of a plan's files is one that `describe_files` returns."""
    types = {"name": str, "sha256": str, "rows": int}
    return entry.keys() == types.keys() and all(
        isinstance(entry[name], kind) and not isinstance(entry[name], bool)
        for name, kind in types.items()
    )


def _is_foreign(name: str) -> bool:
    """Return whether a file cannot come from a bulk job that was killed before it wrote its plan."""
    is_lock = name == ".lock"
    is_unfinished_plan = name.startswith(f".{_PLAN_FILE}")  # also those of earlier releases
    return not (is_lock or is_unfinished_plan or is_temporary(name))


@contextmanager
def lock_shard_folder(folder: Path, plan: BulkPlan) -> Iterator[list[Unit]]:
    """Lock the folder, write its plan or check it, and yield the units that are still to be done.

    Other jobs cannot use the folder until the block ends.

    Raises:
        OutputError: the folder is in use, cannot be written, or holds another job.
    """
    with hold_lock(folder / ".lock", f"{folder}: another process is writing there"):
        existing = read_plan(folder)
        if existing is None:
            text = json.dumps(asdict(plan), indent=2) + "\n"
            write_whole(folder / _PLAN_FILE, lambda file: file.write_text(text))
        else:
            _refuse_other_plan(folder, asdict(existing), asdict(plan))
        remove_partial_shards(folder)
        yield [unit for unit in plan.list_units() if not shard_path(folder, unit.number).is_file()]


def _refuse_other_plan(folder: Path, existing: dict[str, Any], requested: dict[str, Any]) -> None:
    """Compare the plan in a folder with the requested one.

    Raises:
        OutputError: they differ; the message names the first difference.
    """
    for name, before in existing.items():
        if requested[name] != before:
            raise OutputError(
                f"{folder}: was started with {_describe_difference(name, before, requested[name])}."
                " Continue it as it was started, or name another folder."
            )


def _describe_difference(name: str, before: Any, now: Any) -> str:
    """Say what a folder was started with: the old value of a field of its plan, and the new one."""
    if name == "model":
        return "another model"
    if name == "format":
        return "another version of textvae"
    if name == "files":
        # A file that was added, removed or changed is in one of the two lists only.
        unmatched = [file for file in [*before, *now] if file not in before or file not in now]
        changed = sorted({file["name"] for file in unmatched})
        more = ", ..." if len(changed) > 3 else ""
        return f"other files ({', '.join(changed[:3])}{more})"
    if name == "settings":
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        name = ", ".join(changed)
        before = ", ".join(str(before.get(key)) for key in changed)
        now = ", ".join(str(now.get(key)) for key in changed)
        return f"{name} = {before}, not {now}"
    return f"{name} = {before!r}, not {now!r}"
