"""The contract of a run's corpus: how it is prepared, and the batches that training gets of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from textvae.data.corpus import DataSettings
from textvae.data.labels import Labels
from textvae.data.sources import RowSource
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.data.training_batches import CorpusTraining, TrainingBatches
from textvae.runtime.processes import Processes

TokenizerAndCounts = tuple[PreTrainedTokenizerBase, dict[str, Any]]
TokenizerBuilder = Callable[[Iterator[str]], PreTrainedTokenizerBase]  # from training sentences


class Corpus(ABC):
    """The corpus of a run.

    A new run calls `refuse_settings`, `prepare` and `finish_preparation`, in this order.

    Args:
        folder: the run's corpus folder.
        rows: the rows of each split, of a corpus passed as a Python object.
    """

    def __init__(
        self, folder: Path, settings: DataSettings, rows: Mapping[str, RowSource] | None = None
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.rows = rows

    @abstractmethod
    def refuse_settings(self, training: CorpusTraining, techniques: Collection[str]) -> None:
        """Refuse settings that do not fit such a corpus.

        Args:
            techniques: the names of the objective's techniques.

        Raises:
            ConfigError: a setting does not fit.
        """

    @abstractmethod
    def prepare(
        self, tokenizer: TokenizerSettings, initial: PreTrainedTokenizerBase | None, seed: int
    ) -> TokenizerAndCounts:
        """Write the tokenized splits and the counts, and print notes about them.

        Args:
            tokenizer: the settings of the tokenizer to build.
            initial: the tokenizer of the run to start from, to be used instead.
            seed: the seed of the training.

        Returns:
            The tokenizer, and the counts of cleaned and tokenized sentences.

        Raises:
            DataError: the corpus is missing, broken, or too small to learn from.
        """

    @abstractmethod
    def finish_preparation(self, training: CorpusTraining, processes: Processes) -> None:
        """Check and tidy up what was prepared, once nothing else needs the training split.

        Raises:
            ConfigError: a batch has too few sentences for so many processes.
        """

    @abstractmethod
    def open_batches(
        self,
        training: CorpusTraining,
        tokenizer: PreTrainedTokenizerBase,
        labels: Labels | None,
        processes: Processes,
    ) -> TrainingBatches:
        """Return the training batches of this process."""

    @abstractmethod
    def count_training_sentences(self, counts: Mapping[str, Any], log: Mapping[str, Any]) -> int:
        """Return the number of sentences that the run is trained on.

        Args:
            counts: of the tokenized sentences, by split; `prepare` wrote them.
            log: the log of the training.
        """

    @abstractmethod
    def count_overlap(self, counts: Mapping[str, Any]) -> int:
        """Return the number of sentences that are held out and yet trained on.

        Args:
            counts: of the tokenized sentences, by split.
        """


def choose_builder(
    settings: TokenizerSettings, initial: PreTrainedTokenizerBase | None
) -> TokenizerBuilder:
    """Return what builds the tokenizer from the training sentences, or ignores them for `initial`."""
    if initial is not None:
        return lambda sentences: initial
    return partial(build_tokenizer, settings)
