"""Experiment trackers: which of them are available, and how TensorBoard continues a resumed run."""

from pathlib import Path

from transformers.integrations import TensorBoardCallback, get_available_reporting_integrations

from textvae.errors import ConfigError
from textvae.training import checkpoints

TENSORBOARD = "tensorboard"  # we build its callback ourselves, so that it handles resumed runs


def check_trackers(names: list[str]) -> None:
    """Check that transformers knows each tracker, and that it is installed.

    Raises:
        ConfigError: a tracker is unknown or not installed; the message lists the available ones.
    """
    available = get_available_reporting_integrations()
    for name in names:
        if name not in available:
            raise ConfigError(
                f"training.trackers names {name!r}, which is unknown or not installed; "
                f"choose from {', '.join(available)}."
            )


def list_trainer_trackers(names: list[str]) -> list[str]:
    """Return the trackers whose callbacks transformers' Trainer should build itself."""
    return [name for name in names if name != TENSORBOARD]


def build_tensorboard_callback(folder: Path, resumed: Path | None) -> TensorBoardCallback:
    """Return transformers' TensorBoard callback, which writes to `folder`.

    A resumed run repeats the steps between its checkpoint and the interruption. Without
    `purge_step` TensorBoard would show these steps twice.

    Args:
        resumed: the checkpoint from which the run continues; None for a new run.
    """
    # Imported late, because only runs with this tracker need it.
    from torch.utils.tensorboard import SummaryWriter

    step = 0 if resumed is None else checkpoints.parse_step(resumed)
    return TensorBoardCallback(SummaryWriter(str(folder), purge_step=step + 1))
