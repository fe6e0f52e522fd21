"""Reading: the rows of one file of a stream; damage stops the run or is skipped.

`textvae.data.tables` parses the rows, whether the file is local or on an object store.
A file on an object store is opened by `datasets`, which retries.
The name of a local file is taken literally, even if it contains wildcards.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit

from datasets.utils.file_utils import xopen

from textvae.data.settings import DataSettings
from textvae.data.sources import explain_row_error
from textvae.data.streaming.files import is_remote
from textvae.data.tables import (
    CompressionError,
    FormatError,
    LayoutError,
    Row,
    RowReader,
    open_rows,
)
from textvae.errors import DataError

_DAMAGE_HINT = "Repair it and continue with --resume, or skip damage with data.on_corrupt=skip."


class StreamFileReader:
    """Reads the rows of files, and stops at damage or skips it.

    Damage in a single row (not UTF-8, not a JSON object, too many cells) skips only that
    row. Damage to the file itself (its compression, a page, its quotes) skips the rest of
    the file.

    Args:
        settings: how files are read, and what happens at damage.
        columns: the columns needed; others may be missing from the rows.

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
        self._reader: RowReader | None = None  # of the file that was opened last

    @property
    def format_notes(self) -> list[str]:
        """What a user should know about how the file that was opened last is read."""
        return self._reader.notes if self._reader is not None else []

    def read_rows(
        self, file: str, start: int = 0, part: int = 0, parts: int = 1
    ) -> Iterator[tuple[int, Row]]:
        """Yield the rows of a file, or of one part of it, each with its number from 1.

        Args:
            file: a path or URL.
            start: how many rows at the beginning of the file to skip.
            part: which part to read, from 0.
            parts: the number of parts; each consists of every `parts`-th row.

        Raises:
            DataError: the file is missing or damaged, and damage is not to be skipped.
        """
        has_damage = False
        for number, reader, record in self._read_records(file):
            # Skipped records are not parsed, so resuming in the middle of a file is fast.
            if number <= start or (number - 1) % parts != part:
                continue
            try:
                row = reader.row(record)
            except ValueError as error:
                problem = f"{_format_location(number, reader)}: {explain_row_error(reader, error)}"
                self.report_damage("corrupt rows", file, problem, is_notice=not has_damage)
                has_damage = True
            else:
                yield number, row

    def report_damage(self, kind: str, file: str, problem: str, is_notice: bool = True) -> None:
        """Stop at damage; or count it and, if it is worth a notice, remember the message.

        Args:
            kind: `corrupt rows` or `broken files`.
            problem: where in the file the damage is, and what is wrong there.
            is_notice: whether to remember the message.

        Raises:
            DataError: damage is not to be skipped.
        """
        message = f"{file}, {problem.removesuffix('.')}"
        if self.settings.on_corrupt == "stop":
            raise DataError(f"{message}. {_DAMAGE_HINT}")
        self.counts[kind] += 1
        if is_notice:
            self.notices.append((file, f"{message}: skipped"))

    def _read_records(self, file: str) -> Iterator[tuple[int, RowReader, Any]]:
        """Yield a file's records, numbered from 1, with their reader, until the file is broken."""
        number = 0
        reader = None
        try:
            with (
                _open_stream(file) as stream,
                open_rows(stream, _get_name(file), self.settings, self.columns) as reader,
            ):
                self._reader = reader
                for number, record in enumerate(reader.records(), start=1):
                    yield number, reader, record
        except ImportError as error:  # not damage: the file needs a library that is missing
            raise DataError(f"{file}: {error}.") from error
        except LayoutError as error:  # not damage either: the settings have to say more
            raise DataError(f"{file}: {error}") from error
        except FormatError as error:  # from our readers, which know the line
            location = f"after row {number:,}: reading stopped"
            if reader is not None and reader.line:
                location = f"line {reader.line:,}"
            self.report_damage("broken files", file, f"{location}: {error}")
        except CompressionError as error:
            problem = f"after row {number:,}: reading stopped ({error})"
            self.report_damage("broken files", file, problem)
        except Exception as error:  # each library raises errors of its own, without a common base
            # Some messages span several lines; a notice is one line.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            problem = f"after row {number:,}: reading stopped ({reason})"
            self.report_damage("broken files", file, problem)


def _format_location(number: int, reader: RowReader) -> str:
    """Return where a row is: its number, and its line if the two differ."""
    if reader.line in (0, number):  # 0: a format without lines
        return f"row {number:,}"
    return f"row {number:,} (line {reader.line:,})"


def _open_stream(file: str) -> IO[bytes]:
    """Open a local file or a URL.

    Raises:
        ImportError: the library for a file system is missing.
    """
    if is_remote(file):
        return cast(IO[bytes], xopen(file, "rb"))  # retries while it reads
    return Path(file).open("rb")


def _get_name(file: str) -> str:
    """Return the name of a file, which tells its format; for a URL, without the query."""
    if is_remote(file):
        return PurePosixPath(urlsplit(file).path).name
    return Path(file).name
