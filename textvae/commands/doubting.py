"""The verb `uncertainty`."""

from argparse import Namespace
from collections.abc import Iterator
from itertools import islice
from typing import Any

from textvae.commands.basics import BLOCK, Command, Verbs, add_label, add_run, add_table, load, run_of, say


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
    from textvae.uses.uncertainty import calibration_curve

    if not options.curve:
        return say(records(options), options.json, shown)
    curve = calibration_curve(list(records(options)), "disagreement")
    points = ({"disagreement": doubt, "error": error} for doubt, error in curve)
    return say(points, options.json, lambda point: f"{point['disagreement']:.3f}  {point['error']:.3f}")


def records(options: Namespace) -> Iterator[dict[str, Any]]:
    """Yield a record a sentence."""
    from textvae.given import read_texts

    vae, texts = load(options), read_texts(options.file, run_of(options), options.text_column, options.quoting)
    while block := list(islice(texts, BLOCK)):
        found = zip(block, vae.uncertainty(block, draws=options.draws, seed=options.seed), strict=True)
        yield from ({"text": text, **record} for text, record in found)


def shown(record: dict[str, Any]) -> str:
    """Show a sentence's uncertainty."""
    return f"{record['disagreement']:.3f}  {record['text']}\n     → {record['reconstruction']}"


COMMANDS: dict[str, Command] = {"uncertainty": uncertainty}
