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
        metavar="train|run|decode|likelihood|encode",
        help="work to measure; train is steps alone, run has evaluations and checkpoints, and "
        "likelihood is the importance-weighted likelihood",
    )
    bench.add_argument(
        "--size",
        default="B",
        metavar="A|B|T4|T6",
        help="model size: LSTMs with embeddings of 512 and hidden states of 1024 (A) or 256 of both "
        "(B), transformers with 4 layers of 256 (T4) or 6 of 512 (T6) (default: %(default)s)",
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
        help="how long decode and likelihood train a model first, and how long train, run "
        "and likelihood measure, in seconds (default: %(default)s)",
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
