"""The corpus of a run: prepared on the disk before training, or streamed during it.

`Corpus` is the contract that both kinds fulfill. For a new run, the settings decide
which kind it is; for an existing run, the files in its corpus folder do.
"""

from collections.abc import Mapping
from pathlib import Path

from textvae.data.run_corpus.base import Corpus
from textvae.data.run_corpus.prepared import PreparedCorpus
from textvae.data.run_corpus.streamed import StreamedCorpus
from textvae.data.settings import DataSettings
from textvae.data.sources import RowSource
from textvae.data.streaming.sample import STREAM_FILE, is_streamed


def choose_corpus(
    folder: Path, settings: DataSettings, rows: Mapping[str, RowSource] | None = None
) -> Corpus:
    """Return the corpus of a new run, not yet prepared; the arguments are those of `Corpus`.

    Raises:
        ConfigError: only a stream can read the corpus, but the settings forbid one.
    """
    if is_streamed(settings):
        return StreamedCorpus(folder, settings, rows)
    return PreparedCorpus(folder, settings, rows)


def open_corpus(folder: Path, settings: DataSettings) -> Corpus:
    """Return the corpus of an existing run; the arguments are those of `Corpus`."""
    if is_stream_folder(folder):
        return StreamedCorpus(folder, settings)
    return PreparedCorpus(folder, settings)


def is_stream_folder(folder: Path) -> bool:
    """Return whether a run's corpus folder is that of a streamed corpus."""
    return (folder / STREAM_FILE).is_file()
