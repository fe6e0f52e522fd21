"""The matrix of a comparison: each config, on each corpus, under each seed."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textvae.data.sources import find_splits
from textvae.data.streaming.sample import is_streamed
from textvae.errors import ConfigError, DataError
from textvae.settings.reading import read_settings


@dataclass(frozen=True)
class Trial:
    """One run of a comparison.

    Attributes:
        row: the config's name, with the corpus's where corpora are compared; a row of the table.
        folder: of the run.
        settings: as they were asked for, before the corpus resolved them.
    """

    row: str
    config: Path
    corpus: str
    seed: int
    folder: Path
    overrides: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """What the run is called, in messages and in the record of the comparison."""
        return f"{self.row} seed {self.seed}"

    @property
    def log(self) -> Path:
        """Where its process writes what it has to say."""
        return self.folder.with_suffix(".log")


def build_trials(
    configs: Sequence[str | Path],
    corpora: Sequence[str],
    seeds: int,
    overrides: Sequence[str],
    output: Path,
) -> list[Trial]:
    """Return the runs, row by row.

    Args:
        corpora: on which each config is trained; its own `data.corpus` where there are none.
        seeds: how many runs a row has, of the seeds 1, 2, ...

    Raises:
        ConfigError: two configs or corpora share a name, a config is missing or wrong, or there are no seeds.
        DataError: a corpus cannot be found.
    """
    if seeds < 1:
        raise ConfigError(f"seeds = {seeds}: wanted is a number from 1.")
    names = _check_unique([Path(config).stem for config in configs], "configs")
    labels = _check_unique([_make_corpus_label(corpus) for corpus in corpora], "corpora")
    trials = []
    for name, config in zip(names, configs, strict=True):
        on: list[tuple[str, str | None]] = [
            (f"{name}-{mark}", corpus) for mark, corpus in zip(labels, corpora, strict=True)
        ]
        for row, corpus in on or [(name, None)]:
            trials += list(
                _build_row_trials(row, Path(config), corpus, seeds, tuple(overrides), output)
            )
    return trials


def _build_row_trials(
    row: str, config: Path, corpus: str | None, seeds: int, overrides: tuple[str, ...], output: Path
) -> Iterator[Trial]:
    """Yield the runs of one row, once its corpus is known to be there."""
    overrides = (*overrides, f"data.corpus={json.dumps(corpus)}") if corpus else overrides
    data = read_settings(config, overrides).data
    if data.corpus is None:
        raise DataError(f"{config}: names no corpus (data.corpus), and there is no --corpora.")
    if not is_streamed(data):
        find_splits(data.corpus, data.text_column, data.quoting)
    for seed in range(1, seeds + 1):
        seeded = (*overrides, f"training.seed={seed}")
        settings = read_settings(config, seeded).model_dump(mode="json")
        yield Trial(
            row, config, data.corpus, seed, output / "runs" / row / f"seed-{seed}", seeded, settings
        )


def _check_unique(names: list[str], what: str) -> list[str]:
    """Return the names, or refuse one that comes twice: its runs would stand in the same folder."""
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two of the {what} are called {name!r}; rename one, for runs are kept under its name."
            )
    return names


def _make_corpus_label(corpus: str) -> str:
    """Return a corpus's name as a part of a folder's: the last part of a path, without its suffix."""
    last = corpus.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w-]+", "_", last.split(".")[0]) or "corpus"
