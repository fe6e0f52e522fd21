"""The plan: what a folder of shards holds, and what is still to be done.

`_plan.json` stands beside the shards (readers of Parquet folders pass over
names that begin so) and tells the model, the verb, its settings and the files,
by fingerprint: a restart with anything else is refused, since the folder would
then hold a mixture.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from textvae.bulk.reading import count_rows
from textvae.bulk.shards import remove_partial_shards, shard_path, write_whole
from textvae.bulk.units import Unit, cut_units
from textvae.data.tables import Quoting
from textvae.errors import OutputError
from textvae.inference.checkpoint import check_model_folder
from textvae.runtime.files import is_temporary
from textvae.runtime.locks import hold_lock

_PLAN_FILE = "_plan.json"


FORMAT = 2  # of the shards: rows are counted from 1, and is_cut says which texts were too long


_MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


@dataclass(frozen=True)
class BulkPlan:
    """What is to be done.

    Attributes:
        model: the SHA-256 of the model's and the tokenizer's files.
        column: of the text, in tables.
        files: name, SHA-256 and number of rows of each; empty where sentences are generated.
        shard_rows: most rows in a shard.
        count: sentences to generate.
        quoting: of tables.
        format: of the shards; plans of before there was more than one do not say.
    """

    verb: str
    model: str
    settings: dict[str, Any]
    column: str
    files: list[dict[str, Any]]
    shard_rows: int
    count: int = 0
    quoting: Quoting = "auto"
    format: int = 1

    def units(self) -> list[Unit]:
        """Return the work, in order."""
        return list(
            cut_units(
                [(file["name"], file["rows"]) for file in self.files] or [(None, self.count)],
                self.shard_rows,
            )
        )


def _hash_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the files' contents, those that are not there left out."""
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def hash_model_files(run: Path) -> str:
    """Return the fingerprint of a run's model and tokenizer.

    Raises:
        CheckpointError: it is no finished run.
    """
    check_model_folder(run)
    return _hash_files(run / name for name in _MODEL_FILES)


def describe_files(
    root: Path,
    names: list[str],
    column: str,
    standing: BulkPlan | None,
    progress: bool,
    quoting: Quoting = "auto",
) -> list[dict[str, Any]]:
    """Return name, fingerprint and rows of each file; rows that were counted before are not counted again."""
    is_same_reading = standing is not None and (standing.column, standing.quoting) == (
        column,
        quoting,
    )
    counted = (
        {(file["name"], file["sha256"]): file["rows"] for file in standing.files}
        if standing and is_same_reading
        else {}
    )
    described = []
    for name in tqdm(names, desc="reading", unit="file", disable=not progress):
        mark = _hash_files([root / name])
        rows = counted.get((name, mark))
        if rows is None:
            rows = count_rows(root / name, column, quoting)
        described.append({"name": name, "sha256": mark, "rows": rows})
    return described


def read_plan(folder: Path) -> BulkPlan | None:
    """Return the plan that stands in a folder, None where the folder is empty or not there.

    Raises:
        OutputError: something else stands there.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file; wanted is a folder for the shards.")
    if not (folder / _PLAN_FILE).is_file():
        if any(_is_foreign(file.name) for file in folder.iterdir()):
            raise OutputError(
                f"{folder}: holds something else; give an empty folder, or one that is not there yet."
            )
        return None
    try:
        return BulkPlan(**json.loads((folder / _PLAN_FILE).read_text()))
    except (ValueError, TypeError) as error:
        raise OutputError(
            f"{folder / _PLAN_FILE}: is no plan of ours ({error}); name another folder."
        ) from None


def _is_foreign(name: str) -> bool:
    """Whether a file is none of those that stand in a folder before its plan does."""
    return not (name == ".lock" or name.startswith(f".{_PLAN_FILE}") or is_temporary(name))


@contextmanager
def lock_shard_folder(folder: Path, plan: BulkPlan) -> Iterator[list[Unit]]:
    """Yield the units that are still to be done, while nobody else may work in the folder.

    Raises:
        OutputError: the folder is in use, cannot be written, or holds other work.
    """
    with hold_lock(folder / ".lock", f"{folder}: another process is writing there"):
        standing = read_plan(folder)
        if standing is None:
            text = json.dumps(asdict(plan), indent=2) + "\n"
            write_whole(folder / _PLAN_FILE, lambda file: file.write_text(text))
        else:
            _refuse_other_work(folder, asdict(standing), asdict(plan))
        remove_partial_shards(folder)
        yield [unit for unit in plan.units() if not shard_path(folder, unit.number).is_file()]


def _refuse_other_work(folder: Path, standing: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to go on with a folder that was begun otherwise, and say what differs."""
    for name, before in standing.items():
        if asked[name] != before:
            raise OutputError(
                f"{folder}: was begun with {_describe_difference(name, before, asked[name])}. "
                "Go on as it was begun, or name another folder."
            )


def _describe_difference(name: str, before: Any, now: Any) -> str:
    """Say what something was before that it is not now."""
    if name in ("model", "format"):
        return "another model" if name == "model" else "another version of textvae"
    if name == "files":
        changed = sorted(
            {file["name"] for file in [*before, *now] if file not in before or file not in now}
        )
        return f"other files ({', '.join(changed[:3])}{', ...' if len(changed) > 3 else ''})"
    return f"{name} = {before!r}, not {now!r}"
