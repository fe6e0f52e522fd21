"""The verb `_bench`."""

from argparse import ArgumentParser, Namespace

from textvae.cli.arguments import Command, Subparsers
from textvae.cli.output import print_records
from textvae.errors import ConfigError


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    _add_bench(
        verbs.add_parser(
            "bench", help="measure how fast this machine trains, decodes, scores and encodes"
        )
    )


def _add_bench(command: ArgumentParser) -> None:
    """Add the arguments of `_bench`."""
    command.add_argument("what", metavar="train|decode|likelihood|encode")
    command.add_argument(
        "--size", default="B", metavar="A|B", help="of a paper's model (default: B)"
    )
    command.add_argument(
        "--corpus", default="captions", metavar="CORPUS", help="text in words (default: captions)"
    )
    command.add_argument(
        "--seconds", type=float, default=30, help="how long to train and to measure (default: 30)"
    )
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")
    command.add_argument(
        "--json", action="store_true", help="print one JSON object, and nothing else"
    )


def _bench(options: Namespace) -> None:
    """Measure this machine."""
    from textvae.bench.run import run_benchmark
    from textvae.cli.rendering import format_benchmark

    if not options.seconds > 0:
        raise ConfigError(f"seconds = {options.seconds:g}: wanted is a number above zero.")
    print_records(
        [
            run_benchmark(
                options.what, options.size, options.corpus, options.device, options.seconds
            )
        ],
        options.json,
        format_benchmark,
    )


COMMANDS: dict[str, Command] = {"bench": _bench}
