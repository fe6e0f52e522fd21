"""The verb `_infill`."""

from argparse import Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    load_vae,
    require_positive,
)
from textvae.cli.output import print_records

_INFILL_OPTIONS = ("method", "most_tokens", "latents", "temperature", "beams", "seed")


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    infill = verbs.add_parser("infill", help="fill the blanks of a sentence")
    add_run(infill)
    infill.add_argument(
        "text", metavar='"a man ___ a ___."', help="a sentence whose blanks are written ___"
    )
    infill.add_argument("-n", type=int, default=5, help="how many sentences (default: 5)")
    infill.add_argument(
        "--method",
        metavar="resampling|sampling|beam_search|conditional_modes",
        help="(default: resampling)",
    )
    infill.add_argument("--most-tokens", type=int, metavar="N", help="in a blank (default: 4)")
    infill.add_argument(
        "--latents", type=int, metavar="N", help="under each of which is searched (default: 8)"
    )
    infill.add_argument("--temperature", type=float, help="of sampling (default: 0.7)")
    infill.add_argument("--beams", type=int, help="of the searches (default: 6)")
    infill.add_argument("--seed", type=int)
    add_label(infill)


def _infill(options: Namespace) -> None:
    """Fill the blanks."""
    given = {
        name: getattr(options, name)
        for name in _INFILL_OPTIONS
        if getattr(options, name) is not None
    }
    records = load_vae(options).infill(options.text, require_positive(options.n, "n"), **given)
    print_records(records, options.json, lambda record: f"{record['score']:8.2f}  {record['text']}")


COMMANDS: dict[str, Command] = {"infill": _infill}
