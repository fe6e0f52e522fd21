"""The verbs `_index` and `_neighbors`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_run, add_table, load_vae, open_run
from textvae.cli.output import print_records


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    index = verbs.add_parser("index", help="index a corpus by its latents")
    add_run(index)
    index.add_argument("file", metavar="FILE|FOLDER|-", help="sentences; - is standard input")
    add_table(index)
    index.add_argument(
        "--factory", default="Flat", help="FAISS's name of an index (default: Flat, which is exact)"
    )
    neighbors = verbs.add_parser(
        "neighbors", help="find the sentences of an index that are nearest to one"
    )
    add_run(neighbors)
    neighbors.add_argument("texts", nargs="+", metavar="TEXT")
    neighbors.add_argument("-k", type=int, default=5, help="how many of each (default: 5)")
    for command in (index, neighbors):
        command.add_argument(
            "--name", default="default", help="of the index, where a run has several"
        )


def _index(options: Namespace) -> None:
    """Index a corpus."""
    from textvae.cli.input import InputRows

    vae = load_vae(options)
    rows = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
    )
    texts = (row.text or "" for row in rows)  # blank ones too: the index keeps each text's row
    count = vae.index(texts, options.name, factory=options.factory, progress=not options.json)
    record = {"name": options.name, "sentences": count}
    print_records(
        [record],
        options.json,
        lambda seen: f"{seen['sentences']} sentences are indexed; next: textvae neighbors",
    )


def _neighbors(options: Namespace) -> None:
    """Find the nearest sentences of each text."""
    found = load_vae(options).neighbors(options.texts, options.k, options.name)
    records = (
        {"of": text, **near}
        for text, list_ in zip(options.texts, found, strict=True)
        for near in list_
    )
    print_records(records, options.json, lambda seen: f"{seen['similarity']:6.3f}  {seen['text']}")


COMMANDS: dict[str, Command] = {"index": _index, "neighbors": _neighbors}
