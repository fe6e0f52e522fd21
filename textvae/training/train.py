"""The launcher: from a corpus and settings to a trained run folder.

First everything that can be refused is tried in a folder beside the run's own;
only then does the run folder appear, whole, and training begins.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import datasets
from transformers.utils import logging as transformers_logging

from textvae.errors import CheckpointError, ConfigError
from textvae.runs.run import LOCK, Run, is_run
from textvae.runtime.device import choose_device
from textvae.runtime.locks import hold_lock
from textvae.runtime.processes import Processes, join_processes
from textvae.settings.reading import merge_settings, read_settings
from textvae.settings.run import Settings
from textvae.training.failures import explain_full_disk, explain_lost_process
from textvae.training.fit import fit, tidy
from textvae.training.preparation import (
    create_run_folder,
    read_inherited_settings,
    read_object_rows,
    tidy_up_after_a_kill,
)
from textvae.vae import TextVAE


def train(
    corpus: str
    | Path
    | Iterable[str]
    | Mapping[str, Any]
    | datasets.Dataset
    | datasets.DatasetDict
    | None = None,
    output: str | Path = "runs/vae",
    config: str | Path | None = None,
    overrides: Iterable[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    init: str | Path | None = None,
    device: str | None = None,
    **sections: Mapping[str, Any],
) -> TextVAE:
    """Train a text VAE and return it.

    Args:
        corpus: a path or name as on the command line; or the sentences themselves, a table with a column
            `data.text_column` (a DataFrame, a data set, a mapping from names to columns), or a mapping from splits
            to either.
        output: the run folder.
        config, overrides, sections: settings, as a YAML file, as `section.key=value`, as mappings.
        resume: go on with an interrupted run; its settings stand.
        overwrite: replace a run that stands at `output`.
        init: a run whose model and tokenizer to start from.
        device: cpu or cuda; by default a GPU if there is one.

    Raises:
        TextVAEError: something was refused; nothing is then left half-written.
    """
    run = Run(Path(output))
    processes, target = join_processes(choose_device(device))
    _quiet_libraries()
    if resume and not run.folder.resolve().parent.is_dir():
        raise _no_run(run)  # before the lock would make folders
    with (
        _held(run.folder, processes),
        explain_full_disk(run.folder, processes),
        explain_lost_process(run.folder, processes),
    ):
        if resume:
            _refuse_changes(run, corpus is not None, config, overrides, init, sections)
        else:
            named = {"data": {"corpus": str(corpus)}} if isinstance(corpus, str | Path) else {}
            base = read_inherited_settings(Run(Path(init))) if init else {}
            settings = read_settings(
                config, list(overrides), base, **merge_settings(sections, named)
            )
            _refuse_model_settings(settings, base, init)
            given = (
                None
                if named or corpus is None
                else read_object_rows(corpus, settings.data.text_column)
            )
            processes.run_on_first(
                lambda: create_run_folder(run, settings, given, init, overwrite, processes)
            )
        if not run.is_finished():
            fit(run, target, processes)
        elif resume:
            processes.run_on_first(lambda: tidy(run))
    return TextVAE.from_pretrained(run.folder, str(target))


@contextmanager
def _held(folder: Path, processes: Processes) -> Iterator[None]:
    """Keep other trainings out of a run, and first put right what a killed one left; the first process does it for all.

    Raises:
        OutputError: another training holds the run.
    """
    with ExitStack() as stack:

        def enter() -> None:
            stack.enter_context(
                hold_lock(lock_of(folder), f"{folder}: another process is training there")
            )
            tidy_up_after_a_kill(folder)

        processes.run_on_first(enter)
        yield


def lock_of(folder: Path) -> Path:
    """Return the lock file of a run: next to it, for --overwrite moves the run, or else inside it."""
    place = folder.resolve()
    is_fixed = place.is_dir() and (
        place.is_mount() or not os.access(place.parent, os.W_OK)
    )  # and so never moved
    return place / LOCK if is_fixed else place.with_name(f".{place.name}{LOCK}")


def _quiet_libraries() -> None:
    """Leave the terminal to our own bar."""
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def _refuse_model_settings(
    settings: Settings, base: Mapping[str, Any], init: str | Path | None
) -> None:
    """Refuse model or tokenizer settings beside --init: the model and its tokenizer are that run's.

    Raises:
        ConfigError: they differ.
    """
    dumped = settings.model_dump(mode="json")
    for section, values in base.items():
        if dumped[section] != values:
            raise ConfigError(
                f"the {section} comes from {init} with --init; leave the {section}.* settings out."
            )


def _refuse_changes(run: Run, *changes: Any) -> None:
    """Refuse what would change a resumed run: it keeps its settings.

    Raises:
        CheckpointError: there is no such run, or something else is there.
        ConfigError: settings were given as well.
    """
    if not run.folder.is_dir():
        raise _no_run(run)
    _ = run.read_settings()
    if not is_run(run.folder):  # going on would remove checkpoints that are not ours
        raise CheckpointError(
            f"{run.folder}: is no run of textvae, though it has a settings.yaml; name the folder of a run to resume."
        )
    if any(changes):
        raise ConfigError(
            "a resumed run keeps its corpus and settings; give --output and --resume alone."
        )


def _no_run(run: Run) -> CheckpointError:
    """Return the error of a run that is not there."""
    return CheckpointError(
        f"{run.folder}: there is no run to resume; leave --resume out to start one."
    )
