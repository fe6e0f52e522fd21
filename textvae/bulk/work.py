"""Run a bulk job: check the request, plan the units, and let an engine write the shards."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import pyarrow.parquet as pq

from textvae.bulk.defaults import DEFAULT_ENGINE, DEFAULT_SHARD_ROWS
from textvae.bulk.engines import ENGINES
from textvae.bulk.plan import BulkPlan, describe_files, hash_model_files, read_plan
from textvae.bulk.reading import find_corpus_files
from textvae.bulk.shards import shard_path
from textvae.bulk.units import Unit
from textvae.bulk.verbs import VERBS
from textvae.bulk.worker import Job
from textvae.data.row_report import RowNumbers, report_blank_rows, report_cut_texts
from textvae.data.table_options import refuse_unused_options
from textvae.data.tables import TableOptions, TableSettings, override_table_settings
from textvae.errors import ConfigError
from textvae.runs.hub import locate_run
from textvae.runs.run import Run
from textvae.runtime.files import read_json
from textvae.runtime.paths import require_path
from textvae.schema import MAX_COUNT, choose, require_integer, validate_settings
from textvae.uses.options import BulkOptions
from textvae.uses.records import BulkRecord
from textvae.uses.settings import GenerateSettings


def run(
    verb: str,
    model: str | Path,
    output: str | Path,
    corpus: str | None = None,
    n: int | None = None,
    engine: str = DEFAULT_ENGINE,
    shard_rows: int | None = None,
    tables: TableOptions | None = None,
    device: str | None = None,
    progress: bool = False,
    **settings: Unpack[BulkOptions],
) -> BulkRecord | None:
    """Run a bulk job and return a record of it; None on every process but the first.

    Args:
        verb: encode, score or generate.
        model: a run folder, or the name of a repository on the Hugging Face Hub.
        output: the folder for the shards; finished shards of the same job are kept.
        corpus: (encode, score) a file, a folder, a pattern or a bundled corpus.
        n: (generate) number of sentences, by default that of `TextVAE.generate`.
        engine: accelerate (this process, or the ranks of torchrun or accelerate launch), or ray.
        shard_rows: the most rows in a shard; by default the verb's number in
            `DEFAULT_SHARD_ROWS`.
        tables: how the files are read, where that differs from the run's training.
        device: cpu or cuda; by default a GPU if there is one.
        progress: whether to show progress bars.
        settings: the verb's settings: for score `samples` and `seed`, for generate the decoding
            options, which include `seed`; encode has none.

    Returns:
        `output`, `verb`, `rows` (of the corpus, or generated), `shards` (all of them),
        `written_now` (shards that this call wrote) and `seconds`; for a corpus also `blank`
        and `cut`, the numbers of rows that were left out and of texts that were cut.

    Raises:
        TextVAEError: the request is refused, or the job failed; finished shards remain.
    """
    bulk_verb = choose(VERBS, verb, "verb")
    run_engine = choose(ENGINES, engine, "engine")
    max_rows = DEFAULT_SHARD_ROWS[verb]
    if shard_rows is not None:
        max_rows = require_integer(shard_rows, "shard_rows")
    count = 0 if bulk_verb.reads_files else _check_count(n, max_rows)
    if bulk_verb.reads_files and corpus is None:
        raise ConfigError(
            f"corpus = None: {verb} reads sentences; name a file, a folder or a pattern."
        )
    _check_corpus(corpus)
    override_table_settings(TableSettings(), tables)  # raises ConfigError before the work begins
    run_folder = locate_run(model)
    folder = require_path(output, "output")
    # As JSON has them, so that they can be compared with those of the plan that is in the folder.
    options = validate_settings(bulk_verb.Settings, dict(settings), verb).model_dump(mode="json")
    source = corpus if bulk_verb.reads_files else None
    # The hashes of model and files are still missing: see `_build_job`.
    requested = BulkPlan(
        verb=verb,
        model="",
        settings=options,
        column="",
        files=[],
        shard_rows=max_rows,
        count=count,
        format=bulk_verb.format,
    )
    start = time.perf_counter()
    # The job is passed as a function: only the first process builds it, which hashes the files.
    written = run_engine(
        device,
        lambda: _build_job(requested, run_folder, folder, source, device, progress, tables),
        progress,
    )
    if written is None:
        return None
    return _summarize_shards(folder, written, time.perf_counter() - start)


def _check_count(n: int | None, shard_rows: int) -> int:
    """Return the number of sentences to generate.

    Raises:
        ConfigError: it is not a count, or needs more shards than a job can list.
    """
    if n is None:
        return GenerateSettings().n
    count = require_integer(n, "n")
    if count > MAX_COUNT * shard_rows:
        raise ConfigError(
            f"n = {n}: expected at most {MAX_COUNT:,} shards of {shard_rows:,} rows each; "
            "raise shard_rows, or generate fewer sentences."
        )
    return count


def _check_corpus(corpus: object) -> None:
    """Check the type of the corpus.

    Raises:
        ConfigError: the corpus is not a path or a name.
    """
    if not isinstance(corpus, str | Path | None):
        raise ConfigError(
            f"corpus is a {type(corpus).__name__}; name a file, a folder or a pattern to read."
        )


def _build_job(
    requested: BulkPlan,
    model: Path,
    output: Path,
    corpus: str | None,
    device: str | None,
    progress: bool,
    tables: TableOptions | None = None,
) -> Job:
    """Complete the requested plan with the hashes of model and files, and return the job.

    Raises:
        ConfigError: the verb needs the label of each sentence, which no unit reads.
        DataError: the corpus is missing or damaged, or has no row.
        CheckpointError: the model is not a finished run.
        OutputError: the output folder holds other files.
    """
    model_hash = hash_model_files(model)
    if requested.verb == "score" and read_json(model / "config.json").get("labels"):
        raise ConfigError(
            f"{model}: the scores of this model depend on the label of a sentence, and shards are "
            f"written without labels. Leave --output out: textvae score {model} {corpus} --json "
            "reads the column of labels, and writes one line for each sentence."
        )
    if corpus is None:
        return Job(model, replace(requested, model=model_hash), Path(), output, device)
    settings = override_table_settings(Run(model).read_settings().data, tables)
    root, names = find_corpus_files(corpus)
    refuse_unused_options([root / name for name in names], corpus, settings, tables)
    files = describe_files(root, names, settings, read_plan(output), progress)
    plan = replace(
        requested,
        model=model_hash,
        column=settings.text_column,
        quoting=settings.quoting,
        reading=_list_unusual_settings(settings),
        files=files,
    )
    return Job(model, plan, root, output, device)


def _list_unusual_settings(settings: TableSettings) -> dict[str, Any]:
    """Return the settings that differ from their defaults, apart from the older keys of a plan."""
    defaults = TableSettings().model_dump()
    return {
        name: value
        for name, value in settings.model_dump().items()
        if value != defaults[name] and name not in ("text_column", "quoting")
    }


def _summarize_shards(output: Path, written: int, seconds: float) -> BulkRecord:
    """Return the record of a finished job, and report how many rows are blank or cut.

    Args:
        written: how many shards this call of `run` wrote.
        seconds: how long it took.
    """
    plan = read_plan(output)
    assert plan is not None
    rows = sum(file["rows"] for file in plan.files) or plan.count
    record = BulkRecord(
        output=str(output),
        verb=plan.verb,
        rows=rows,
        shards=len(plan.list_units()),
        written_now=written,
        seconds=round(seconds, 2),
    )
    if not plan.files:
        return record
    # Counted in the shards, not while working: most shards may be those of an earlier call.
    blank = _find_blank_rows(output, plan)
    cut = _find_cut_rows(output, plan)
    report_blank_rows(str(output), blank, rows)
    report_cut_texts(str(output), cut)
    record["blank"] = blank.count
    record["cut"] = cut.count
    return record


def _find_blank_rows(output: Path, plan: BulkPlan) -> RowNumbers:
    """Return number and file of the blank rows, which are the rows that no shard has."""
    blank = RowNumbers()
    for unit in plan.list_units():
        for row in _list_missing_rows(shard_path(output, unit.number), unit):
            blank.add(f"{row} of {unit.file}")
    return blank


def _list_missing_rows(shard: Path, unit: Unit) -> Iterator[int]:
    """Yield the numbers of the rows of a unit that its shard does not have."""
    # Usually no row is missing, and the metadata are enough to know that.
    if pq.read_metadata(shard).num_rows == unit.rows:
        return
    present = set(pq.read_table(shard, columns=["row"])["row"].to_pylist())
    for row in range(unit.first_row + 1, unit.first_row + unit.rows + 1):
        if row not in present:
            yield row


def _find_cut_rows(output: Path, plan: BulkPlan) -> RowNumbers:
    """Return number and file of the rows whose texts are longer than the model reads."""
    cut = RowNumbers()
    for unit in plan.list_units():
        table = pq.read_table(shard_path(output, unit.number), columns=["row", "is_cut"])
        for row in table.filter(table["is_cut"])["row"].to_pylist():
            cut.add(f"{row} of {unit.file}")
    return cut
