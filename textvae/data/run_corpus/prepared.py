"""The corpus of a run that is prepared on the disk before training."""

from collections.abc import Collection, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from textvae.data import cache
from textvae.data.arrow import read_number_column
from textvae.data.batch_shares import share_buckets
from textvae.data.batching import Collator
from textvae.data.corpus import TokenizerAndCounts, open_split, prepare_splits
from textvae.data.corpus_report import report_corpus
from textvae.data.frozen_states import join_states
from textvae.data.run_corpus.base import Corpus, choose_builder
from textvae.data.sources import list_corpus_files, report_folder
from textvae.data.tokenization import TokenizerBuilder, TokenizerSettings
from textvae.data.training_batches import BucketBatches, CorpusTraining
from textvae.messages import print_note
from textvae.runtime.processes import Processes

LARGE_CORPUS_BYTES = 2 * 2**30  # of source files; for more, a note recommends streaming


class PreparedCorpus(Corpus):
    """A corpus that is cleaned, split and tokenized before training, or taken from the cache."""

    def refuse_settings(self, training: CorpusTraining, techniques: Collection[str]) -> None:
        """Refuse nothing: whether batches are too small is known only after preparation."""

    def prepare(
        self, tokenizer: TokenizerSettings, initial: PreTrainedTokenizerBase | None
    ) -> TokenizerAndCounts:
        """Prepare all of the corpus."""
        build = choose_builder(tokenizer, initial, self.settings.white_space)
        # An entry of the cache is found by the settings of data and tokenizer alone. These
        # tell nothing about rows from Python or about the tokenizer of another run.
        if self.rows or initial is not None:
            prepared = self._prepare_splits(build)
        else:
            self._advise_streaming()
            prepared = self._prepare_cached_splits(tokenizer, build)
        _, counts = prepared
        report_corpus(counts, self.settings)
        return prepared

    def finish_preparation(self, training: CorpusTraining, processes: Processes) -> None:
        """Refuse batches that are too small, before the run's folder gets its final name."""
        lengths = read_number_column(open_split(self.folder, "train"), "length")
        share_buckets(lengths, training, processes)  # raises ConfigError

    def open_batches(
        self,
        training: CorpusTraining,
        collator: Collator,
        processes: Processes,
    ) -> BucketBatches:
        """Return this process's share of each batch."""
        train = open_split(self.folder, "train")
        buckets = share_buckets(read_number_column(train, "length"), training, processes)
        train = join_states(train, self.folder, "train")
        return BucketBatches(train, buckets, collator, training.workers)

    def count_training_sentences(self, counts: Mapping[str, Any], log: Mapping[str, Any]) -> int:
        """Return the size of the training split."""
        return int(counts["train"]["sentences"])

    def count_overlap(self, counts: Mapping[str, Any]) -> int:
        """Return how many training sentences are also held out; 0 if duplicates were left out."""
        if self.settings.drop_duplicates:
            return 0
        return int(counts["train"].get("also_held_out", 0))

    def _prepare_splits(self, build: TokenizerBuilder) -> TokenizerAndCounts:
        """Prepare the corpus without the cache."""
        settings = self.settings
        return prepare_splits(settings, settings.split_seed, self.folder, build, self.rows)

    def _prepare_cached_splits(
        self, tokenizer: TokenizerSettings, build: TokenizerBuilder
    ) -> TokenizerAndCounts:
        """Take the prepared corpus from the cache; if it is not there, prepare and add it."""
        entry = cache.locate_entry(self.settings, tokenizer, self.settings.split_seed)
        if entry is None:
            return self._prepare_splits(build)
        restored = cache.restore_entry(entry, self.folder)
        if restored is not None:
            # The notes that reading the folder would print.
            assert self.settings.corpus is not None
            named = self.settings.list_named_files()
            report_folder(self.settings.corpus, self.settings, named)
            return restored
        built_tokenizer, counts = self._prepare_splits(build)
        cache.save_entry(entry, self.folder, built_tokenizer)
        return built_tokenizer, counts

    def _advise_streaming(self) -> None:
        """Print a note that recommends streaming if the corpus is very large."""
        corpus = self.settings.corpus
        files = list_corpus_files(corpus) if corpus else []
        size = sum(file.stat().st_size for file in files)
        if size > LARGE_CORPUS_BYTES:
            print_note(
                f"{corpus} has {size / 1e9:.1f} GB, and all of it is read and tokenized before "
                "training starts. With data.streaming=true, training starts at once."
            )
