"""Reading: the rows of a file, as a stream, with damage reported or passed over.

Rows are those that `textvae.data.tables` finds in any file, here or on an object
store. A file on an object store is opened by `datasets`, which unpacks it and
retries; a file of this machine is opened by its name, whatever signs are in it.
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

_DAMAGE_HINT = "Repair it and go on with --resume, or pass over such damage: data.on_corrupt=skip."


class StreamFileReader:
    """Reads files, and stops at damage or passes over it.

    A damaged row (not UTF-8, no JSON object, too many cells) is passed over alone; where the
    file itself is broken (its compression, a page of it, its quotes), the rest of it is.

    Attributes:
        counts: the `corrupt rows` and `broken files` that were passed over.
        notices: (file, message) of each broken file, and of the first corrupt row each time a file was read.
    """

    def __init__(self, settings: DataSettings, columns: list[str]) -> None:
        self.settings, self.columns = settings, columns
        self.counts: Counter[str] = Counter()
        self.notices: list[tuple[str, str]] = []

    def rows(
        self, file: str, start: int = 0, part: int = 0, parts: int = 1
    ) -> Iterator[tuple[int, Row]]:
        """Yield the rows after the first `start`, every `parts`-th of them from `part`, each with its number from 1.

        Raises:
            DataError: the file is missing or damaged, and damage is not to be passed over.
        """
        is_sound = True
        for number, reader, record in self.records(file):
            if number <= start or (number - 1) % parts != part:
                continue
            try:
                row = reader.row(record)
            except ValueError as flaw:
                self.pass_over(
                    "corrupt rows", file, f"{_place_of(number, reader)}: {flaw}", is_sound
                )
                is_sound = False
            else:
                yield number, row

    def records(self, file: str) -> Iterator[tuple[int, RowReader, Any]]:
        """Yield a file's records, numbered from 1, with their reader, up to where the file is broken."""
        number, reader = 0, None
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
        except FormatError as flaw:
            where = (
                f"after row {number:,}: cannot be read on"
                if reader is None
                else f"line {reader.line:,}"
            )
            self.pass_over("broken files", file, f"{where}: {flaw}")
        except Exception as error:  # each library has errors of its own, without a common root
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.pass_over(
                "broken files", file, f"after row {number:,}: cannot be read on ({reason})"
            )

    def pass_over(self, what: str, file: str, where: str, is_notice: bool = True) -> None:
        """Count damage, or stop at it."""
        if self.settings.on_corrupt == "stop":
            raise DataError(f"{file}, {where.removesuffix('.')}. {_DAMAGE_HINT}")
        self.counts[what] += 1
        if is_notice:
            self.notices.append((file, f"{file}, {where.removesuffix('.')}: passed over"))


def _place_of(number: int, reader: RowReader) -> str:
    """Return where a row is: its number, and its line where that differs."""
    return (
        f"row {number:,}"
        if reader.line in (0, number)
        else f"row {number:,} (line {reader.line:,})"
    )


def _open_stream(file: str) -> IO[bytes]:
    """Open a file here or at a URL, unpacked.

    Raises:
        ImportError: the library for a file system or a compression is missing.
    """
    if is_remote(file):
        return cast(IO[bytes], xopen(StreamingDownloadManager().extract(file), "rb"))
    packed = open_bytes(Path(file))  # unpacks gzip, whatever the name says
    suffix = Path(file).suffix.lower()
    if suffix not in COMPRESSION_SUFFIXES or suffix == ".gz":
        return packed
    kind = infer_compression(f"file{suffix}")
    if kind is None:
        packed.close()
        raise ImportError(
            f"nothing installed unpacks {suffix}; install zstandard for .zst, lz4 for .lz4"
        )
    return cast(IO[bytes], compr[kind](packed, mode="rb"))
