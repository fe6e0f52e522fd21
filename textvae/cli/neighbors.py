"""The verbs `index` and `neighbors`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_run,
    add_table,
    load_vae,
    open_input,
)
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import IndexSettings, NeighborsSettings


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    index = verbs.add_parser("index", help="index the sentences of a corpus by their latents")
    add_run(index)
    index.add_argument(
        "file",
        metavar="FILE|FOLDER|-",
        help="file or folder of sentences; - is standard input",
    )
    add_table(index)
    add_settings(index, IndexSettings)
    _add_name(index)
    neighbors = verbs.add_parser(
        "neighbors", help="find the indexed sentences that are most similar to a text"
    )
    add_run(neighbors)
    neighbors.add_argument("texts", nargs="+", metavar="TEXT", help="texts to find neighbors of")
    add_settings(neighbors, NeighborsSettings)
    _add_name(neighbors)


def _add_name(command: ArgumentParser) -> None:
    """Add the name of the index."""
    command.add_argument(
        "--name",
        default="default",
        metavar="NAME",
        help="name of the index, for a run that has several (default: %(default)s)",
    )


def _index(options: Namespace) -> None:
    """Index the sentences of a corpus."""
    vae = load_vae(options)
    # Blank rows too: the index saves the row number of each text.
    texts = (row.text or "" for row in open_input(options, vae))
    count = vae.index(
        texts,
        options.name,
        progress=not options.json,
        **collect_settings(options, IndexSettings),
    )
    print_records(
        [{"name": options.name, "sentences": count}],
        options.json,
        lambda record: f"{record['sentences']} sentences are indexed; next: textvae neighbors",
    )


def _neighbors(options: Namespace) -> None:
    """Print the nearest indexed sentences of each text."""
    neighbors = load_vae(options).neighbors(
        options.texts, name=options.name, **collect_settings(options, NeighborsSettings)
    )

    def join() -> Iterator[dict[str, Any]]:
        for text, nearest in zip(options.texts, neighbors, strict=True):
            for neighbor in nearest:
                yield {"of": text, **neighbor}

    print_records(
        join(), options.json, lambda record: f"{record['similarity']:6.3f}  {record['text']}"
    )


COMMANDS: dict[str, Command] = {"index": _index, "neighbors": _neighbors}
