"""The corpus of a run: which of the two kinds it is, what it refuses, and what it counts."""

import pytest

from tests.streams import build_loaders, build_plan, write_shards
from textvae.data.run_corpus import choose_corpus, open_corpus
from textvae.data.run_corpus.prepared import PreparedCorpus
from textvae.data.run_corpus.streamed import StreamedCorpus
from textvae.data.settings import DataSettings
from textvae.data.streaming.sample import STREAM_FILE
from textvae.errors import ConfigError
from textvae.settings.training import TrainingSettings

COUNTS = {"train": {"sentences": 90, "also_held_out": 3}}


@pytest.mark.parametrize(("streaming", "kind"), [(True, StreamedCorpus), (False, PreparedCorpus)])
def test_the_settings_choose_the_corpus_of_a_new_run(tmp_path, streaming, kind):
    """The folder does not exist yet."""
    settings = DataSettings(corpus="captions", streaming=streaming)
    assert type(choose_corpus(tmp_path / "corpus", settings)) is kind


def test_its_folder_tells_the_corpus_of_an_existing_run(tmp_path):
    """The settings cannot: a file may have appeared that has the name of a pattern."""
    settings = DataSettings(corpus="part-*.txt")
    assert type(open_corpus(tmp_path, settings)) is PreparedCorpus
    (tmp_path / STREAM_FILE).touch()
    assert type(open_corpus(tmp_path, settings)) is StreamedCorpus


def test_a_prepared_corpus_refuses_no_setting_before_it_is_read(tmp_path):
    """Labels, epochs, duplicates and additional batches need the whole corpus, and it is there."""
    settings = DataSettings(corpus="captions", label="kind", drop_duplicates=True)
    corpus = choose_corpus(tmp_path, settings)
    corpus.refuse_settings(TrainingSettings(epochs=2), ["aggressive"])


def test_a_stream_yields_no_additional_batches(tmp_path):
    """The sentences of a stream are read only once."""
    (loader,) = build_loaders(build_plan(write_shards(tmp_path)), processes=1, workers=0)
    with pytest.raises(ConfigError, match="a stream can be read only once"):
        loader.iterate_additional(0)


def test_the_sentences_of_a_stream_are_those_that_training_has_read(tmp_path):
    """The counts on the disk are those of the sample; a prepared corpus is counted there."""
    log = {"stream": {"counts": {"read": 510, "kept": 500, "also_held_out": 4}}}
    settings = DataSettings(corpus="captions")
    assert StreamedCorpus(tmp_path, settings).count_training_sentences(COUNTS, log) == 496
    assert PreparedCorpus(tmp_path, settings).count_training_sentences(COUNTS, {}) == 90


def test_only_shared_sentences_that_are_trained_on_count_as_overlap(tmp_path):
    """A stream leaves them out, and so does `drop_duplicates`."""
    settings = DataSettings(corpus="captions")
    dropping = DataSettings(corpus="captions", drop_duplicates=True)
    assert PreparedCorpus(tmp_path, settings).count_overlap(COUNTS) == 3
    assert PreparedCorpus(tmp_path, dropping).count_overlap(COUNTS) == 0
    assert StreamedCorpus(tmp_path, settings).count_overlap(COUNTS) == 0
