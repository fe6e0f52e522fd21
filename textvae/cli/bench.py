"""The verb `bench`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_device, add_json
from textvae.cli.output import print_records
from textvae.errors import ConfigError


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    bench = verbs.add_parser(
        "bench", help="measure how fast this machine trains, decodes, scores and encodes"
    )
    bench.add_argument("what", metavar="train|decode|likelihood|encode", help="what to measure")
    bench.add_argument(
        "--size",
        default="B",
        metavar="A|B",
        help="model size: A has embedding 512 and hidden 1024, B has 256 and 256 (default: %(default)s)",
    )
    bench.add_argument(
        "--corpus",
        default="captions",
        metavar="CORPUS",
        help="corpus, tokenized into words: as for `textvae train` (default: %(default)s)",
    )
    bench.add_argument(
        "--seconds",
        type=float,
        default=30,
        metavar="X",
        help="seconds to train, and seconds to measure (default: %(default)s)",
    )
    add_device(bench)
    add_json(bench)


def _bench(options: Namespace) -> None:
    """Measure the speed of this machine."""
    from textvae.bench.run import run_benchmark
    from textvae.cli.rendering import format_benchmark

    if not options.seconds > 0:  # NaN is refused as well
        raise ConfigError(f"seconds = {options.seconds:g}: expected a number above zero.")
    record = run_benchmark(
        options.what, options.size, options.corpus, options.device, options.seconds
    )
    print_records([record], options.json, format_benchmark)


COMMANDS: dict[str, Command] = {"bench": _bench}
