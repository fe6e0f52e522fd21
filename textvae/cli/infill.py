"""The verb `infill`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_label, add_run, add_verb
from textvae.cli.loading import load_vae
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import InfillSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    infill = add_verb(verbs, "infill", "fill the blanks of a sentence")
    add_run(infill)
    infill.add_argument(
        "text",
        metavar="TEXT",
        help='sentence with ___ for each blank, such as "a man ___ a ___."',
    )
    add_settings(infill, InfillSettings)
    add_label(infill)


def _infill(options: Namespace) -> None:
    """Fill the blanks of a sentence."""
    records = load_vae(options).infill(options.text, **collect_settings(options, InfillSettings))
    print_records(records, options.json, lambda record: f"{record['score']:8.2f}  {record['text']}")


COMMANDS: dict[str, Command] = {"infill": _infill}
