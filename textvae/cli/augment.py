"""The verb `augment`."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label_column,
    add_run,
    add_seed,
    add_table,
    collect_options,
    load_vae,
    open_input,
)
from textvae.cli.output import print_records

_OPTIONS = ("spread", "interpolated", "temperature", "quantile", "seed")


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
    augment.add_argument(
        "-n",
        type=int,
        default=5,
        metavar="N",
        help="maximum number of new texts per text of the table (default: 5)",
    )
    add_table(augment)
    add_label_column(augment)
    augment.add_argument(
        "--spread",
        type=float,
        metavar="X",
        help="standard deviation of the sampled latents, relative to the posterior's (default: 1)",
    )
    augment.add_argument(
        "--interpolated",
        type=float,
        metavar="SHARE",
        help="share of the new texts that lie between two texts of a label, 0 to 1 (default: 0.5)",
    )
    augment.add_argument(
        "--temperature",
        type=float,
        metavar="X",
        help="sampling temperature of the tokens, above 0 (default: 0.7)",
    )
    augment.add_argument(
        "--quantile",
        type=float,
        metavar="Q",
        help="leave out texts that cost more nats per token than this quantile of their label's "
        "texts, above 0 and up to 1 (default: 1)",
    )
    add_seed(augment)


def _augment(options: Namespace) -> None:
    """Write new texts with the labels of a table."""
    vae = load_vae(options)
    rows = open_input(options, vae, columns=[options.label_column]).filled()
    texts = [str(row.text) for row in rows]
    labels = [row.values[0] for row in rows]
    found = vae.augment(
        texts,
        labels,
        n=options.n,
        progress=not options.json,
        **collect_options(options, _OPTIONS),
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
