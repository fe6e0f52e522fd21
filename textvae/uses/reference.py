"""Sentences that show where a run's data are, where the user gives none: of its own validation split."""

from pathlib import Path

from textvae.errors import CheckpointError, ConfigError

MOST = 2000  # sentences


def reference_texts(run: Path | None) -> list[str]:
    """Return the first sentences of a run's validation split.

    Raises:
        ConfigError: the model is in no folder, or the folder has no corpus any more.
    """
    from textvae.run import Run

    mend = "give sentences like those it was trained on as the reference"
    if run is None:
        raise ConfigError(f"this model is in no folder, so there is no validation split to see its data by; {mend}.")
    try:
        return list(Run(run).split("validation")[:MOST]["text"])
    except CheckpointError:
        raise ConfigError(f"{run}: has no validation split to see its data by; {mend}.") from None
