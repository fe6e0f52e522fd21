"""Compare: train a matrix of configs and seeds, measure every run, and put them side by side."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from textvae.comparison.folder import lock_comparison_folder
from textvae.comparison.matrix import build_trials
from textvae.comparison.report.formats import FORMATS, format_runs_csv
from textvae.comparison.report.plots import REPORT_REQUIREMENTS
from textvae.comparison.report.table import group_rows, select_columns
from textvae.comparison.runner import build_run_record, list_commands, run_all
from textvae.errors import ConfigError
from textvae.runtime.device import choose_device
from textvae.runtime.extras import check_installed
from textvae.runtime.files import write_json, write_text


def compare(
    configs: Sequence[str | Path],
    output: str | Path,
    seeds: int = 3,
    corpora: Sequence[str] = (),
    overrides: Sequence[str] = (),
    samples: int = 500,
    limit: int | None = None,
    columns: Sequence[str] = (),
    jobs: int = 1,
    device: str | None = None,
) -> list[dict[str, Any]]:
    """Train and measure each config under each seed; write tables and a report; return a record a run.

    What stands in `output` is not done again; an interrupted run goes on from
    its checkpoint. A run that fails has its `reason` in its record, and the
    others are finished.

    Args:
        configs: YAML files.
        output: the folder; runs are in `runs/CONFIG/seed-N`, or `runs/CONFIG-CORPUS/seed-N`.
        corpora: on which to train each config; by default its own.
        overrides: `section.key=value`, for all configs.
        samples, limit: of the evaluation on the test split, as for `evaluate`.
        columns: keys of further measures for the table.
        jobs: runs trained at a time, each on its share of the cores.

    Raises:
        TextVAEError: something was refused; nothing has been trained then.
    """
    for name, value in {
        "samples": samples,
        "jobs": jobs,
        "limit": 1 if limit is None else limit,
    }.items():
        if value < 1:
            raise ConfigError(f"{name} = {value}: wanted is a number from 1.")
    if "RANK" in os.environ:
        raise ConfigError(
            "compare starts its own processes: call it alone, without torchrun or accelerate launch."
        )
    check_installed(*REPORT_REQUIREMENTS)
    choose_device(device)
    folder = Path(output)
    trials = build_trials(configs, corpora, seeds, overrides, folder)
    with lock_comparison_folder(folder, trials):
        todo = {
            trial.name: (trial, left)
            for trial in trials
            if (left := list_commands(trial, samples, limit, device))
        }
        _print_progress(f"{len(trials)} runs, {len(trials) - len(todo)} of them done before")
        failures = run_all(todo, jobs, _print_progress)
        records = [build_run_record(trial, failures.get(trial.name)) for trial in trials]
        _write_results(folder, records, columns)
    return records


def _print_progress(line: str) -> None:
    """Say how it goes."""
    tqdm.write(line, file=sys.stderr)


def _write_results(folder: Path, records: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write the tables, every run's record, and the report."""
    from textvae.comparison.report.page import render_comparison

    rows, shown = group_rows(records), select_columns(columns)
    failures = [
        f"{record['config']} seed {record['seed']} failed: {record['reason']}"
        for record in records
        if record["reason"]
    ]
    for name, written in FORMATS.items():
        write_text(folder / name, written(rows, shown, failures))
    write_text(folder / "runs.csv", format_runs_csv(records))
    write_json(folder / "runs.json", records)
    write_text(folder / "report.html", render_comparison(rows, shown, failures))
