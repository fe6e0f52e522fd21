"""The verb `_train`."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from textvae.cli.arguments import Command, Subparsers


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    _add_train(verbs.add_parser("train", help="train on a corpus"))


def _add_train(command: ArgumentParser) -> None:
    """Add the arguments of `_train`."""
    command.usage = "textvae train [CORPUS] [--config FILE.yaml] [--output RUN] [options] [section.key=value ...]"
    command.add_argument(
        "corpus",
        nargs="?",
        metavar="CORPUS",
        help="a .txt, .csv, .tsv, .jsonl or .parquet file (gzipped or not), a folder of them, "
        "`captions` (bundled), the name of a data set, or what to stream: a pattern in quotes, or URLs",
    )
    command.add_argument(
        "--config", metavar="FILE.yaml", help="settings; the default recipe without"
    )
    command.add_argument(
        "--output", metavar="RUN", default="runs/vae", help="the run folder (default: runs/vae)"
    )
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    command.add_argument(
        "--overwrite", action="store_true", help="replace the run that stands at --output"
    )
    command.add_argument("--init", metavar="RUN", help="start from this run's model and tokenizer")
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")


def _train(options: Namespace) -> None:
    """Train, then say where the run is and how it stands."""
    from accelerate import PartialState

    from textvae.training.train import train as launch

    corpus, settings = options.corpus, list(options.settings)
    if (
        corpus and "=" in corpus and not Path(corpus).exists()
    ):  # the corpus was left out: it is a setting
        corpus, settings = None, [corpus, *settings]
    launch(
        corpus,
        options.output,
        options.config,
        settings,
        options.resume,
        options.overwrite,
        options.init,
        options.device,
    )
    state = PartialState()  # of the launch, now over
    state.destroy_process_group()
    if not state.is_main_process:
        return
    print(f"the run is in {options.output}", file=sys.stderr)
    print(f"next: textvae evaluate {options.output} --limit 500 --samples 50", file=sys.stderr)
    print(f"      textvae generate {options.output}", file=sys.stderr)


COMMANDS: dict[str, Command] = {"train": _train}
