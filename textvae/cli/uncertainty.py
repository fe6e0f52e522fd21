"""The verb `_uncertainty`."""

from argparse import Namespace
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_table,
    describe_blank_fate,
    load_vae,
    open_run,
)
from textvae.cli.output import print_records, print_rows


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    uncertainty = verbs.add_parser("uncertainty", help="say how sure the model is of each sentence")
    add_run(uncertainty)
    uncertainty.add_argument("file", metavar="FILE|-", help="sentences; - is standard input")
    add_table(uncertainty)
    uncertainty.add_argument(
        "--draws", type=int, default=8, help="of z, a sentence, each decoded (default: 8)"
    )
    uncertainty.add_argument("--seed", type=int, default=0)
    add_label(uncertainty)
    uncertainty.add_argument(
        "--curve", action="store_true", help="the error of ten groups, from the surest on"
    )


def _uncertainty(options: Namespace) -> None:
    """Print each sentence's uncertainty, or the curve of the error against it."""
    from textvae.cli.input import InputRows, pair_rows_with_answers
    from textvae.data.row_report import LEFT_OUT
    from textvae.uses.uncertainty import FIELDS, calibration_curve

    vae, fate = load_vae(options), LEFT_OUT if options.curve else describe_blank_fate(options)
    rows = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        fate=fate,
    )

    def answer(texts: list[str], _: list[str]) -> list[dict[str, Any]]:
        return vae.uncertainty(texts, draws=options.draws, seed=options.seed)

    if not options.curve:
        return print_rows(rows, answer, options.json, _format_uncertainty, FIELDS, lines=2)
    records = [record for _, record in pair_rows_with_answers(rows, answer) if record]
    curve = calibration_curve(records, "disagreement")
    points = ({"disagreement": doubt, "error": error} for doubt, error in curve)
    return print_records(
        points, options.json, lambda point: f"{point['disagreement']:.3f}  {point['error']:.3f}"
    )


def _format_uncertainty(record: dict[str, Any]) -> str:
    """Show a sentence's uncertainty."""
    return f"{record['disagreement']:.3f}  {record['text']}\n     → {record['reconstruction']}"


COMMANDS: dict[str, Command] = {"uncertainty": _uncertainty}
