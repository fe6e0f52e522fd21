"""The verbs `index` and `neighbours`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Verbs, add_run, add_table, load, run_of
from textvae.cli.output import say


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    index = verbs.add_parser("index", help="index a corpus by its latents")
    add_run(index)
    index.add_argument("file", metavar="FILE|FOLDER|-", help="sentences; - is standard input")
    add_table(index)
    index.add_argument("--factory", default="Flat", help="FAISS's name of an index (default: Flat, which is exact)")
    neighbours = verbs.add_parser("neighbours", help="find the sentences of an index that are nearest to one")
    add_run(neighbours)
    neighbours.add_argument("texts", nargs="+", metavar="TEXT")
    neighbours.add_argument("-k", type=int, default=5, help="how many of each (default: 5)")
    for command in (index, neighbours):
        command.add_argument("--name", default="default", help="of the index, where a run has several")


def index(options: Namespace) -> None:
    """Index a corpus."""
    from textvae.cli.input import InputRows

    vae = load(options)
    rows = InputRows(options.file, run_of(options), options.text_column, quoting=options.quoting, bundle=vae.bundle)
    texts = (row.text or "" for row in rows)  # blank ones too: the index keeps each text's row
    count = vae.index(texts, options.name, factory=options.factory, progress=not options.json)
    record = {"name": options.name, "sentences": count}
    say([record], options.json, lambda seen: f"{seen['sentences']} sentences are indexed; next: textvae neighbours")


def neighbours(options: Namespace) -> None:
    """Find the nearest sentences of each text."""
    found = load(options).neighbours(options.texts, options.k, options.name)
    records = ({"of": text, **near} for text, list_ in zip(options.texts, found, strict=True) for near in list_)
    say(records, options.json, lambda seen: f"{seen['similarity']:6.3f}  {seen['text']}")


COMMANDS: dict[str, Command] = {"index": index, "neighbours": neighbours}
