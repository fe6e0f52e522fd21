"""Experiment trackers: which of them can be used, and how they follow a resumed run."""

from pathlib import Path

from transformers.integrations import TensorBoardCallback, get_available_reporting_integrations

from textvae.errors import ConfigError
from textvae.training import checkpoints

TENSORBOARD = "tensorboard"  # has a callback of ours, which knows of interruptions


def check_trackers(names: list[str]) -> None:
    """Check that transformers knows each tracker, and that it is installed.

    Raises:
        ConfigError: a tracker is unknown or not installed; the message lists those there are.
    """
    available = get_available_reporting_integrations()
    for name in names:
        if name not in available:
            raise ConfigError(
                f"training.trackers names {name!r}, which is unknown or not installed; "
                f"choose from {', '.join(available)}."
            )


def list_library_trackers(names: list[str]) -> list[str]:
    """Return the trackers that the library's own callbacks serve."""
    return [name for name in names if name != TENSORBOARD]


def build_tensorboard_callback(folder: Path, resumed: Path | None) -> TensorBoardCallback:
    """Return the library's TensorBoard callback, which writes to `folder`.

    A resumed run repeats the steps between its checkpoint and the interruption. Without
    `purge_step` TensorBoard would show these steps twice.
    """
    from torch.utils.tensorboard import SummaryWriter

    step = 0 if resumed is None else checkpoints.step_of(resumed)
    return TensorBoardCallback(SummaryWriter(str(folder), purge_step=step + 1))
