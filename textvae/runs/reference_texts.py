"""Reference sentences of a run, for uses where the user gives none.

Some uses need sentences like those the model was trained on, for example to see
where the data lie in latent space. They come from the run's own splits.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textvae.errors import CheckpointError, ConfigError
from textvae.runs.run import Run
from textvae.runtime.spacing import take_evenly

if TYPE_CHECKING:
    from datasets import Dataset

Split = Literal["train", "validation", "test"]

MAX_REFERENCE_SENTENCES = 2000
MAX_TRAINING_SENTENCES = 50_000


def read_reference_texts(run: Path | None) -> list[str]:
    """Return sentences of a run's validation split, evenly spaced.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no corpus any more.
    """
    return _read_evenly(run, "validation", MAX_REFERENCE_SENTENCES)


def read_training_texts(run: Path | None) -> list[str]:
    """Return sentences of a run's training split, evenly spaced.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no training split. (A run
            on a stream does not keep one.)
    """
    return _read_evenly(run, "train", MAX_TRAINING_SENTENCES)


def read_split_texts(run: Path | None, split: Split, max_sentences: int | None) -> list[str]:
    """Return the first `max_sentences` sentences of a split, or all of them if it is None.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no such split.
    """
    return list(_open_split(run, split)[:max_sentences]["text"])


def _read_evenly(run: Path | None, split: Split, most: int) -> list[str]:
    """Return at most so many sentences of a split, evenly spaced: it has the order of its files.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no such split.
    """
    rows = _open_split(run, split)
    return list(rows[take_evenly(range(len(rows)), most)]["text"])


def _open_split(run: Path | None, split: Split) -> "Dataset":
    """Return the sentences of a split.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no such split.
    """
    advice = "give sentences like those it was trained on"
    if run is None:
        raise ConfigError(
            f"this model was not loaded from a folder, so it has no {split} split to take sentences "
            f"from; {advice}."
        )
    try:
        return Run(run).open_split(split).select_columns("text")
    except CheckpointError:
        raise ConfigError(
            f"{run}: has no {split} split to take sentences from; {advice}."
        ) from None
