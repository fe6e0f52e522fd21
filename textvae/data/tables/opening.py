"""Opening: from the bytes of a file to the reader of its rows.

A file is unpacked, its format is found, and text in another encoding is converted to
UTF-8. The settings decide where they say something; otherwise the content does, and
then the ending of the name.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

from textvae.data.tables.arrow import ArrowReader
from textvae.data.tables.base import (
    LayoutError,
    Row,
    RowReader,
    WrappedReader,
    explain_missing_column,
)
from textvae.data.tables.chats import ChatReader
from textvae.data.tables.compression import (
    make_seekable,
    open_unpacked,
    peek,
    strip_compression,
)
from textvae.data.tables.delimited import DelimitedReader
from textvae.data.tables.encodings import decode_stream
from textvae.data.tables.json_rows import JsonReader
from textvae.data.tables.lines import LineReader
from textvae.data.tables.nested import find_cell, list_cell_names
from textvae.data.tables.paragraphs import ParagraphReader
from textvae.data.tables.parquet import ParquetReader
from textvae.data.tables.sequences import (
    FASTA_SUFFIXES,
    FASTQ_SUFFIXES,
    SMILES_SUFFIXES,
    SequenceReader,
)
from textvae.data.tables.settings import TableSettings
from textvae.data.tables.subtitles import SUBTITLE_SUFFIXES, SubtitleReader
from textvae.data.tables.values import as_label

# The suffixes that messages list.
CORPUS_SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet")

_SEQUENCE_SUFFIXES = (*SMILES_SUFFIXES, *FASTA_SUFFIXES, *FASTQ_SUFFIXES)

_READABLE_SUFFIXES = (*CORPUS_SUFFIXES, ".arrow", *_SEQUENCE_SUFFIXES, *SUBTITLE_SUFFIXES)

# Other endings of the names of tables; the separator of a .csv file is found in its first lines.
_OTHER_SUFFIXES = {".tab": ".tsv", ".psv": ".csv", ".ndjson": ".jsonl", ".feather": ".arrow"}

_PARQUET = b"PAR1"


def get_format_suffix(name: str) -> str | None:
    """Return the suffix that says how to read a file, without that of its compression.

    Only the last one counts: `ptb.train.txt` has two. An archive has the suffix .zip,
    because the name of the file inside decides. None if the suffix is unknown.
    """
    inner = PurePosixPath(strip_compression(name)).suffix
    suffix = _OTHER_SUFFIXES.get(inner, inner)
    if suffix in _READABLE_SUFFIXES:
        return suffix
    return ".zip" if name.lower().endswith(".zip") else None


@contextmanager
def open_rows(
    stream: IO[bytes],
    name: str,
    settings: TableSettings,
    columns: list[str] | None = None,
) -> Iterator[RowReader]:
    """Yield the reader for an open file.

    Args:
        stream: the file's bytes, compressed or not; it is not closed.
        name: the file's name; any suffix that is not a table's means a text file.
        settings: how files are read.
        columns: the columns needed; of a Parquet file that has all of them, only these are read.

    Raises:
        FormatError: the file cannot be read as the settings say.
        CompressionError: the compression is damaged.
    """
    with ExitStack() as opened:
        stream, inner = opened.enter_context(open_unpacked(stream, name, settings.member))
        head, stream = peek(stream)
        suffix = _choose_suffix(head, inner, settings)
        if suffix == ".parquet":
            stream = opened.enter_context(make_seekable(stream))
            _refuse_unit(settings)
            yield _finish(ParquetReader(stream, _list_needed(columns, settings)), settings)
            return
        if suffix == ".arrow":
            stream = opened.enter_context(make_seekable(stream))
            _refuse_unit(settings)
            yield _finish(ArrowReader(stream), settings)
            return
        text, encoding = decode_stream(stream, head, settings.encoding)
        reader: RowReader
        if suffix in (".csv", ".tsv"):
            reader = DelimitedReader(text, suffix, settings)
        elif suffix in (".json", ".jsonl"):
            reader = JsonReader(text, settings.text_column, is_list_allowed=suffix == ".json")
        elif suffix in SUBTITLE_SUFFIXES:
            reader = SubtitleReader(text, suffix, settings.text_column)
        elif suffix is not None and suffix in _SEQUENCE_SUFFIXES:
            reader = SequenceReader(text, suffix, settings.text_column)
        elif settings.unit != "line":
            reader = ParagraphReader(text, settings.text_column, settings.unit)
        else:
            # A name that ends in .txt says less than the setting: people call everything so.
            suspects = settings.text_columns if settings.format == "auto" else []
            reader = LineReader(text, settings.text_column, suspects)
        if suffix in _READABLE_SUFFIXES and suffix != ".txt":
            _refuse_unit(settings)
        reader.encoding = encoding
        yield _finish(reader, settings)


def join_texts(row: Row, settings: TableSettings) -> Row:
    """Return a row with the joined texts of several columns in the column of texts.

    Raises:
        LayoutError: one of the columns is missing.
    """
    texts: list[str] = []
    for name in settings.join_columns:
        try:
            texts.append(as_label(find_cell(row, name)))
        except KeyError:
            names = list_cell_names(row)
            problem = explain_missing_column(name, names, "Set data.join_columns.")
            raise LayoutError(problem) from None
    return {**row, settings.text_column: " ".join(filter(None, texts))}


class _JoiningReader(WrappedReader):
    """Reads what another reader does, with the texts of several columns joined to one."""

    def __init__(self, reader: RowReader, settings: TableSettings) -> None:
        super().__init__(reader)
        self._settings = settings

    def row(self, record: Any) -> Row:
        """Return the row of a record, with the joined text in the column of texts.

        Raises:
            ValueError: the record cannot be parsed, or a column is missing.
        """
        return join_texts(self._reader.row(record), self._settings)


def _choose_suffix(head: bytes, name: str, settings: TableSettings) -> str | None:
    """Return the suffix that says how a file is read; None for a text file."""
    suffix = get_format_suffix(name)
    if settings.format != "auto":
        return f".{settings.format}"
    if head.startswith(_PARQUET):  # whatever the name says
        return ".parquet"
    # A separator makes a table of a file whose name does not tell its format.
    if settings.separator != "auto" and suffix not in (".csv", ".tsv", ".json", ".jsonl"):
        return ".tsv" if settings.separator == "\t" else ".csv"
    return suffix


def _list_needed(columns: list[str] | None, settings: TableSettings) -> list[str] | None:
    """Return the columns to read, with those to join in place of the joined one."""
    if columns is None or not settings.join_columns:
        return columns
    others = [name for name in columns if name != settings.text_column]
    return list(dict.fromkeys([*settings.join_columns, *others]))


def _finish(reader: RowReader, settings: TableSettings) -> RowReader:
    """Return a reader that joins columns if the settings name some; else, one that splits chats.

    Raises:
        LayoutError: the settings have a role, and they are those of a corpus that has no chats.
    """
    needs_chats = settings.role is not None and settings.needs_shape
    if settings.join_columns:
        if needs_chats:
            raise LayoutError(
                "is read with data.join_columns, and data.role is for chats, which have no "
                "columns to join; leave one of the two out."
            )
        return _JoiningReader(reader, settings)
    if not isinstance(reader, ParquetReader | ArrowReader | JsonReader):
        if needs_chats:
            raise LayoutError("cannot hold chats, and data.role is for chats; leave data.role out.")
        return reader
    return ChatReader(reader, settings.text_column, settings.role, needs_chats=needs_chats)


def _refuse_unit(settings: TableSettings) -> None:
    """Refuse a unit other than lines for a file that is not plain text.

    Raises:
        LayoutError: the settings have another unit, and they are those of a corpus.
    """
    if settings.unit != "line" and settings.needs_shape:
        raise LayoutError(
            f"is no text file, so its rows or records are the texts; data.unit = "
            f"{settings.unit!r} is for text files. Leave data.unit out."
        )
