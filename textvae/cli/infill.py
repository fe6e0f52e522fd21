"""The verb `infill`."""

from argparse import Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_seed,
    collect_options,
    load_vae,
    require_positive,
)
from textvae.cli.output import print_records

_OPTIONS = ("method", "most_tokens", "latents", "temperature", "beams", "seed")


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    infill = verbs.add_parser("infill", help="fill the blanks of a sentence")
    add_run(infill)
    infill.add_argument(
        "text", metavar='"a man ___ a ___."', help="sentence with ___ for each blank"
    )
    infill.add_argument(
        "-n", type=int, default=5, metavar="N", help="maximum number of sentences (default: 5)"
    )
    infill.add_argument(
        "--method",
        metavar="resampling|sampling|beam_search|conditional_modes",
        help="how fillings are found; see docs/uses/infill.md (default: resampling)",
    )
    infill.add_argument(
        "--most-tokens",
        type=int,
        metavar="N",
        help="maximum number of tokens in a blank (default: 4)",
    )
    infill.add_argument(
        "--latents",
        type=int,
        metavar="N",
        help="number of latents under which fillings are searched or sampled (default: 8)",
    )
    infill.add_argument(
        "--temperature",
        type=float,
        metavar="X",
        help="sampling temperature of the tokens, above 0 (default: 0.7)",
    )
    infill.add_argument(
        "--beams",
        type=int,
        metavar="N",
        help="beams per search, 2 or more, for the methods that search (default: 6)",
    )
    add_seed(infill)
    add_label(infill)


def _infill(options: Namespace) -> None:
    """Fill the blanks of a sentence."""
    records = load_vae(options).infill(
        options.text, n=require_positive(options.n, "n"), **collect_options(options, _OPTIONS)
    )
    print_records(records, options.json, lambda record: f"{record['score']:8.2f}  {record['text']}")


COMMANDS: dict[str, Command] = {"infill": _infill}
