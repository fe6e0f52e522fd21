"""Train a text VAE: from a corpus and settings to a finished run folder.

A run is prepared in a staging folder, so that wrong input is refused before the
run folder exists. The run folder appears when it is complete, and then training
begins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import datasets
import torch
from transformers import TrainerCallback

from textvae.data.object_rows import read_object_rows
from textvae.errors import CheckpointError, ConfigError
from textvae.messages import print_note
from textvae.runs.hub import locate_run
from textvae.runs.run import Run, choose_lock_file, is_run
from textvae.runtime.device import choose_device
from textvae.runtime.libraries import quiet_libraries
from textvae.runtime.locks import hold_lock
from textvae.runtime.paths import require_path
from textvae.runtime.processes import Processes, join_processes
from textvae.runtime.seeds import global_seeds_restored
from textvae.runtime.signals import StopSignals
from textvae.settings.overrides import list_overrides, merge_overrides, merge_settings
from textvae.settings.presets import read_preset
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings, SettingsSections
from textvae.training.extension import describe_extension, extend, parse_bounds
from textvae.training.failures import (
    describe_resume_point,
    describe_unprepared,
    explain_lost_process,
    explain_stop,
    explain_write_errors,
)
from textvae.training.fit import fit, remove_training_files
from textvae.training.hooks import check_hooks
from textvae.training.hub_uploads import check_uploads
from textvae.training.preparation import prepare_run, read_inherited_settings
from textvae.training.staging import create_run_folder, tidy_up_after_a_kill
from textvae.training.trainer import VAETrainer
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
    callbacks: Sequence[TrainerCallback | type[TrainerCallback]] = (),
    trainer: type[VAETrainer] | None = None,
    progress: bool = True,
    **sections: Unpack[SettingsSections],
) -> TextVAE:
    """Train a text VAE and return it.

    Args:
        corpus: a path or name, as on the command line; or the sentences themselves; or a table
            with a column `data.text_column` (a DataFrame, a data set, a mapping from names to
            columns); or a mapping from splits to sentences or tables.
        output: the run folder.
        config: a YAML file of settings, or the name of an example config, such as `quickstart`.
        overrides: further settings, as `section.key=value`.
        preset: the name of settings to start from, such as `pretrained`; those of `config`,
            `overrides` and `sections` win over it.
        resume: continue an interrupted run, with its own settings. With a new `training.steps`,
            `training.epochs` or `training.max_minutes`, above what was done, it trains longer, also
            if it is finished; the learning rate follows the longer schedule.
        overwrite: replace a run that already exists at `output`.
        init: another run, as a folder or by its name on the Hugging Face Hub; training starts from
            its model and tokenizer.
        device: cpu or cuda; by default a GPU if there is one.
        callbacks: transformers' callbacks, objects or classes, which are called after textvae's own.
            If one stops the training, the run ends there, with the best model until then.
        trainer: a subclass of `VAETrainer`, which can override what transformers' Trainer lets its
            subclasses override; by default `VAETrainer` itself.
        progress: whether to show a progress bar. What is printed in addition goes through the
            logger `textvae`.
        sections: further settings by section, as mappings or objects of the settings classes,
            for example `training={"steps": 9}`.

    Raises:
        TextVAEError: the corpus, a setting or a folder was refused, and no files are left behind;
            or training failed, and the message says how to continue.
        KeyboardInterrupt: Ctrl-C was pressed. A checkpoint is saved first, and the message says
            how to continue.
        SystemExit: the process got SIGTERM or SIGHUP; it saves a checkpoint, too.
    """
    if resume and overwrite:
        raise ConfigError(
            "resume continues the run in the folder, and overwrite replaces it: give only one of them."
        )
    hooks = check_hooks(callbacks, trainer, progress)
    run = Run(require_path(output, "output"))
    signals = StopSignals()
    with signals.handle(), quiet_libraries(), global_seeds_restored():
        # If a launcher has started several processes, each gets its own GPU.
        processes, process_device = join_processes(choose_device(device))
        # This check comes before the lock, because locking would create the missing folders.
        if resume and not run.folder.resolve().parent.is_dir():
            raise _no_run_error(run)
        with (
            lock_run(run.folder, processes),
            explain_write_errors(run.folder, processes),
            explain_lost_process(run.folder, processes),
        ):
            if resume:
                check_resumable(run, corpus is not None, config, preset, init)
                bounds = parse_bounds(merge_overrides(sections, overrides))
                processes.run_on_first(lambda: _prepare_to_resume(run, bounds, process_device))
            else:
                with explain_stop(partial(describe_unprepared, run.folder), signals, processes):
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
            describe = partial(describe_resume_point, run.folder, processes)
            with explain_stop(describe, signals, processes):
                if not run.is_finished():
                    fit(run, process_device, processes, signals, hooks=hooks)
        return TextVAE.from_pretrained(run.folder, str(process_device))


def _prepare_to_resume(run: Run, bounds: Mapping[str, Any], device: torch.device) -> None:
    """Give a run its new bounds, if any; say that a run is finished if it is.

    Raises:
        TextVAEError: the run cannot be trained longer.
    """
    if run.is_finished():
        # The process may have been killed just after it had saved the final model.
        remove_training_files(run)
    if bounds:
        extend(run, bounds, device)
    elif run.is_finished():
        print_note(describe_extension(run))


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
    overrides = list_overrides(overrides)
    is_named = isinstance(corpus, str | Path)
    is_object = corpus is not None and not is_named
    corpus_setting = {"data": {"corpus": str(corpus)}} if is_named else {}
    inherited = {}
    if init is not None:
        init = locate_run(init)
        inherited = read_inherited_settings(Run(init))
    base = merge_settings(inherited, {} if preset is None else read_preset(preset))
    merged = merge_settings(sections, corpus_setting)
    settings = read_settings(config, overrides, base, **merged)
    written = merge_settings(merge_overrides({}, overrides), sections).get("data", {})
    if is_object and "corpus" not in written:
        settings = settings.without_corpus()
    _refuse_model_settings(settings, inherited, init)
    processes.run_on_first(lambda: check_uploads(settings.training, run.folder))
    rows = None
    if is_object:
        rows = read_object_rows(corpus, settings.data, written)

    def fill(staged_run: Run) -> None:
        prepare_run(staged_run, settings, rows, init, processes, device)

    processes.run_on_first(
        lambda: create_run_folder(run, fill, overwrite=overwrite, processes=processes)
    )


@contextmanager
def lock_run(folder: Path, processes: Processes) -> Iterator[None]:
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


def check_resumable(run: Run, *changes: Any) -> None:
    """Check that a folder is a run, and that nobody asks to change the run that is resumed.

    Args:
        changes: the arguments that only a new run may have; all must be empty or false.

    Raises:
        CheckpointError: the folder does not exist, or is not a run.
        ConfigError: a corpus or other arguments were passed in addition to `resume`.
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
            "a resumed run keeps its corpus and settings; give only --output and --resume, and to "
            "train it longer training.steps, training.epochs or training.max_minutes."
        )


def _no_run_error(run: Run) -> CheckpointError:
    """Return the error of a run that does not exist."""
    return CheckpointError(
        f"{run.folder}: there is no run to resume; leave --resume out to start one."
    )
