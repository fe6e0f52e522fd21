"""The contract of a run's corpus: how it is prepared, and the training batches it gives."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from textvae.data.base_tokenizers import build_decoder_tokenizer
from textvae.data.batching import Collator
from textvae.data.corpus import TokenizerAndCounts
from textvae.data.settings import DataSettings
from textvae.data.sources import RowSource
from textvae.data.tables import WhiteSpace
from textvae.data.tokenization import TokenizerBuilder, TokenizerSettings, build_tokenizer
from textvae.data.training_batches import CorpusTraining, TrainingBatches
from textvae.runtime.processes import Processes


class Corpus(ABC):
    """The corpus of a run.

    A new run calls `refuse_settings`, `prepare` and `finish_preparation`, in this order.

    Args:
        folder: the run's corpus folder.
        settings: where the sentences are, and how they are prepared.
        rows: the rows of each split, if the corpus was passed as a Python object.
    """

    def __init__(
        self, folder: Path, settings: DataSettings, rows: Mapping[str, RowSource] | None = None
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.rows = rows

    @abstractmethod
    def refuse_settings(self, training: CorpusTraining, techniques: Collection[str]) -> None:
        """Refuse settings that do not fit this kind of corpus.

        Args:
            training: the settings of training that concern the corpus.
            techniques: the names of the objective's techniques.

        Raises:
            ConfigError: a setting does not fit.
        """

    @abstractmethod
    def prepare(
        self, tokenizer: TokenizerSettings, initial: PreTrainedTokenizerBase | None
    ) -> TokenizerAndCounts:
        """Write the tokenized splits and the counts, and print notes about them.

        `data.split_seed` chooses the held-out sentences, whatever the seed of training is.

        Args:
            tokenizer: the settings of the tokenizer to build.
            initial: the tokenizer of the run that training starts from, which is used instead;
                None if a tokenizer is built.

        Returns:
            The tokenizer, and the counts of cleaned and tokenized sentences.

        Raises:
            DataError: the corpus is missing, broken, or too small to learn from.
        """

    @abstractmethod
    def finish_preparation(self, training: CorpusTraining, processes: Processes) -> None:
        """Check what was prepared, and remove what training does not need.

        It is called once nothing else needs the files of the training split.

        Raises:
            ConfigError: a batch has too few sentences for so many processes.
        """

    @abstractmethod
    def open_batches(
        self,
        training: CorpusTraining,
        collator: Collator,
        processes: Processes,
    ) -> TrainingBatches:
        """Return the training batches of this process.

        Args:
            training: the sizes of batches, and the seed of their order.
            collator: makes the batches; it has the tokenizer and the labels of the run.
            processes: the rank of this process, and the number of all processes.
        """

    @abstractmethod
    def count_training_sentences(self, counts: Mapping[str, Any], log: Mapping[str, Any]) -> int:
        """Return the number of sentences that the run is trained on.

        Args:
            counts: those of the tokenized sentences of each split, which `prepare` wrote.
            log: the log of training.
        """

    @abstractmethod
    def count_overlap(self, counts: Mapping[str, Any]) -> int:
        """Return how many sentences are trained on although they are also held out.

        Args:
            counts: those of the tokenized sentences of each split.
        """


def choose_builder(
    settings: TokenizerSettings, initial: PreTrainedTokenizerBase | None, white_space: WhiteSpace
) -> TokenizerBuilder:
    """Return a function that builds the tokenizer; it returns `initial` if that is not None."""
    if initial is not None:
        return lambda sentences: initial
    if settings.kind == "pretrained":
        return partial(build_decoder_tokenizer, settings)
    return partial(build_tokenizer, settings, keeps_white_space=white_space == "keep")
