"""The corpus of a run that is read during training."""

from collections.abc import Collection, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from textvae.data.batching import Collator
from textvae.data.corpus import TokenizerAndCounts
from textvae.data.corpus_report import report_corpus
from textvae.data.run_corpus.base import Corpus, choose_builder
from textvae.data.streaming.loading import StreamLoader, build_second_reading_error, open_stream
from textvae.data.streaming.sample import prepare_stream
from textvae.data.tokenization import TokenizerSettings
from textvae.data.training_batches import CorpusTraining
from textvae.errors import ConfigError
from textvae.runtime.processes import Processes


class StreamedCorpus(Corpus):
    """A corpus that is read during training; only a sample of it is prepared before.

    The counts that `prepare` returns are those of the sample.
    """

    def refuse_settings(self, training: CorpusTraining, techniques: Collection[str]) -> None:
        """Refuse settings that need the whole corpus in advance, or a second reading of it."""
        if self.settings.label is not None:
            raise ConfigError(
                "data.label: all labels must be known before training, but a stream is read during "
                "training; set data.streaming=false."
            )
        if self.rows is not None or self.settings.corpus is None:
            raise ConfigError(
                "data.streaming = True needs files to read; name them, or leave data.streaming out."
            )
        is_bounded = training.steps is not None or training.max_minutes is not None
        if training.epochs is not None or not is_bounded:
            raise ConfigError(
                f"{self.settings.corpus} is streamed, so its length is not known: set "
                "training.steps or training.max_minutes, and leave training.epochs out."
            )
        if self.settings.drop_duplicates:
            raise ConfigError(
                "data.drop_duplicates=true would have to remember a whole stream; leave it out. "
                "(Duplicates of held-out sentences are never trained on.)"
            )
        if "aggressive" in techniques:
            raise build_second_reading_error()

    def prepare(
        self, tokenizer: TokenizerSettings, initial: PreTrainedTokenizerBase | None
    ) -> TokenizerAndCounts:
        """Prepare a sample; the held-out splits are part of it."""
        build = choose_builder(tokenizer, initial, self.settings.white_space)
        settings = self.settings
        prepared = prepare_stream(settings, settings.split_seed, self.folder, build)
        _, counts = prepared
        report_corpus(counts, settings)
        return prepared

    def finish_preparation(self, training: CorpusTraining, processes: Processes) -> None:
        """Remove the training split of the sample, since training reads the stream instead."""
        (self.folder / "train.arrow").unlink()

    def open_batches(
        self,
        training: CorpusTraining,
        collator: Collator,
        processes: Processes,
    ) -> StreamLoader:
        """Return the loader of the stream: the batches of this process's readers."""
        return open_stream(
            self.folder,
            self.settings,
            collator,
            seed=training.seed,
            batch_tokens=training.batch_tokens,
            batch_sentences=training.batch_sentences,
            workers=training.workers,
            rank=processes.rank,
            processes=processes.count,
        )

    def count_training_sentences(self, counts: Mapping[str, Any], log: Mapping[str, Any]) -> int:
        """Return how many sentences were trained on; each epoch counts again."""
        read = log.get("stream", {}).get("counts", {})
        return int(read.get("kept", 0) - read.get("also_held_out", 0))

    def count_overlap(self, counts: Mapping[str, Any]) -> int:
        """Return 0: a held-out sentence is never trained on."""
        return 0
