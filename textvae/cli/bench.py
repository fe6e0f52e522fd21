"""The verb `bench`."""

import math
from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_device, add_json, add_verb
from textvae.cli.output import print_records
from textvae.errors import ConfigError


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    bench = add_verb(
        verbs, "bench", "measure how fast this machine trains, decodes, scores or encodes"
    )
    bench.add_argument(
        "what",
        metavar="train|decode|likelihood|encode",
        help="work to measure; likelihood is the importance-weighted likelihood",
    )
    bench.add_argument(
        "--size",
        default="B",
        metavar="A|B",
        help="model size: A has embeddings of 512 and hidden states of 1024, B has 256 of both "
        "(default: %(default)s)",
    )
    bench.add_argument(
        "--corpus",
        default="captions",
        metavar="CORPUS",
        help="corpus as for `textvae train`; it is tokenized into words (default: %(default)s)",
    )
    bench.add_argument(
        "--seconds",
        type=float,
        default=30,
        metavar="X",
        help="how long decode and likelihood train a model first, and how long train and "
        "likelihood measure, in seconds (default: %(default)s)",
    )
    add_device(bench)
    add_json(bench)


def _bench(options: Namespace) -> None:
    """Measure the speed of this machine."""
    from textvae.bench.run import run_benchmark
    from textvae.cli.rendering import format_benchmark

    if not 0 < options.seconds < math.inf:  # NaN is refused as well
        raise ConfigError(f"seconds = {options.seconds:g}: expected a finite number above zero.")
    record = run_benchmark(
        options.what, options.size, options.corpus, options.device, options.seconds
    )
    print_records([record], options.json, format_benchmark)


COMMANDS: dict[str, Command] = {"bench": _bench}
