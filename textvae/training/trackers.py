"""Experiment trackers: which are installed, how TensorBoard continues a run, and tables of texts.

Trackers have the names that transformers' Trainer has for them, and its callbacks send them
what is logged. They get the samples of each evaluation, too, if they can show text.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers.integrations import (
    MLflowCallback,
    TensorBoardCallback,
    TrackioCallback,
    WandbCallback,
    get_available_reporting_integrations,
)

from textvae.errors import ConfigError, did_you_mean
from textvae.evaluation.progress import SampleTable
from textvae.training import checkpoints

TENSORBOARD = "tensorboard"  # we build its callback ourselves, so that it handles resumed runs

# The trackers that transformers knows, with what to do if one is missing.
TRACKERS = {
    "azure_ml": "pip install azureml-core azureml-mlflow",
    "clearml": "pip install clearml",
    "codecarbon": "pip install codecarbon",
    "comet_ml": "pip install comet-ml",
    "dagshub": "pip install dagshub mlflow",
    "dvclive": "pip install dvclive",
    "flyte": "pip install flytekit",
    "kubeflow": "it works inside a training job of Kubeflow",
    "mlflow": "pip install mlflow",
    "neptune": "pip install neptune",
    "swanlab": "pip install swanlab",
    TENSORBOARD: "pip install 'textvae[tensorboard]'",
    "trackio": "pip install trackio",
    "wandb": "pip install wandb",
}

_MARKUP = re.compile(r"[\\`*_\[\]<>|#&~$!]")  # what Markdown and HTML read as more than text

_SAMPLE_COLUMN = "sample"
_PAIR_COLUMNS = ["input", "reconstruction"]


def choose_trackers(names: list[str] | str) -> list[str]:
    """Return the trackers of a run: those that are named or, for `auto`, TensorBoard if installed.

    Raises:
        ConfigError: a tracker is unknown, or is not installed; the message says how to install it.
    """
    available = get_available_reporting_integrations()
    if isinstance(names, str):  # auto
        return [TENSORBOARD] if TENSORBOARD in available else []
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(
                f"training.trackers names {name!r}, which is unknown: {did_you_mean(name, TRACKERS)}"
                f"Choose from {', '.join(TRACKERS)}."
            )
        if name not in available:
            raise ConfigError(
                f"training.trackers names {name!r}, which is not installed: {TRACKERS[name]}. "
                "Or leave it out; with training.trackers=none, no tracker is used."
            )
    return names


def list_trainer_trackers(names: Iterable[str]) -> list[str]:
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


def send_table(callbacks: Iterable[Any], table: SampleTable) -> None:
    """Send a table of texts to those trackers that can show text, as their callbacks find them.

    Args:
        callbacks: all callbacks of a trainer.
    """
    for callback in callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
            callback.tb_writer.add_text("samples", format_table(table), table.step)
        elif isinstance(callback, WandbCallback):
            callback._wandb.log(_build_wandb_log(callback._wandb, table))
        elif isinstance(callback, TrackioCallback):
            callback._trackio.log(_build_trackio_log(callback._trackio, table))
        elif isinstance(callback, MLflowCallback):
            name = f"samples/step-{table.step:08}.md"
            callback._ml_flow.log_text(format_table(table), name)


def _build_wandb_log(wandb: Any, table: SampleTable) -> dict[str, Any]:
    """Return two tables as Weights & Biases logs them, at the step of the other values."""
    samples = wandb.Table(columns=[_SAMPLE_COLUMN], data=[[text] for text in table.samples])
    pairs = [[pair.input, pair.output] for pair in table.reconstructions]
    reconstructions = wandb.Table(columns=_PAIR_COLUMNS, data=pairs)
    return {
        "samples": samples,
        "reconstructions": reconstructions,
        "train/global_step": table.step,
    }


def _build_trackio_log(trackio: Any, table: SampleTable) -> dict[str, Any]:
    """Return two tables as Trackio logs them, at the step of the other values."""
    from pandas import DataFrame

    samples = DataFrame({_SAMPLE_COLUMN: table.samples})
    pairs = [(pair.input, pair.output) for pair in table.reconstructions]
    reconstructions = DataFrame(pairs, columns=_PAIR_COLUMNS)
    return {
        "samples": trackio.Table(dataframe=samples),
        "reconstructions": trackio.Table(dataframe=reconstructions),
        "train/global_step": table.step,
    }


def format_table(table: SampleTable) -> str:
    """Return a table of texts as Markdown, in which the texts are shown as they are."""
    lines = [
        f"Sampled at temperature {table.temperature:g}, seed {table.seed}:",
        "",
        *_format_rows([_SAMPLE_COLUMN], [[text] for text in table.samples]),
    ]
    if table.reconstructions:
        pairs = [[pair.input, pair.output] for pair in table.reconstructions]
        lines += ["", *_format_rows(_PAIR_COLUMNS, pairs)]
    return "\n".join(lines) + "\n"


def _format_rows(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [columns, ["---"] * len(columns), *[[_escape(text) for text in row] for row in rows]]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _escape(text: str) -> str:
    """Return a text for a cell: on one line, with its markup shown and not applied."""
    return _MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", " ".join(text.split()))
