"""Compare configs: train each under several seeds, evaluate every run, and tabulate them."""

from collections.abc import Sequence
from pathlib import Path

from textvae.comparison.folder import lock_comparison_folder, record_trials
from textvae.comparison.matrix import Trial, build_trials
from textvae.comparison.report.formats import FORMATS, format_runs_csv
from textvae.comparison.report.table import TableColumn, group_rows, select_columns
from textvae.comparison.runner import build_run_record, list_commands, run_all
from textvae.comparison.schedules import (
    describe_schedules,
    list_language_models,
    match_steps,
    split_reference,
)
from textvae.errors import ConfigError
from textvae.evaluation.settings import DEFAULT_IMPORTANCE_SAMPLES, CompareSettings
from textvae.messages import print_lines
from textvae.runtime.device import choose_device
from textvae.runtime.extras import REPORT_REQUIREMENTS, check_installed
from textvae.runtime.files import write_json, write_text
from textvae.runtime.launch import has_several_processes
from textvae.runtime.paths import require_path
from textvae.schema import require_list, validate_settings
from textvae.settings.examples import find_config
from textvae.terminal import escape_controls
from textvae.uses.records import ComparedRun


def compare(
    configs: Sequence[str | Path],
    output: str | Path,
    *,
    seeds: int = 3,
    corpora: Sequence[str] = (),
    overrides: Sequence[str] = (),
    samples: int = DEFAULT_IMPORTANCE_SAMPLES,
    limit: int | None = None,
    columns: Sequence[str] = (),
    jobs: int = 1,
    equal_steps: bool = False,
    device: str | None = None,
) -> list[ComparedRun]:
    """Train and evaluate each config under each seed; write tables and a report.

    Finished runs in `output` are not repeated, and an interrupted run continues
    from its checkpoint. If a run fails, its record has a `reason`, and the other
    runs are finished.

    Args:
        configs: YAML files, or names of example configs, such as `ptb/free_bits`.
        output: the folder; runs are in `runs/CONFIG/seed-N`, or `runs/CONFIG-CORPUS/seed-N`.
        seeds: number of runs of each config, with the seeds 1, 2, ...
        corpora: corpora to train each config on; by default its own.
        overrides: `section.key=value`, for all configs.
        samples: importance samples per sentence of the test split.
        limit: evaluate on the first `limit` sentences of the test split only.
        columns: keys of measures to show in the table in addition to the usual ones.
        jobs: number of runs trained at the same time, each on its share of the cores.
        equal_steps: train the first config first, and every other one for as many steps as its run
            with the same corpus and seed, over a schedule of its own. A language model then keeps
            its last checkpoint.
        device: cpu or cuda; by default a GPU if there is one.

    Returns:
        One record per run, with its standard measures unless it failed.

    Raises:
        TextVAEError: the request is refused, before anything is trained.
    """
    options = {
        "seeds": seeds,
        "samples": samples,
        "limit": limit,
        "jobs": jobs,
        "equal_steps": equal_steps,
    }
    settings = validate_settings(CompareSettings, options, "compare")
    if has_several_processes():
        raise ConfigError(
            "compare starts its own processes: run it without torchrun or accelerate launch."
        )
    check_installed(*REPORT_REQUIREMENTS)
    table_columns = select_columns(require_list(columns, "columns"))
    choose_device(device)  # raises an error if the device cannot be used
    folder = require_path(output, "output")
    trials = build_trials(
        [find_config(config) for config in require_list(configs, "configs")],
        [str(require_path(corpus, "corpus")) for corpus in require_list(corpora, "corpora")],
        settings.seeds,
        require_list(overrides, "overrides"),
        folder,
    )
    # With equal steps, the settings of the other configs follow from the runs of the first one.
    first, others = split_reference(trials) if settings.equal_steps else (trials, [])
    if settings.equal_steps and not others:
        raise ConfigError(
            "--equal-steps has no effect on a single config: the others get as many steps as the "
            "first one. Name another config, or leave the option out (equal_steps in Python)."
        )
    with lock_comparison_folder(folder, first):
        failures = _run_trials(first, settings, device)
        if others:
            matched, unmatched = match_steps(others, first)
            record_trials(folder, matched)
            failures |= {**unmatched, **_run_trials(matched, settings, device)}
        records = [build_run_record(trial, failures.get(trial.name)) for trial in trials]
        _write_results(folder, records, table_columns, list_language_models(trials))
    return records


def _run_trials(
    trials: Sequence[Trial], settings: CompareSettings, device: str | None
) -> dict[str, str]:
    """Train and evaluate runs; return the reason of each run that failed, by the run's name."""
    todo = {}
    for trial in trials:
        commands = list_commands(trial, settings.samples, settings.limit, device)
        if commands:
            todo[trial.name] = (trial, commands)
    _print_progress(f"{len(trials)} runs, {len(trials) - len(todo)} of them done before")
    return run_all(todo, settings.jobs, _print_progress)


def _print_progress(line: str) -> None:
    """Print a line about the progress."""
    print_lines(escape_controls(line))


def _write_results(
    folder: Path,
    records: Sequence[ComparedRun],
    columns: Sequence[TableColumn],
    language_models: set[str],
) -> None:
    """Write the tables, the record of every run, and the report.

    Args:
        language_models: the names of the rows that are language models.
    """
    # Imported late: the page needs Jinja2, which is an extra.
    from textvae.comparison.report.page import render_comparison
    from textvae.comparison.report.remarks import describe_measures

    rows = group_rows(records)
    remarks = [
        f"{record['config']} seed {record['seed']} failed: {record['reason']}"
        for record in records
        if record["reason"]
    ]
    remarks += describe_schedules(rows, language_models)
    remarks += describe_measures(rows)
    for name, format_table in FORMATS.items():
        write_text(folder / name, format_table(rows, columns, remarks))
    write_text(folder / "runs.csv", format_runs_csv(records))
    write_json(folder / "runs.json", records)
    write_text(folder / "report.html", render_comparison(rows, columns, remarks))
