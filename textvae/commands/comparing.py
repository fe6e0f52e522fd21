"""The verbs that lay runs side by side, or one open: `compare`, `report`."""

import sys
from argparse import Namespace
from pathlib import Path

from textvae.commands.basics import Command, Verbs, add_run, load, run_of, say
from textvae.comparison.arguments import add_compare, add_report


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    add_compare(verbs.add_parser("compare", help="train and measure several configs and seeds, side by side"))
    report = verbs.add_parser("report", help="write what a run is and does as one HTML file")
    add_run(report)
    add_report(report)


def compare(options: Namespace) -> int:
    """Train and measure a matrix of configs and seeds; the exit code is 1 if a run failed."""
    from textvae.comparison.command import run_comparison

    records = run_comparison(options)
    if options.json:
        say(records, True, str)
    else:
        print((Path(options.output) / "table.md").read_text(encoding="utf-8"))
    print(f"the report is {options.output}/report.html", file=sys.stderr)
    return int(any(record["reason"] for record in records))


def report(options: Namespace) -> None:
    """Write a run's report as one HTML file."""
    from textvae.comparison.command import write_report

    say([write_report(run_of(options), load(options), options.output)], options.json, lambda seen: str(seen["file"]))


COMMANDS: dict[str, Command] = {"compare": compare, "report": report}
