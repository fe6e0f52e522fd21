"""The verb `augment`."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label_column,
    add_run,
    add_table,
    load_vae,
    open_input,
)
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import AugmentSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    augment = verbs.add_parser(
        "augment", help="write new texts with the same labels as those of a table"
    )
    add_run(augment)
    augment.add_argument(
        "file",
        metavar="TABLE",
        help=".csv, .tsv, .jsonl or .parquet file with a column of texts and one of labels",
    )
    add_table(augment)
    add_label_column(augment)
    add_settings(augment, AugmentSettings)


def _augment(options: Namespace) -> None:
    """Write new texts with the labels of a table."""
    vae = load_vae(options)
    rows = open_input(options, vae, columns=[options.label_column]).filled()
    texts = [str(row.text) for row in rows]
    labels = [row.values[0] for row in rows]
    found = vae.augment(
        texts,
        labels,
        progress=not options.json,
        **collect_settings(options, AugmentSettings),
    )

    def number_rows() -> Iterator[dict[str, Any]]:
        # The library counts the texts from 0 and knows no blank rows; users count rows of the file.
        for record in found:
            sources = record["sources"]
            others = {name: value for name, value in record.items() if name != "sources"}
            yield {**others, "rows": [rows[source].number for source in sources]}

    print_records(
        number_rows(), options.json, lambda record: f"{record['label']}\t{record['text']}"
    )


COMMANDS: dict[str, Command] = {"augment": _augment}
