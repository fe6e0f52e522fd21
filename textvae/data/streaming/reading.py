"""Reading: the rows of one file as a stream, with damage reported or skipped.

The rows are those that `textvae.data.tables` reads from any file, local or on an
object store. A file on an object store is opened by `datasets`, which decompresses
it and retries. A local file is opened by its name, even if it contains wildcards.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from datasets.download.streaming_download_manager import StreamingDownloadManager
from datasets.utils.file_utils import xopen
from fsspec.compression import compr
from fsspec.utils import infer_compression

from textvae.data.corpus import DataSettings
from textvae.data.sources import open_bytes
from textvae.data.streaming.files import COMPRESSION_SUFFIXES, get_stream_suffix, is_remote
from textvae.data.tables import FormatError, Row, RowReader, open_rows
from textvae.errors import DataError

_DAMAGE_HINT = "Repair it and continue with --resume, or skip damage with data.on_corrupt=skip."


class StreamFileReader:
    """Reads files, and stops at damage or skips it.

    A damaged row (not UTF-8, not a JSON object, too many cells) is skipped alone. If
    the file itself is broken (its compression, a page, its quotes), the rest of it is.

    Attributes:
        counts: the numbers of `corrupt rows` and `broken files` that were skipped.
        notices: (file, message) of each broken file, and of the first corrupt row each
            time a file was read.
    """

    def __init__(self, settings: DataSettings, columns: list[str]) -> None:
        self.settings = settings
        self.columns = columns
        self.counts: Counter[str] = Counter()
        self.notices: list[tuple[str, str]] = []

    def read_rows(
        self, file: str, start: int = 0, part: int = 0, parts: int = 1
    ) -> Iterator[tuple[int, Row]]:
        """Yield the rows of a file, or of one part of it, each with its number from 1.

        Args:
            start: how many rows at the beginning to skip.
            part: which part to read, from 0.
            parts: the number of parts; a part is every `parts`-th row.

        Raises:
            DataError: the file is missing or damaged, and damage is not to be skipped.
        """
        has_damage = False
        for number, reader, record in self._records(file):
            # Skipped records are not parsed, so resuming in the middle of a file is fast.
            if number <= start or (number - 1) % parts != part:
                continue
            try:
                row = reader.row(record)
            except ValueError as flaw:
                where = f"{_format_place(number, reader)}: {flaw}"
                self.report_damage("corrupt rows", file, where, is_notice=not has_damage)
                has_damage = True
            else:
                yield number, row

    def report_damage(self, what: str, file: str, where: str, is_notice: bool = True) -> None:
        """Count damage and, if it is worth a notice, remember it; or stop at it.

        Args:
            what: `corrupt rows` or `broken files`.
            where: the place in the file and what is wrong there.

        Raises:
            DataError: damage is not to be skipped.
        """
        message = f"{file}, {where.removesuffix('.')}"
        if self.settings.on_corrupt == "stop":
            raise DataError(f"{message}. {_DAMAGE_HINT}")
        self.counts[what] += 1
        if is_notice:
            self.notices.append((file, f"{message}: skipped"))

    def _records(self, file: str) -> Iterator[tuple[int, RowReader, Any]]:
        """Yield a file's records, numbered from 1, with their reader, until the file is broken."""
        number = 0
        reader = None
        try:
            with _open_stream(file) as stream:
                reader = open_rows(
                    stream,
                    get_stream_suffix(file),
                    self.settings.text_column,
                    self.settings.quoting,
                    self.columns,
                )
                for number, record in enumerate(reader.records(), start=1):
                    yield number, reader, record
        except ImportError as error:  # the library for a file system or a compression
            raise DataError(f"{file}: {error}.") from error
        except FormatError as flaw:  # our own, which knows the line
            where = f"after row {number:,}: reading stopped"
            if reader is not None:
                where = f"line {reader.line:,}"
            self.report_damage("broken files", file, f"{where}: {flaw}")
        except Exception as error:  # each library raises errors of its own, without a common base
            # Some messages span several lines; a notice is one line.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = f"after row {number:,}: reading stopped ({reason})"
            self.report_damage("broken files", file, where)


def _format_place(number: int, reader: RowReader) -> str:
    """Return where a row is: its number, and its line if that is another number."""
    if reader.line in (0, number):
        return f"row {number:,}"
    return f"row {number:,} (line {reader.line:,})"


def _open_stream(file: str) -> IO[bytes]:
    """Open a local file or a URL, decompressed.

    Raises:
        ImportError: the library for a file system or a compression is missing.
    """
    if is_remote(file):
        # `extract` only rewrites the URL, so that `xopen` decompresses while it reads.
        return cast(IO[bytes], xopen(StreamingDownloadManager().extract(file), "rb"))
    stream = open_bytes(Path(file))  # decompresses gzip, whatever the name says
    suffix = Path(file).suffix.lower()
    if suffix not in COMPRESSION_SUFFIXES or suffix == ".gz":
        return stream
    compression = infer_compression(f"file{suffix}")
    if compression is None:
        stream.close()
        raise ImportError(
            f"no installed package decompresses {suffix}; install zstandard for .zst, lz4 for .lz4"
        )
    return cast(IO[bytes], compr[compression](stream, mode="rb"))
