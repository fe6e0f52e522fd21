"""The verb `train`."""

import sys
from argparse import Namespace
from pathlib import Path

from textvae.cli.arguments import Command, Subparsers, add_device


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    train = verbs.add_parser(
        "train",
        help="train a model on a corpus",
        epilog="section.key=value is a setting, such as training.epochs=3; see docs/settings.md.",
    )
    train.usage = (
        "textvae train [CORPUS] [--config FILE.yaml] [--output RUN] [options] "
        "[section.key=value ...]"
    )
    train.add_argument(
        "corpus",
        nargs="?",
        metavar="CORPUS",
        help=".txt, .csv, .tsv, .jsonl or .parquet file (gzipped or not), a folder of them, "
        "`captions` (bundled), the name of a data set, or what to stream: "
        "a pattern in quotes, or URLs (default: data.corpus)",
    )
    train.add_argument(
        "--config", metavar="FILE.yaml", help="file of settings (default: the default recipe)"
    )
    train.add_argument(
        "--output", metavar="RUN", default="runs/vae", help="run folder (default: %(default)s)"
    )
    train.add_argument(
        "--resume", action="store_true", help="continue the interrupted run in --output"
    )
    train.add_argument(
        "--overwrite", action="store_true", help="replace the existing run in --output"
    )
    train.add_argument(
        "--init", metavar="RUN", help="run whose model and tokenizer training starts from"
    )
    add_device(train)


def _train(options: Namespace) -> None:
    """Train, then say where the run is and what to do next."""
    from accelerate import PartialState

    from textvae.training.train import train

    corpus = options.corpus
    settings = list(options.settings)
    if corpus and "=" in corpus and not Path(corpus).exists():
        # Without a corpus, argparse takes the first setting for it.
        settings = [corpus, *settings]
        corpus = None
    train(
        corpus,
        options.output,
        config=options.config,
        overrides=settings,
        resume=options.resume,
        overwrite=options.overwrite,
        init=options.init,
        device=options.device,
    )
    state = PartialState()  # the state of the launch, which is over now
    state.destroy_process_group()
    if not state.is_main_process:
        return
    print(f"the run is in {options.output}", file=sys.stderr)
    print(f"next: textvae evaluate {options.output} --limit 500 --samples 50", file=sys.stderr)
    print(f"      textvae generate {options.output}", file=sys.stderr)


COMMANDS: dict[str, Command] = {"train": _train}
