"""The verbs `train` and `finish`."""

import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_device,
    add_verb,
    suggest,
)
from textvae.cli.checks import check_run, check_unfinished_run
from textvae.cli.training_checks import check_corpus_and_settings
from textvae.messages import print_lines
from textvae.runtime.extras import check_installed
from textvae.runtime.launch import is_first_process
from textvae.settings.examples import list_examples
from textvae.settings.presets import PRESETS
from textvae.terminal import escape_controls

_SECONDS_TO_CLOSE = 10


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    _add_train(verbs)
    finish = add_verb(
        verbs, "finish", "end an interrupted run now, with the best model that it has"
    )
    finish.add_argument("run", metavar="RUN", help="folder of a run that `textvae train` began")
    add_device(finish)


def _add_train(verbs: Subparsers) -> None:
    """Add `train`."""
    train = add_verb(verbs, "train", "train a model on a corpus")
    train.usage = (
        "textvae train [CORPUS] [--config FILE.yaml|NAME] [--output RUN] [options] "
        "[section.key=value ...]"
    )
    train.add_argument(
        "corpus",
        nargs="?",
        metavar="CORPUS",
        help=".txt, .csv, .tsv, .jsonl or .parquet file (compressed or not); a folder of such files; "
        "- for standard input; `captions`, a small bundled corpus; or the name of a data set on the Hugging Face Hub. "
        "A pattern in quotes, or URLs, are streamed (default: data.corpus of the settings)",
    )
    config = train.add_argument(
        "--config",
        metavar="FILE.yaml|NAME",
        help="file of settings, or the name of an example, such as quickstart or ptb/free_bits; an "
        "unknown name lists them all (default: the default recipe)",
    )
    suggest(config, list_examples)
    preset = train.add_argument(
        "--preset",
        metavar="NAME",
        help="settings to start from: "
        + "; ".join(f"{name}: {purpose}" for name, purpose in PRESETS.items())
        + " (default: the default recipe)",
    )
    suggest(preset, lambda: PRESETS)
    train.add_argument(
        "--output",
        metavar="RUN",
        default="runs/vae",
        help="folder to write the run to (default: %(default)s)",
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="continue the interrupted run in --output; with a larger training.steps, "
        "training.epochs or training.max_minutes, train it longer, also if it is finished",
    )
    train.add_argument(
        "--overwrite", action="store_true", help="replace the existing run in --output"
    )
    train.add_argument(
        "--init",
        metavar="RUN",
        help="start from the model and the tokenizer of another run: its folder, or its name on "
        "the Hugging Face Hub (default: a new model)",
    )
    train.add_argument(
        "--watch",
        action="store_true",
        help="open the explorer next to the training: a page with the curves, the samples and the "
        "doctor's verdict as they change, and with the model when it has finished; Ctrl-C ends it",
    )
    add_device(train)


def _train(options: Namespace) -> None:
    """Train, then say where the run is and what to do next."""
    corpus, settings = check_corpus_and_settings(options)
    if options.init is not None:
        check_run(options.init)
    with _open_explorer(options.output) if options.watch else nullcontext():
        from textvae.training.train import train

        train(
            corpus,
            options.output,
            config=options.config,
            overrides=settings,
            preset=options.preset,
            resume=options.resume,
            overwrite=options.overwrite,
            init=options.init,
            device=options.device,
            progress=not options.quiet,
        )
        _say_what_is_next(options.output)


@contextmanager
def _open_explorer(run: str) -> Iterator[None]:
    """Serve the explorer of a run in a process of its own; after the block, until Ctrl-C.

    Raises:
        ConfigError: Gradio is not installed.
    """
    check_installed("explore", "the panels of the explorer", "gradio")
    if not is_first_process():
        yield
        return
    # A session of its own, so that Ctrl-C reaches the training alone, which then saves a checkpoint.
    command = [sys.executable, "-m", "textvae", "explore", run, "--before-training"]
    explorer = subprocess.Popen(command, start_new_session=True)
    try:
        yield
        print_lines("the explorer goes on with the finished run; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            explorer.wait()
    finally:
        explorer.terminate()
        try:
            explorer.wait(_SECONDS_TO_CLOSE)
        except subprocess.TimeoutExpired:  # an open page can keep its server waiting
            explorer.kill()
            explorer.wait()


def _finish(options: Namespace) -> None:
    """Finish an interrupted run, then say where it is and what to do next."""
    check_unfinished_run(options.run)  # before torch is imported
    from textvae.training.finish import finish

    finish(options.run, options.device, progress=not options.quiet)
    _say_what_is_next(options.run)


def _say_what_is_next(run: str) -> None:
    """Leave the processes of the launch; the first one says where the run is and what to do next."""
    from accelerate import PartialState

    state = PartialState()  # shared: training has set it up for all processes of the launch
    state.destroy_process_group()  # as PyTorch asks for before a process exits
    if not state.is_main_process:
        return
    run = escape_controls(run)
    print_lines(
        f"the run is in {run}\n"
        f"next: textvae evaluate {run} --limit 500 --samples 50\n"
        f"      textvae generate {run}"
    )


COMMANDS: dict[str, Command] = {"train": _train, "finish": _finish}
