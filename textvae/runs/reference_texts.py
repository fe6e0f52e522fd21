"""Sentences that show where a run's data are, where the user gives none: of its own splits."""

from pathlib import Path

from textvae.errors import CheckpointError, ConfigError

MAX_REFERENCE_SENTENCES, MAX_TRAINING_SENTENCES = 2000, 50_000  # sentences


def read_reference_texts(run: Path | None) -> list[str]:
    """Return the first sentences of a run's validation split.

    Raises:
        ConfigError: the model is in no folder, or the folder has no corpus any more.
    """
    return _read_first_sentences(run, "validation", MAX_REFERENCE_SENTENCES)


def read_training_texts(run: Path | None) -> list[str]:
    """Return the first sentences of a run's training split.

    Raises:
        ConfigError: the model is in no folder, or the folder has no such split (a stream's is not kept).
    """
    return _read_first_sentences(run, "train", MAX_TRAINING_SENTENCES)


def _read_first_sentences(run: Path | None, split: str, most: int) -> list[str]:
    """Return the first sentences of a split.

    Raises:
        ConfigError: there is none.
    """
    from textvae.runs.run import Run

    mend = "give sentences like those it was trained on"
    if run is None:
        raise ConfigError(
            f"this model is in no folder, so there is no {split} split to see its data by; {mend}."
        )
    try:
        return list(Run(run).split(split)[:most]["text"])
    except CheckpointError:
        raise ConfigError(f"{run}: has no {split} split to see its data by; {mend}.") from None
