"""The sentences of a run that the map shows, and those that anomalies are compared with."""

from pathlib import Path

import numpy as np

from textvae.errors import CheckpointError, DataError
from textvae.explorer.latent_map import NORMAL_SENTENCES, Sentences
from textvae.runs.run import Run

_SPLITS = ("train", "validation", "test")  # a run on a stream does not keep the first
_SEED = 0


def choose_sentences(
    run: Path | None, points: int, label_column: str | None
) -> tuple[Sentences, Sentences]:
    """Return sentences for the map, and normal held-out ones.

    They are a random sample of the training split in the order of the corpus, or of
    another split if the run does not have this one.

    Args:
        points: the most sentences on the map.
        label_column: the column of labels, for a conditional model.

    Raises:
        DataError: the model has no corpus.
    """
    found = {}
    for name in _SPLITS:
        if run is not None and (run / "corpus" / f"{name}.arrow").is_file():
            found[name] = name
    if run is None or not found:
        raise DataError(
            "there are no sentences to show: this model has no corpus next to it. Start the "
            "explorer from Python with sentences: vae.explore(texts=[...])."
        )
    shown = next(iter(found))
    held_out = found.get("validation", shown)
    return (
        _sample_sentences(run, shown, points, label_column),
        _sample_sentences(run, held_out, NORMAL_SENTENCES, label_column),
    )


def _sample_sentences(run: Path, split: str, count: int, label_column: str | None) -> Sentences:
    """Return a random sample of the sentences of a split, in their order."""
    try:
        dataset = Run(run).open_split(split)
        rows = np.random.default_rng(_SEED).permutation(len(dataset))[:count]
        columns = dataset[np.sort(rows).tolist()]
    except (CheckpointError, OSError) as error:
        raise DataError(f"the sentences of the run cannot be read: {error}") from error
    labels = None
    if label_column is not None:
        labels = [str(label) for label in columns[label_column]]
    return Sentences(list(columns["text"]), labels)
