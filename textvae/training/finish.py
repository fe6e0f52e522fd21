"""Finish an interrupted run: make its best checkpoint the finished model, without more training."""

from functools import partial
from pathlib import Path

from textvae.errors import CheckpointError
from textvae.messages import print_note
from textvae.runs.run import Run
from textvae.runtime.device import choose_device
from textvae.runtime.libraries import quiet_libraries
from textvae.runtime.processes import join_processes
from textvae.runtime.seeds import global_seeds_restored
from textvae.runtime.signals import StopSignals
from textvae.training import checkpoints
from textvae.training.failures import describe_resume_point, explain_stop, explain_write_errors
from textvae.training.fit import fit, remove_training_files
from textvae.training.hooks import Hooks
from textvae.training.train import check_resumable, lock_run
from textvae.vae import TextVAE


def finish(run: str | Path, device: str | None = None, *, progress: bool = True) -> TextVAE:
    """Turn an interrupted run into a finished one, and return its model.

    The newest checkpoint is evaluated if it was not yet. The run keeps the checkpoint that is
    the best on the validation split, or the newest one with `training.keep=last` and as long as
    none could become the best. A finished run stays as it is.

    Args:
        run: the folder of the run.
        device: cpu or cuda; by default a GPU if there is one.
        progress: whether to show a progress bar.

    Raises:
        TextVAEError: the folder is not a run, or the run has no checkpoint that can be used.
    """
    folder = Path(run)
    opened = Run(folder)
    signals = StopSignals()
    with signals.handle(), quiet_libraries(), global_seeds_restored():
        processes, process_device = join_processes(choose_device(device))
        # This check comes before the lock, because locking would create the missing folders.
        if not folder.is_dir():
            raise CheckpointError(
                f"{folder}: there is no such folder; expected a run that `textvae train` began."
            )
        with lock_run(folder, processes), explain_write_errors(folder, processes):
            check_resumable(opened)
            if opened.is_finished():
                processes.run_on_first(lambda: remove_training_files(opened))
                note = f"{folder}: this run is finished already."
            else:
                step = _find_newest_step(folder)
                describe = partial(describe_resume_point, folder, processes)
                with explain_stop(describe, signals, processes):
                    hooks = Hooks(progress=progress)
                    fit(opened, process_device, processes, signals, ends_early=True, hooks=hooks)
                kept = opened.read_json("training.json").get("kept_step", step)
                note = f"the run is finished, after {step:,} steps; its model is that of step {kept:,}."
        vae = TextVAE.from_pretrained(folder, str(process_device))
        print_note(note)  # not before the model has proved to be whole
        return vae


def _find_newest_step(folder: Path) -> int:
    """Return the step of a run's newest checkpoint.

    Raises:
        CheckpointError: no checkpoint can be used.
    """
    newest = checkpoints.find_checkpoint_to_resume(folder)
    if newest is None:
        raise CheckpointError(
            f"{folder}: has no checkpoint yet, so there is no model to finish. "
            f"Continue the training: textvae train --output {folder} --resume"
        )
    return checkpoints.parse_step(newest)
