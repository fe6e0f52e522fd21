"""The verb `uncertainty`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_table,
    describe_blank_fate,
    load_vae,
    open_input,
)
from textvae.cli.output import print_records, print_rows
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.records import Uncertainty
from textvae.uses.settings import UncertaintySettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    uncertainty = verbs.add_parser(
        "uncertainty", help="estimate how certain the model is of each sentence"
    )
    add_run(uncertainty)
    uncertainty.add_argument(
        "file", metavar="FILE|-", help="file of sentences; - is standard input"
    )
    add_table(uncertainty)
    add_settings(uncertainty, UncertaintySettings)
    add_label(uncertainty)
    uncertainty.add_argument(
        "--curve",
        action="store_true",
        help="print the mean uncertainty and reconstruction error of ten groups of sentences, "
        "the most certain first, instead of the sentences",
    )


def _uncertainty(options: Namespace) -> None:
    """Print each sentence's uncertainty, or the error as a function of uncertainty."""
    from textvae.cli.input import pair_rows_with_answers
    from textvae.data.row_report import LEFT_OUT
    from textvae.uses.uncertainty import calibration_curve

    vae = load_vae(options)
    fate = LEFT_OUT if options.curve else describe_blank_fate(options)
    rows = open_input(options, vae, fate=fate)

    def answer(texts: list[str], _: list[str]) -> Sequence[Mapping[str, Any]]:
        return vae.uncertainty(texts, **collect_settings(options, UncertaintySettings))

    if not options.curve:
        print_rows(
            rows,
            answer,
            options.json,
            _format_uncertainty,
            list(Uncertainty.__annotations__),
            lines=2,
        )
        return
    records = [record for _, record in pair_rows_with_answers(rows, answer) if record]
    curve = calibration_curve(records, "disagreement")
    points = ({"disagreement": disagreement, "error": error} for disagreement, error in curve)
    print_records(
        points, options.json, lambda point: f"{point['disagreement']:.3f}  {point['error']:.3f}"
    )


def _format_uncertainty(record: Mapping[str, Any]) -> str:
    """Return a sentence with its uncertainty and, on a second line, its reconstruction."""
    return f"{record['disagreement']:.3f}  {record['text']}\n     → {record['reconstruction']}"


COMMANDS: dict[str, Command] = {"uncertainty": _uncertainty}
