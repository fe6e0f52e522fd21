"""Train a text VAE: from a corpus and settings to a finished run folder.

A run is prepared in a staging folder, so that wrong input is refused before the
run folder exists. The run folder appears when it is complete, and then training
begins.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Unpack

import datasets
import torch
from transformers.utils import logging as transformers_logging

from textvae.data.object_rows import read_object_rows
from textvae.errors import CheckpointError, ConfigError
from textvae.runs.run import LOCK, Run, is_run
from textvae.runtime.device import choose_device
from textvae.runtime.locks import hold_lock
from textvae.runtime.processes import Processes, join_processes
from textvae.settings.presets import read_preset
from textvae.settings.reading import merge_settings, read_settings
from textvae.settings.run import Settings, SettingsSections
from textvae.training.failures import explain_lost_process, explain_write_errors
from textvae.training.fit import fit, remove_training_files
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
    preset: str | None = None,
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
        preset: the name of settings to start from, such as `pretrained`; those of `config`,
            `overrides` and `sections` win over it.
        resume: continue an interrupted run, with its own settings.
        overwrite: replace a run that already exists at `output`.
        init: another run folder; training starts from the model and tokenizer of that run.
        device: cpu or cuda; by default a GPU if there is one.
        sections: further settings by section, as mappings or objects of the settings classes,
            for example `training={"steps": 9}`.

    Raises:
        TextVAEError: the corpus, a setting or a folder was refused, and no files are left behind;
            or training failed, and the message says how to continue.
    """
    run = Run(Path(output))
    # If a launcher has started several processes, each gets its own GPU.
    processes, process_device = join_processes(choose_device(device))
    _silence_libraries()
    # This check comes before the lock, because locking would create the missing folders.
    if resume and not run.folder.resolve().parent.is_dir():
        raise _no_run_error(run)
    with (
        _lock_run(run.folder, processes),
        explain_write_errors(run.folder, processes),
        explain_lost_process(run.folder, processes),
    ):
        if resume:
            _check_resumable(run, corpus is not None, config, overrides, preset, init, sections)
        else:
            _create_run(
                run,
                processes,
                process_device,
                corpus,
                config,
                overrides,
                preset,
                init,
                overwrite,
                sections,
            )
        if not run.is_finished():
            fit(run, process_device, processes)
        elif resume:
            # The process may have been killed just after it had saved the final model.
            processes.run_on_first(lambda: remove_training_files(run))
    return TextVAE.from_pretrained(run.folder, str(process_device))


def _create_run(
    run: Run,
    processes: Processes,
    device: torch.device,
    corpus: Any,
    config: str | Path | None,
    overrides: Iterable[str],
    preset: str | None,
    init: str | Path | None,
    overwrite: bool,
    sections: SettingsSections,
) -> None:
    """Read the settings and the corpus; the first process then creates the run folder.

    Raises:
        TextVAEError: the settings, the corpus or the run folder is refused.
    """
    is_named = isinstance(corpus, str | Path)
    corpus_setting = {"data": {"corpus": str(corpus)}} if is_named else {}
    inherited = read_inherited_settings(Run(Path(init))) if init else {}
    base = merge_settings(inherited, read_preset(preset) if preset else {})
    merged = merge_settings(sections, corpus_setting)
    settings = read_settings(config, list(overrides), base, **merged)
    _refuse_model_settings(settings, inherited, init)
    rows = None
    if corpus is not None and not is_named:
        rows = read_object_rows(corpus, settings.data)

    def fill(staged_run: Run) -> None:
        prepare_run(staged_run, settings, rows, init, processes, device)

    processes.run_on_first(
        lambda: create_run_folder(run, fill, overwrite=overwrite, processes=processes)
    )


@contextmanager
def _lock_run(folder: Path, processes: Processes) -> Iterator[None]:
    """Keep other trainings out of a run, and clean up after a training that was killed.

    The first process does both for all processes.

    Raises:
        OutputError: another training holds the lock.
    """
    # A stack, because only the first process takes the lock and has to release it at the end.
    with ExitStack() as stack:

        def enter() -> None:
            busy = f"{folder}: another process is training there"
            stack.enter_context(hold_lock(choose_lock_file(folder), busy))
            tidy_up_after_a_kill(folder)

        processes.run_on_first(enter)
        yield


def choose_lock_file(folder: Path) -> Path:
    """Return the lock file of a run: next to the run, or inside it if that is not possible.

    A lock inside the run would be lost when --overwrite replaces the run. But a mount point,
    and a folder whose parent is not writable, are never replaced, so their lock can be inside.
    """
    path = folder.resolve()
    is_never_replaced = path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))
    if is_never_replaced:
        return path / LOCK
    return path.with_name(f".{path.name}{LOCK}")


def _silence_libraries() -> None:
    """Silence datasets and transformers, so that the terminal shows only our own progress bar."""
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def _refuse_model_settings(
    settings: Settings, inherited: Mapping[str, Any], init: str | Path | None
) -> None:
    """Refuse model or tokenizer settings that differ from those of the run to start from.

    Args:
        inherited: the sections `model` and `tokenizer` of that run; empty without --init.

    Raises:
        ConfigError: a setting in one of these sections differs.
    """
    dumped = settings.model_dump(mode="json")
    for section, values in inherited.items():
        if dumped[section] != values:
            raise ConfigError(
                f"the {section} comes from {init} with --init; leave the {section}.* settings out."
            )


def _check_resumable(run: Run, *changes: Any) -> None:
    """Check that a folder is a run, and that nobody asks to change the run that is resumed.

    Args:
        changes: the arguments that only a new run may have; all must be empty or false.

    Raises:
        CheckpointError: the folder does not exist, or is not a run.
        ConfigError: a corpus or settings were passed in addition to `resume`.
    """
    if not run.folder.is_dir():
        raise _no_run_error(run)
    run.read_settings()  # raises an error for a folder without settings
    # Training removes old checkpoints, and those of another program must not be lost.
    if not is_run(run.folder):
        raise CheckpointError(
            f"{run.folder}: is not a run of textvae, although it has a settings.yaml; name the "
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
