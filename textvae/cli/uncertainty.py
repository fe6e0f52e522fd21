"""The verb `uncertainty`."""

from argparse import Namespace
from typing import Any

from textvae.cli.arguments import Command, Verbs, add_label, add_run, add_table, blank_fate, load, run_of
from textvae.cli.output import say, say_rows


def add(verbs: Verbs) -> None:
    """Add the verb."""
    uncertainty = verbs.add_parser("uncertainty", help="say how sure the model is of each sentence")
    add_run(uncertainty)
    uncertainty.add_argument("file", metavar="FILE|-", help="sentences; - is standard input")
    add_table(uncertainty)
    uncertainty.add_argument("--draws", type=int, default=8, help="of z, a sentence, each decoded (default: 8)")
    uncertainty.add_argument("--seed", type=int, default=0)
    add_label(uncertainty)
    uncertainty.add_argument("--curve", action="store_true", help="the error of ten groups, from the surest on")


def uncertainty(options: Namespace) -> None:
    """Print each sentence's uncertainty, or the curve of the error against it."""
    from textvae.cli.input import InputRows, line_up
    from textvae.data.row_report import LEFT_OUT
    from textvae.uses.uncertainty import FIELDS, calibration_curve

    vae, fate = load(options), LEFT_OUT if options.curve else blank_fate(options)
    rows = InputRows(
        options.file, run_of(options), options.text_column, quoting=options.quoting, bundle=vae.bundle, fate=fate
    )

    def answer(texts: list[str], _: list[str]) -> list[dict[str, Any]]:
        return vae.uncertainty(texts, draws=options.draws, seed=options.seed)

    if not options.curve:
        return say_rows(rows, answer, options.json, shown, FIELDS, lines=2)
    records = [record for _, record in line_up(rows, answer) if record]
    curve = calibration_curve(records, "disagreement")
    points = ({"disagreement": doubt, "error": error} for doubt, error in curve)
    return say(points, options.json, lambda point: f"{point['disagreement']:.3f}  {point['error']:.3f}")


def shown(record: dict[str, Any]) -> str:
    """Show a sentence's uncertainty."""
    return f"{record['disagreement']:.3f}  {record['text']}\n     → {record['reconstruction']}"


COMMANDS: dict[str, Command] = {"uncertainty": uncertainty}
