"""Train a text VAE: from a corpus and settings to a finished run folder.

Everything that can be refused is tried in a staging folder first. Only then does
the run folder appear, complete, and training begins.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Unpack

import datasets
from transformers.utils import logging as transformers_logging

from textvae.data.object_rows import read_object_rows
from textvae.errors import CheckpointError, ConfigError
from textvae.runs.run import LOCK, Run, is_run
from textvae.runtime.device import choose_device
from textvae.runtime.locks import hold_lock
from textvae.runtime.processes import Processes, join_processes
from textvae.settings.reading import merge_settings, read_settings
from textvae.settings.run import Settings, SettingsSections
from textvae.training.failures import explain_full_disk, explain_lost_process
from textvae.training.fit import fit, tidy
from textvae.training.preparation import prepare_run, read_inherited_settings
from textvae.training.staging import create_run_folder, tidy_up_after_a_kill
from textvae.vae import TextVAE


def train(
    corpus: str
    | Path
    | Iterable[str]
    | Mapping[str, object]
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
    **sections: Unpack[SettingsSections],
) -> TextVAE:
    """Train a text VAE and return it.

    Args:
        corpus: a path or name, as on the command line; or the sentences themselves; or a table
            with a column `data.text_column` (a DataFrame, a data set, a mapping from names to
            columns); or a mapping from splits to sentences or tables.
        output: the run folder.
        config: a YAML file of settings.
        overrides: further settings, as `section.key=value`.
        resume: continue an interrupted run, with its own settings.
        overwrite: replace a run that already exists at `output`.
        init: a run whose model and tokenizer to start from.
        device: cpu or cuda; by default a GPU if there is one.
        sections: further settings by section, as mappings or objects of the settings classes.

    Raises:
        TextVAEError: something was refused; nothing incomplete is left on the disk then.
    """
    run = Run(Path(output))
    processes, target = join_processes(choose_device(device))
    _quiet_libraries()
    # Checked before the lock, which would make the missing folders.
    if resume and not run.folder.resolve().parent.is_dir():
        raise _no_run_error(run)
    with (
        _lock_run(run.folder, processes),
        explain_full_disk(run.folder, processes),
        explain_lost_process(run.folder, processes),
    ):
        if resume:
            _refuse_changes(run, corpus is not None, config, overrides, init, sections)
        else:
            _start_run(run, processes, corpus, config, overrides, init, overwrite, sections)
        if not run.is_finished():
            fit(run, target, processes)
        elif resume:
            processes.run_on_first(lambda: tidy(run))
    return TextVAE.from_pretrained(run.folder, str(target))


def _start_run(
    run: Run,
    processes: Processes,
    corpus: Any,
    config: str | Path | None,
    overrides: Iterable[str],
    init: str | Path | None,
    overwrite: bool,
    sections: SettingsSections,
) -> None:
    """Read settings and corpus, and create the run folder."""
    is_named = isinstance(corpus, str | Path)
    named = {"data": {"corpus": str(corpus)}} if is_named else {}
    inherited = read_inherited_settings(Run(Path(init))) if init else {}
    settings = read_settings(config, list(overrides), inherited, **merge_settings(sections, named))
    _refuse_model_settings(settings, inherited, init)
    rows = None
    if corpus is not None and not is_named:
        rows = read_object_rows(corpus, settings.data.text_column)

    def fill(staged: Run) -> None:
        prepare_run(staged, settings, rows, init, processes)

    processes.run_on_first(
        lambda: create_run_folder(run, fill, overwrite=overwrite, processes=processes)
    )


@contextmanager
def _lock_run(folder: Path, processes: Processes) -> Iterator[None]:
    """Keep other trainings out of a run, and repair what a killed training left.

    The first process does both for all processes.

    Raises:
        OutputError: another training holds the lock.
    """
    with ExitStack() as stack:

        def enter() -> None:
            busy = f"{folder}: another process is training there"
            stack.enter_context(hold_lock(lock_of(folder), busy))
            tidy_up_after_a_kill(folder)

        processes.run_on_first(enter)
        yield


def lock_of(folder: Path) -> Path:
    """Return the lock file of a run: next to the run, or inside it if that is not possible.

    A lock inside the run would be lost when --overwrite replaces the run. A mount point, or a
    folder in a directory without write permission, is never replaced.
    """
    path = folder.resolve()
    is_fixed = path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))
    if is_fixed:
        return path / LOCK
    return path.with_name(f".{path.name}{LOCK}")


def _quiet_libraries() -> None:
    """Silence the libraries, so that only our own progress bar is on the terminal."""
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def _refuse_model_settings(
    settings: Settings, inherited: Mapping[str, Any], init: str | Path | None
) -> None:
    """Refuse model or tokenizer settings that differ from those of the run to start from.

    Raises:
        ConfigError: a setting of a section differs.
    """
    dumped = settings.model_dump(mode="json")
    for section, values in inherited.items():
        if dumped[section] != values:
            raise ConfigError(
                f"the {section} comes from {init} with --init; leave the {section}.* settings out."
            )


def _refuse_changes(run: Run, *changes: Any) -> None:
    """Refuse to resume what is not a run, or with other settings than its own.

    Raises:
        CheckpointError: the folder does not exist, or is not a run.
        ConfigError: a corpus or settings were given as well.
    """
    if not run.folder.is_dir():
        raise _no_run_error(run)
    run.read_settings()  # raises an error for a folder without settings
    # Resuming would remove checkpoints, and those of another program are not ours.
    if not is_run(run.folder):
        raise CheckpointError(
            f"{run.folder}: is no run of textvae, although it has a settings.yaml; name the "
            "folder of a run to resume."
        )
    if any(changes):
        raise ConfigError(
            "a resumed run keeps its corpus and settings; give only --output and --resume."
        )


def _no_run_error(run: Run) -> CheckpointError:
    """Return the error of a run that does not exist."""
    return CheckpointError(
        f"{run.folder}: there is no run to resume; leave --resume out to start one."
    )
