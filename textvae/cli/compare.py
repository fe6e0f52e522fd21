"""The verbs that lay runs side by side, or one open: `_compare`, `_report`."""

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textvae.cli.arguments import Command, Subparsers, add_run, load_vae, open_run
from textvae.cli.output import print_records


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    _add_compare(
        verbs.add_parser(
            "compare", help="train and measure several configs and seeds, side by side"
        )
    )
    report = verbs.add_parser("report", help="write what a run is and does as one HTML file")
    add_run(report)
    _add_report(report)


def _compare(options: Namespace) -> int:
    """Train and measure a matrix of configs and seeds; the exit code is 1 if a run failed."""
    records = _run_comparison(options)
    if options.json:
        print_records(records, True, str)
    else:
        print((Path(options.output) / "table.md").read_text(encoding="utf-8"))
    print(f"the report is {options.output}/report.html", file=sys.stderr)
    return int(any(record["reason"] for record in records))


def _report(options: Namespace) -> None:
    """Write a run's report as one HTML file."""
    from textvae.comparison.report.page import write_report

    print_records(
        [write_report(open_run(options), load_vae(options), options.output)],
        options.json,
        lambda seen: str(seen["file"]),
    )


COMMANDS: dict[str, Command] = {"compare": _compare, "report": _report}


def _add_compare(command: ArgumentParser) -> None:
    """Add the arguments of `_compare`."""
    command.usage = "textvae compare CONFIG.yaml ... --output DIR [options] [section.key=value ...]"
    command.add_argument(
        "configs", nargs="+", metavar="CONFIG.yaml", help="a row of the table each"
    )
    command.add_argument(
        "--output",
        metavar="DIR",
        required=True,
        help="a killed comparison goes on with the same command",
    )
    command.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="runs of each config (default: 3)"
    )
    command.add_argument(
        "--corpora", nargs="+", default=[], metavar="CORPUS", help="on each (default: data.corpus)"
    )
    command.add_argument(
        "--samples", type=int, default=500, help="importance samples a sentence (default: 500)"
    )
    command.add_argument(
        "--limit", type=int, metavar="N", help="measure on the first N sentences of the test split"
    )
    command.add_argument(
        "--columns", nargs="+", default=[], metavar="KEY", help="further measures for the table"
    )
    command.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="runs trained at a time (default: 1)"
    )
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")
    command.add_argument(
        "--json", action="store_true", help="print one JSON object a run, and nothing else"
    )


def _add_report(command: ArgumentParser) -> None:
    """Add the arguments of `_report`, beside those of every verb on a run."""
    command.add_argument(
        "--output", metavar="FILE.html", help="where to write (default: RUN/report.html)"
    )


_SETTING_PATTERN = re.compile(r"[a-z]\w*(\.\w+)+=")


def _run_comparison(options: Namespace) -> list[dict[str, Any]]:
    """Compare what a command names; return a record a run."""
    from textvae.comparison.compare import compare as run

    configs, first = _split_settings(options.configs)
    corpora, second = _split_settings(options.corpora)
    return run(
        configs,
        options.output,
        seeds=options.seeds,
        corpora=corpora,
        overrides=[*first, *second, *options.settings],
        samples=options.samples,
        limit=options.limit,
        columns=options.columns,
        jobs=options.jobs,
        device=options.device,
    )


def _split_settings(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the words that are no settings, and those that are: they may stand anywhere."""
    given = list(words)
    settings = [word for word in given if _SETTING_PATTERN.match(word) and not Path(word).exists()]
    return [word for word in given if word not in settings], settings
