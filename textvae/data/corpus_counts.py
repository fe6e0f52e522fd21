"""Counts of a corpus that cleaning and tokenizing do not make: copies, and files per split."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from textvae.data.folders import read_folder
from textvae.data.sources import resolve_path


def count_repeats(
    fingerprints: Mapping[str, NDArray[np.uint64]], *, drops_held_out: bool
) -> dict[str, dict[str, int]]:
    """Return how often sentences are repeated, within training and across splits.

    Args:
        fingerprints: of all sentences of each split, each array of shape (sentences,).
        drops_held_out: whether training sentences that are also held out are left out.

    Returns:
        For `train`: `copies`, the sentences that are there a second time or more often, and
        `most_copies`, how often the most frequent sentence is there. For each other split:
        `also_trained_on`, how many of its sentences are training sentences, too.
    """
    different, times = np.unique(fingerprints["train"], return_counts=True)
    repeats: dict[str, dict[str, int]] = {}
    for split, split_fingerprints in fingerprints.items():
        if split == "train":
            copies = len(split_fingerprints) - len(different)
            repeats[split] = {"copies": copies, "most_copies": int(times.max())}
        else:
            shared = int(np.isin(split_fingerprints, different).sum())
            repeats[split] = {"also_trained_on": 0 if drops_held_out else shared}
    return repeats


def list_split_files(
    corpus: str, named: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[str]]:
    """Return the names of the files that each split of a corpus is read from.

    It is empty for a corpus of one file, and for a data set that is not in files.

    Args:
        named: the files of splits that the settings name, by split.
    """
    folder = resolve_path(corpus)
    files: dict[str, list[str]] = {}
    if folder.is_dir():
        contents = read_folder(folder)
        contents.exclude(folder, [Path(name).expanduser() for name in named.values()])
        for split, split_files in contents.splits.items():
            files[split] = [file.path.relative_to(folder).as_posix() for file in split_files]
    elif named:
        files["train"] = [corpus]
    files.update({split: [name] for split, name in named.items()})
    return files
