"""The verb `augment`."""

from argparse import Namespace

from textvae.commands.basics import Command, Verbs, add_run, add_table, load, say, table_of


def add(verbs: Verbs) -> None:
    """Add the verb."""
    augment = verbs.add_parser("augment", help="write more texts of the same labels")
    add_run(augment)
    augment.add_argument("file", metavar="TABLE", help="a .csv, .tsv, .jsonl or .parquet file: texts and labels")
    augment.add_argument("-n", type=int, default=5, help="texts for each given one (default: 5)")
    add_table(augment)
    augment.add_argument("--label-column", default="label", metavar="NAME", help="default: label")
    for name in ("spread", "interpolated", "temperature", "quantile"):
        augment.add_argument(f"--{name}", type=float, metavar="X", help="see docs/uses/augment.md")
    augment.add_argument("--seed", type=int, default=0)


def augment(options: Namespace) -> None:
    """Write more texts of the labels a table has."""
    from textvae.labelled import read_labelled

    texts, labels = read_labelled(options.file, *table_of(options), options.label_column)
    names = ("spread", "interpolated", "temperature", "quantile", "seed")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    records = load(options).augment(texts, labels, options.n, progress=not options.json, **given)
    say(records, options.json, lambda seen: f"{seen['label']}\t{seen['text']}")


COMMANDS: dict[str, Command] = {"augment": augment}
