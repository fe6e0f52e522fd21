"""The verb `augment`."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_labelled_table,
    add_more_decoding,
    add_run,
    add_verb,
)
from textvae.cli.loading import load_vae, read_table
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.inference.settings import DecodingChoices
from textvae.uses.settings import AugmentSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    augment = add_verb(verbs, "augment", "write new texts with the same labels as those of a table")
    add_run(augment)
    add_labelled_table(augment)
    own = [
        name for name in AugmentSettings.model_fields if name not in DecodingChoices.model_fields
    ]
    add_settings(augment, AugmentSettings, *own)
    add_settings(augment, AugmentSettings, "top_p", "top_k", "num_beams", "max_new_tokens")
    add_more_decoding(augment)


def _augment(options: Namespace) -> None:
    """Write new texts with the labels of a table."""
    vae = load_vae(options)
    texts, columns, places = read_table(options, vae, [options.label_column])
    records = vae.augment(
        texts,
        columns[options.label_column],
        progress=not options.json,
        **collect_settings(options, AugmentSettings),
    )

    def add_row_numbers() -> Iterator[dict[str, Any]]:
        # The library counts the texts, from 0 and without blank rows; users count the rows.
        for record in records:
            sources = record["sources"]
            others = {name: value for name, value in record.items() if name != "sources"}
            files = [places[source][0] for source in sources]
            yield {**others, "files": files, "rows": [places[source][1] for source in sources]}

    print_records(
        add_row_numbers(), options.json, lambda record: f"{record['label']}\t{record['text']}"
    )


COMMANDS: dict[str, Command] = {"augment": _augment}
