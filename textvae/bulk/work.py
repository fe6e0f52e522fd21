"""The way in: from what the user asked for to a folder of shards."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq

from textvae.bulk.engines import ENGINES
from textvae.bulk.plan import FORMAT, BulkPlan, describe_files, hash_model_files, read_plan
from textvae.bulk.reading import find_corpus_files
from textvae.bulk.shards import shard_path
from textvae.bulk.verbs import VERBS
from textvae.bulk.worker import Job
from textvae.data.row_report import RowNumbers, report_blank_rows, report_cut_texts
from textvae.data.tables import Quoting
from textvae.errors import ConfigError
from textvae.runs.run import Run
from textvae.schema import choose, validate_settings


def run(
    verb: str,
    model: str | Path,
    output: str | Path,
    corpus: str | None = None,
    count: int = 0,
    engine: str = "accelerate",
    shard_rows: int | None = None,
    text_column: str | None = None,
    quoting: Quoting | None = None,
    device: str | None = None,
    progress: bool = False,
    **settings: Any,
) -> dict[str, Any] | None:
    """Do bulk work and return a record of it; None on processes beside the first.

    Args:
        verb: encode, score or generate.
        model: a run folder.
        output: a folder for the shards; what stands there of the same work is kept and gone on with.
        corpus: (encode, score) a file, a folder, a pattern or a bundled corpus.
        count: (generate) how many sentences.
        engine: accelerate (this process, or the ranks of torchrun or accelerate launch), or ray.
        shard_rows: rows a shard.
        text_column, quoting: of tables; by default those the run was trained with.
        settings: the verb's: samples and seed of score, decoding options and seed of generate.

    Raises:
        TextVAEError: something was refused, or went wrong on the way; what stands stays.
    """
    what, do = choose(VERBS, verb, "verb"), choose(ENGINES, engine, "engine")
    size = what.shard_rows if shard_rows is None else shard_rows
    if size < 1 or count < (0 if what.reads_files else 1):
        raise ConfigError(f"shard_rows = {size}, count = {count}: wanted are numbers from 1.")
    if what.reads_files and corpus is None:
        raise ConfigError(
            f"corpus = None: {verb} reads sentences; name a file, a folder or a pattern."
        )
    if not isinstance(corpus, str | Path | None):
        raise ConfigError(
            f"corpus is a {type(corpus).__name__}; name a file, a folder or a pattern to read."
        )
    if quoting is not None:
        choose(dict.fromkeys(get_args(Quoting)), quoting, "quoting")
    options = validate_settings(what.Settings, settings, verb).model_dump()
    source, start = corpus if what.reads_files else None, time.perf_counter()
    asked = BulkPlan(verb, "", options, text_column or "", [], size, count, format=FORMAT)
    written = do(
        device,
        lambda: _build_job(asked, Path(model), Path(output), source, device, progress, quoting),
        progress,
    )
    return (
        None
        if written is None
        else _summarize_shards(Path(output), written, time.perf_counter() - start)
    )


def _build_job(
    asked: BulkPlan,
    model: Path,
    output: Path,
    corpus: str | None,
    device: str | None,
    progress: bool,
    quoting: Quoting | None = None,
) -> Job:
    """Return the job: what is asked, with the model's fingerprint and the files' filled in.

    Raises:
        DataError: the corpus is missing or damaged, or has no row.
        CheckpointError, OutputError: the model or the output is not what it should be.
    """
    fingerprint = hash_model_files(model)
    if corpus is None:
        return Job(model, replace(asked, model=fingerprint), Path(), output, device)
    data = Run(model).read_settings().data
    column, quoting = asked.column or data.text_column, quoting or data.quoting
    root, names = find_corpus_files(corpus)
    files = describe_files(root, names, column, read_plan(output), progress, quoting)
    plan = replace(asked, model=fingerprint, column=column, quoting=quoting, files=files)
    return Job(model, plan, root, output, device)


def _summarize_shards(output: Path, written: int, seconds: float) -> dict[str, Any]:
    """Return what stands in the folder now, and what this run did for it; say how many rows are blank or cut."""
    plan = read_plan(output)
    assert plan is not None
    rows = sum(file["rows"] for file in plan.files) or plan.count
    shards = {"shards": len(plan.units()), "written_now": written}
    record = {
        "output": str(output),
        "verb": plan.verb,
        "rows": rows,
        **shards,
        "seconds": round(seconds, 2),
    }
    if not plan.files:
        return record
    blank, cut = _find_blank(output, plan), _find_cut(output, plan)
    report_blank_rows(str(output), blank, rows)
    report_cut_texts(str(output), cut)
    return {**record, "blank": blank.count, "cut": cut.count}


def _find_blank(output: Path, plan: BulkPlan) -> RowNumbers:
    """Return the blank rows, those in no shard, by file and number."""
    places = RowNumbers()
    for unit in plan.units():
        file = shard_path(output, unit.number)
        if pq.read_metadata(file).num_rows == unit.rows:
            continue
        present = set(pq.read_table(file, columns=["row"])["row"].to_pylist())
        for row in range(unit.first + 1, unit.first + unit.rows + 1):
            if row not in present:
                places.add(f"{row} of {unit.file}")
    return places


def _find_cut(output: Path, plan: BulkPlan) -> RowNumbers:
    """Return the rows of which only the beginning was read, by file and number."""
    places = RowNumbers()
    for unit in plan.units():
        table = pq.read_table(shard_path(output, unit.number), columns=["row", "is_cut"])
        for row in table.filter(table["is_cut"])["row"].to_pylist():
            places.add(f"{row} of {unit.file}")
    return places
