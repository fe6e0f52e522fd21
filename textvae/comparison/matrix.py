"""The matrix of a comparison: each config, on each corpus, under each seed."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textvae.data.sources import find_splits, is_pipe
from textvae.data.streaming.sample import is_streamed
from textvae.errors import ConfigError, DataError
from textvae.messages import print_note
from textvae.settings.reading import read_settings
from textvae.terminal import quote_value


@dataclass(frozen=True)
class Trial:
    """One run of a comparison.

    Attributes:
        row_name: the row of the table that the run belongs to: the config's name, followed by
            the corpus's if corpora were passed.
        config: the YAML file.
        corpus: the path or name of the corpus.
        folder: the run folder.
        overrides: all changes to the config, as `section.key=value`.
        settings: the settings of the run, before `auto` values are resolved from the corpus.
    """

    row_name: str
    config: Path
    corpus: str
    seed: int
    folder: Path
    overrides: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's name in messages and in `comparison.json`."""
        return f"{self.row_name} seed {self.seed}"

    @property
    def log_file(self) -> Path:
        """The file for the output of the run's process."""
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
        corpora: corpora to train each config on; if empty, its own `data.corpus`.
        seeds: how many runs a row has, with the seeds 1, 2, ...
        overrides: `section.key=value`, for all configs.
        output: the folder of the comparison.

    Raises:
        ConfigError: two configs or corpora share a name, a config is missing or wrong, `seeds`
            is below 1, or an override has no effect.
        DataError: a corpus was not found.
    """
    if not configs:
        raise ConfigError("there are no configs; name at least one YAML file.")
    if seeds < 1:
        raise ConfigError(f"seeds = {seeds}: expected 1 or more.")
    _refuse_overrides_without_effect(overrides, corpora)
    config_names = _check_unique([Path(config).stem for config in configs], "configs")
    corpus_names = _check_unique([_name_corpus(corpus) for corpus in corpora], "corpora")
    # Two pairs can still give one name: config a with corpus b-c, and config a-b with corpus c.
    _check_unique(
        [f"{config}-{corpus}" for config in config_names for corpus in corpus_names], "rows"
    )
    trials: list[Trial] = []
    for config_name, config in zip(config_names, configs, strict=True):
        rows: list[tuple[str, str | None]] = [
            (f"{config_name}-{corpus_name}", corpus)
            for corpus_name, corpus in zip(corpus_names, corpora, strict=True)
        ]
        if not rows:
            rows = [(config_name, None)]
        for row_name, corpus in rows:
            trials += _build_row_trials(
                row_name, Path(config), corpus, seeds, tuple(overrides), output
            )
    return trials


def _build_row_trials(
    row_name: str,
    config: Path,
    corpus: str | None,
    seeds: int,
    overrides: tuple[str, ...],
    output: Path,
) -> Iterator[Trial]:
    """Yield the runs of one row.

    Args:
        corpus: replaces the config's own corpus, unless it is None.

    Raises:
        ConfigError: the config is missing or wrong.
        DataError: the corpus is missing, or the config does not name one.
    """
    if corpus:
        # The value of an override is YAML. JSON is YAML, too, and quotes any path safely.
        overrides = (*overrides, f"data.corpus={json.dumps(corpus)}")
    configured = read_settings(config, overrides)
    data = configured.data
    if not 1 <= configured.training.seed <= seeds:
        print_note(
            f"{config} has training.seed = {configured.training.seed}, which is not used: the runs "
            "of each config have the seeds 1, 2, ..."
        )
    if data.corpus is None:
        raise DataError(f"{config}: has no corpus; set data.corpus in it, or pass --corpora.")
    if not is_streamed(data):
        if is_pipe(data.corpus):
            raise DataError(
                f"{data.corpus}: is a pipe, which only one run could read; save it as a file."
            )
        find_splits(data.corpus, data)
    for seed in range(1, seeds + 1):
        seeded = (*overrides, f"training.seed={seed}")
        yield Trial(
            row_name=row_name,
            config=config,
            corpus=data.corpus,
            seed=seed,
            folder=output / "runs" / row_name / f"seed-{seed}",
            overrides=seeded,
            settings=read_settings(config, seeded).model_dump(mode="json"),
        )


def _refuse_overrides_without_effect(overrides: Sequence[str], corpora: Sequence[str]) -> None:
    """Refuse settings that a comparison sets for each of its runs.

    Raises:
        ConfigError: there is such a setting.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "training.seed":
            raise ConfigError(
                f"training.seed = {quote_value(value)} has no effect: the runs of each config have "
                "the seeds 1, 2, ...; leave it out, and set how many seeds there are with --seeds."
            )
        if key == "data.corpus" and corpora:
            raise ConfigError(
                f"data.corpus = {quote_value(value)} has no effect next to --corpora "
                f"{' '.join(corpora)}; leave one of the two out."
            )


def _check_unique(names: list[str], what: str) -> list[str]:
    """Return the names; two runs of the same name would share a folder.

    Args:
        what: what the names belong to, in the plural, for the message.

    Raises:
        ConfigError: a name occurs twice.
    """
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two of the {what} are called {name!r}; rename one, because the run folders are "
                "named after them."
            )
    return names


def _name_corpus(corpus: str) -> str:
    """Return the end of a corpus's path, without suffixes, in characters that suit a folder."""
    last = corpus.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w-]+", "_", last.split(".")[0]) or "corpus"
