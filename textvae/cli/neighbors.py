"""The verbs `index` and `neighbors`."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_name,
    add_run,
    add_table,
    add_verb,
    require_extra,
)
from textvae.cli.loading import load_vae, open_input
from textvae.cli.output import format_neighbor, print_records
from textvae.cli.sentences import refuse_file_name
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import IndexSettings, NeighborsSettings

_REQUIREMENTS = ("neighbors", "indices", "faiss")  # arguments of `require_extra`


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    index = add_verb(
        verbs, "index", "index the sentences of a corpus by their latents, for `textvae neighbors`"
    )
    add_run(index)
    require_extra(index, *_REQUIREMENTS)
    index.add_argument(
        "file",
        metavar="FILE|FOLDER|-",
        help="file or folder of sentences; - is standard input",
    )
    add_table(index)
    add_settings(index, IndexSettings)
    add_name(index, "index")
    neighbors = add_verb(
        verbs, "neighbors", "find the indexed sentences that are most similar to a text"
    )
    add_run(neighbors)
    require_extra(neighbors, *_REQUIREMENTS)
    neighbors.add_argument("texts", nargs="+", metavar="TEXT", help="texts to find neighbors of")
    add_settings(neighbors, NeighborsSettings)
    add_name(neighbors, "index")


def _index(options: Namespace) -> None:
    """Index the sentences of a corpus."""
    vae = load_vae(options)
    # Pass blank rows on as well: the index saves the row number of each text.
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
    for text in options.texts:
        refuse_file_name(text, reads_files=False)
    nearest_of_each = load_vae(options).neighbors(
        options.texts, name=options.name, **collect_settings(options, NeighborsSettings)
    )

    def list_neighbors() -> Iterator[dict[str, Any]]:
        for text, nearest in zip(options.texts, nearest_of_each, strict=True):
            for neighbor in nearest:
                yield {"of": text, **neighbor}

    print_records(list_neighbors(), options.json, format_neighbor)


COMMANDS: dict[str, Command] = {"index": _index, "neighbors": _neighbors}
