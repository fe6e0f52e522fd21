"""Reference sentences of a run, for uses where the user gives none.

Some uses need sentences like those the model was trained on, for example to see
where the data lie in latent space. They come from the run's own splits.
"""

from pathlib import Path
from typing import Literal

from textvae.errors import CheckpointError, ConfigError
from textvae.runs.run import Run
from textvae.runtime.spacing import take_evenly

Split = Literal["train", "validation", "test"]

MAX_REFERENCE_SENTENCES = 2000
MAX_TRAINING_SENTENCES = 50_000


def read_reference_texts(run: Path | None) -> list[str]:
    """Return the first sentences of a run's validation split.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no corpus any more.
    """
    return read_split_texts(run, "validation", MAX_REFERENCE_SENTENCES)


def read_training_texts(run: Path | None) -> list[str]:
    """Return the first sentences of a run's training split.

    Raises:
        ConfigError: the model is not in a folder, or the folder has no training split. (A run
            on a stream does not keep one.)
    """
    return read_split_texts(run, "train", MAX_TRAINING_SENTENCES)


def read_split_texts(run: Path | None, split: Split, max_sentences: int | None) -> list[str]:
    """Return `max_sentences` sentences of a split, or all of them if it is None or there are fewer.

    They are evenly spaced, because a split has the order of its files.

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
        rows = Run(run).open_split(split).select_columns("text")
    except CheckpointError:
        raise ConfigError(
            f"{run}: has no {split} split to take sentences from; {advice}."
        ) from None
    if max_sentences is None:
        return list(rows["text"])
    return list(rows[take_evenly(range(len(rows)), max_sentences)]["text"])
