"""The verb `_augment`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_run, add_table, load_vae, open_run
from textvae.cli.output import print_records


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    augment = verbs.add_parser("augment", help="write more texts of the same labels")
    add_run(augment)
    augment.add_argument(
        "file", metavar="TABLE", help="a .csv, .tsv, .jsonl or .parquet file: texts and labels"
    )
    augment.add_argument("-n", type=int, default=5, help="texts for each given one (default: 5)")
    add_table(augment)
    augment.add_argument("--label-column", default="label", metavar="NAME", help="default: label")
    for name in ("spread", "interpolated", "temperature", "quantile"):
        augment.add_argument(f"--{name}", type=float, metavar="X", help="see docs/uses/augment.md")
    augment.add_argument("--seed", type=int, default=0)


def _augment(options: Namespace) -> None:
    """Write more texts of the labels a table has."""
    from textvae.cli.input import InputRows

    vae = load_vae(options)
    table = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        columns=[options.label_column],
    )
    rows = table.filled()
    names = ("spread", "interpolated", "temperature", "quantile", "seed")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    texts, labels = [str(row.text) for row in rows], [row.values[0] for row in rows]
    found = vae.augment(texts, labels, options.n, progress=not options.json, **given)
    records = (
        {**record, "rows": [rows[place].number for place in record.pop("sources")]}
        for record in found
    )
    print_records(records, options.json, lambda seen: f"{seen['label']}\t{seen['text']}")


COMMANDS: dict[str, Command] = {"augment": _augment}
