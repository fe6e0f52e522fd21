"""The verbs `compare` and `report`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_device,
    add_json,
    add_run,
    add_verb,
    require_extra,
)
from textvae.cli.loading import load_vae, open_run
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.cli.training_checks import check_overrides, is_setting
from textvae.evaluation.settings import CompareSettings
from textvae.messages import print_lines
from textvae.runtime.extras import REPORT_REQUIREMENTS
from textvae.terminal import escape_controls
from textvae.uses.records import ComparedRun


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    compare = add_verb(
        verbs, "compare", "train and evaluate several configs with several seeds, side by side"
    )
    _add_compare(compare)
    report = add_verb(verbs, "report", "write an HTML file that describes a run")
    add_run(report)
    require_extra(report, *REPORT_REQUIREMENTS)
    report.add_argument(
        "--output", metavar="FILE.html", help="file to write (default: RUN/report.html)"
    )


def _add_compare(command: ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    command.usage = "textvae compare CONFIG.yaml ... --output DIR [options] [section.key=value ...]"
    require_extra(command, *REPORT_REQUIREMENTS)
    command.add_argument(
        "configs",
        nargs="+",
        metavar="CONFIG.yaml",
        help="files of settings, or names of examples such as ptb/free_bits, each of which becomes a row of the table; "
        "a section.key=value applies to all of them",
    )
    command.add_argument(
        "--output",
        metavar="DIR",
        required=True,
        help="folder for the runs, the tables and the report; "
        "after an interruption, the same command continues the comparison",
    )
    add_settings(command, CompareSettings)
    command.add_argument(
        "--corpora",
        nargs="+",
        default=[],
        metavar="CORPUS",
        help="corpora to train each config on (default: data.corpus of the config)",
    )
    command.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="KEY",
        help="further measures to show in the table, as keys of measures.json (default: none)",
    )
    add_device(command)
    add_json(command)


def _compare(options: Namespace) -> int:
    """Train and evaluate a matrix of configs and seeds; the exit code is 1 if a run failed."""
    records = _run_comparison(options)
    if options.json:
        print_records(records, as_json=True, format_record=str)
    else:
        for line in (Path(options.output) / "table.md").read_text(encoding="utf-8").split("\n"):
            print(escape_controls(line))
    print_lines(escape_controls(f"the report is {options.output}/report.html"))
    return int(any(record["reason"] for record in records))


def _run_comparison(options: Namespace) -> list[ComparedRun]:
    """Run the comparison that a command describes; return a record of each run."""
    # All three take several words, so argparse puts settings that follow into their lists.
    configs, after_configs = _split_settings(options.configs)
    corpora, after_corpora = _split_settings(options.corpora)
    columns, after_columns = _split_settings(options.columns)
    overrides = [*after_configs, *after_corpora, *after_columns, *options.settings]
    for config in configs:
        check_overrides(overrides, config)  # before torch is imported
    from textvae.comparison.compare import compare

    return compare(
        configs,
        options.output,
        corpora=corpora,
        overrides=overrides,
        columns=columns,
        device=options.device,
        **collect_settings(options, CompareSettings),
    )


def _split_settings(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the words that are not settings, and those that are."""
    others: list[str] = []
    settings: list[str] = []
    for word in words:
        if is_setting(word):
            settings.append(word)
        else:
            others.append(word)
    return others, settings


def _report(options: Namespace) -> None:
    """Write an HTML file that describes a run."""
    from textvae.comparison.report.page import write_report

    record = write_report(open_run(options), load_vae(options), options.output)
    print_records([record], options.json, lambda record: str(record["file"]))


COMMANDS: dict[str, Command] = {"compare": _compare, "report": _report}
