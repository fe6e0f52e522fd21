"""The corpus of a run that is not streamed."""

from collections.abc import Collection, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from textvae.data import cache
from textvae.data.arrow import read_number_column
from textvae.data.batch_shares import share_buckets
from textvae.data.batching import Collator
from textvae.data.corpus import open_split, prepare_splits
from textvae.data.corpus_report import report_left_out_rows, report_overlap
from textvae.data.labels import Labels
from textvae.data.row_report import print_note
from textvae.data.run_corpus.base import (
    Corpus,
    TokenizerAndCounts,
    TokenizerBuilder,
    choose_builder,
)
from textvae.data.sources import list_corpus_files
from textvae.data.tokenization import TokenizerSettings
from textvae.data.training_batches import BucketBatches, CorpusTraining
from textvae.runtime.processes import Processes

LARGE_CORPUS_BYTES = 2 * 2**30  # of source files; from this size on streaming is recommended


class PreparedCorpus(Corpus):
    """A corpus that is cleaned, split and tokenized before training, or taken from the cache."""

    def refuse_settings(self, training: CorpusTraining, techniques: Collection[str]) -> None:
        """Refuse nothing; batches that are too small are known only after preparation."""

    def prepare(
        self, tokenizer: TokenizerSettings, initial: PreTrainedTokenizerBase | None, seed: int
    ) -> TokenizerAndCounts:
        """Prepare all of the corpus."""
        build = choose_builder(tokenizer, initial)
        # The cache's key has the settings of data and tokenizer alone, so neither rows from
        # Python nor the tokenizer of another run can be found by it.
        if self.rows or initial is not None:
            prepared = self._prepare_splits(build)
        else:
            self._advise_streaming()
            prepared = self._prepare_cached_splits(tokenizer, build)
        _, counts = prepared
        report_left_out_rows(counts, self.settings)
        report_overlap(counts["tokenized"], self.settings)
        return prepared

    def finish_preparation(self, training: CorpusTraining, processes: Processes) -> None:
        """Refuse batches that are too small now, and not after the run has its name."""
        lengths = read_number_column(open_split(self.folder, "train"), "length")
        share_buckets(lengths, training, processes)

    def open_batches(
        self,
        training: CorpusTraining,
        tokenizer: PreTrainedTokenizerBase,
        labels: Labels | None,
        processes: Processes,
    ) -> BucketBatches:
        """Return the batches, of each the sentences of this process."""
        train = open_split(self.folder, "train")
        buckets = share_buckets(read_number_column(train, "length"), training, processes)
        return BucketBatches(train, buckets, Collator(tokenizer, labels), training.workers)

    def count_training_sentences(self, counts: Mapping[str, Any], log: Mapping[str, Any]) -> int:
        """Return the size of the training split."""
        return int(counts["train"]["sentences"])

    def count_overlap(self, counts: Mapping[str, Any]) -> int:
        """Return how many sentences the splits share, unless duplicates were left out."""
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
        """Take the prepared corpus from the cache, or prepare it and add it to the cache."""
        entry = cache.locate_entry(self.settings, tokenizer, self.settings.split_seed)
        restored = cache.restore_entry(entry, self.folder) if entry else None
        if restored:
            return restored
        prepared = self._prepare_splits(build)
        if entry:
            cache.save_entry(entry, self.folder, prepared[0])
        return prepared

    def _advise_streaming(self) -> None:
        """Recommend streaming for a very large corpus."""
        corpus = self.settings.corpus
        size = sum(file.stat().st_size for file in list_corpus_files(corpus or ""))
        if size > LARGE_CORPUS_BYTES:
            print_note(
                f"{corpus} has {size / 1e9:.1f} GB; all of it is read and tokenized before "
                "training starts; data.streaming=true starts at once."
            )
