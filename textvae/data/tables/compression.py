"""Compression: what a file holds inside, whatever its name says.

The first bytes of a file tell how it is compressed, so a wrong or missing ending of the
name does no harm. Streams that cannot go back, such as pipes, are read ahead.
"""

import bz2
import gzip
import io
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import PurePosixPath
from shutil import copyfileobj
from typing import IO, Any, cast

from textvae.data.row_report import shorten_list
from textvae.data.tables.base import FormatError, LayoutError

COMPRESSION_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")

HEAD_BYTES = 4096  # at the beginning of a stream, to recognize what it is

_MAX_LAYERS = 3  # a compressed file in an archive has two

_MAX_LISTED_MEMBERS = 10

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

# Formats that are recognized only to say that they have to be unpacked.
_ARCHIVES = (
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"\x1f\x9d", "compressed with compress"),
    (0, b"LZIP\x01", "compressed with lzip"),
    (257, b"ustar", "a tar archive"),
)

# What the libraries raise at damage.
_DAMAGE = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)

_WRONG_MEMBERS = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # what file managers add to archives


class CompressionError(ValueError):
    """The compression of a file is damaged.

    Attributes:
        kind: how the file is compressed.
        reason: what the library says.
    """

    def __init__(self, kind: str, reason: object) -> None:
        super().__init__(f"its {kind} compression is damaged: {reason}")
        self.kind = kind
        self.reason = str(reason)


def peek(stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """Return the first bytes of a stream, and a stream that still begins with them."""
    if stream.seekable():
        # A program may have read the beginning of standard input already.
        start = stream.tell()
        head = stream.read(HEAD_BYTES)
        stream.seek(start)
        return head, stream
    head = b""
    while len(head) < HEAD_BYTES:
        block = stream.read(HEAD_BYTES - len(head))
        if not block:
            break
        head += block
    return head, cast(IO[bytes], io.BufferedReader(_ReadAhead(head, stream)))


@contextmanager
def open_unpacked(
    stream: IO[bytes], name: str, member: str | None = None
) -> Iterator[tuple[IO[bytes], str]]:
    """Decompress a stream; yield the result, and the name of the file inside.

    Args:
        stream: the bytes of a file; it is not closed.
        name: the name of the file.
        member: the file to read from an archive that holds several.

    Raises:
        FormatError: the file is an archive that cannot be read, or of several files.
        CompressionError: the compression is damaged.
    """
    with ExitStack() as opened:
        for _ in range(_MAX_LAYERS):
            head, stream = peek(stream)
            if head.startswith(_ZIP):
                stream, name = _open_member(stream, member, opened)
                member = None
            else:
                decompressed = _decompress(stream, head)
                if decompressed is None:
                    break
                stream = decompressed
            opened.enter_context(stream)
        _refuse_other_archives(head)
        if member is not None:
            raise LayoutError(
                f"is no .zip archive, so it has no member {member!r}; leave data.member out."
            )
        yield stream, name


@contextmanager
def make_seekable(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield a stream that can go anywhere: the stream itself, or a copy of it as a file."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        copyfileobj(stream, copy)
        copy.seek(0)
        yield cast(IO[bytes], copy)


def strip_compression(name: str) -> str:
    """Return the name of a file without the endings of compression, in lower case."""
    path = PurePosixPath(name.lower())
    while path.suffix in COMPRESSION_SUFFIXES:
        path = path.with_suffix("")
    return path.name


class _ReadAhead(io.RawIOBase):
    """Bytes that were read ahead, followed by the rest of their stream."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer; return the number of bytes, which is 0 at the end."""
        data = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Decompressor(io.RawIOBase):
    """A decompressed stream whose damage is a `CompressionError`, whatever the library raises."""

    def __init__(self, kind: str, opener: Callable[[], Any]) -> None:
        self._kind = kind
        self._stream = self._catch(opener)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer; return the number of bytes, which is 0 at the end."""
        data = self._catch(lambda: self._stream.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def _catch(self, read: Callable[[], Any]) -> Any:
        """Return what a function returns.

        Raises:
            CompressionError: the data are damaged.
            FormatError: the data cannot be decompressed here.
        """
        try:
            return read()
        except RuntimeError as error:  # of zipfile; NotImplementedError is one
            if "encrypted" in str(error):
                raise LayoutError("is an encrypted archive; unpack it.") from None
            problem = f"is compressed in a way that cannot be read ({error}); unpack it."
            raise LayoutError(problem) from None
        except _DAMAGE as error:
            raise CompressionError(self._kind, error) from error


def _decompress(stream: IO[bytes], head: bytes) -> IO[bytes] | None:
    """Return a stream decompressed; None if it is not compressed."""
    if head.startswith(b"\x1f\x8b"):
        raw = _Decompressor("gzip", partial(gzip.GzipFile, fileobj=stream))
    elif head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        raw = _Decompressor("bzip2", partial(bz2.BZ2File, stream))
    elif head.startswith(b"\xfd7zXZ\0"):
        raw = _Decompressor("xz", partial(lzma.LZMAFile, stream))
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        raw = _Decompressor("zstd", partial(_open_arrow, stream, "zstd"))
    elif head.startswith(b"\x04\x22\x4d\x18"):
        raw = _Decompressor("lz4", partial(_open_arrow, stream, "lz4"))
    else:
        return None
    return cast(IO[bytes], io.BufferedReader(raw, 2**18))


def _open_arrow(stream: IO[bytes], compression: str) -> Any:
    """Return a stream that pyarrow decompresses; Python's own library has no such module."""
    import pyarrow as pa  # slow to import, and few files need it

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), compression)


def _open_member(stream: IO[bytes], member: str | None, opened: ExitStack) -> tuple[IO[bytes], str]:
    """Return one file of a .zip archive, and its name.

    Args:
        opened: closes a copy of the archive, if its stream cannot go back.

    Raises:
        FormatError: the archive holds no file or several, or is of an office program.
        CompressionError: the archive is damaged.
    """
    if not stream.seekable():
        stream = opened.enter_context(make_seekable(stream))
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGE as error:
        raise CompressionError("zip", error) from error
    name = _choose_member(archive, member)
    raw = _Decompressor("zip", partial(archive.open, name))
    return cast(IO[bytes], io.BufferedReader(raw, 2**18)), name


def _choose_member(archive: zipfile.ZipFile, member: str | None) -> str:
    """Return the name of the file to read.

    Raises:
        FormatError: the archive holds no file, or several and none is chosen.
    """
    everything = archive.namelist()
    if "[Content_Types].xml" in everything or "mimetype" in everything:
        raise FormatError("is a document of an office program; save it as .csv or as text (UTF-8).")
    names = [name for name in everything if not _is_clutter(name)]
    if member is not None:
        if member in names:
            return member
        held = shorten_list(names, _MAX_LISTED_MEMBERS) or "no file"
        raise LayoutError(
            f"its archive holds no {member!r}; it holds {held}. Set data.member (--member)."
        )
    if not names:
        raise FormatError("is a .zip archive without a file in it.")
    if len(names) > 1:
        listed = shorten_list(names, _MAX_LISTED_MEMBERS)
        raise LayoutError(
            f"is a .zip archive of {len(names):,} files: {listed}. Name one of them: "
            f"data.member={names[0]} (--member), or unpack it and give the folder."
        )
    return names[0]


def _is_clutter(name: str) -> bool:
    """Return whether a name in an archive is a folder, or a file that the user did not put there."""
    return name.endswith(("/", *_WRONG_MEMBERS)) or name.startswith(_WRONG_MEMBERS)


def _refuse_other_archives(head: bytes) -> None:
    """Refuse archives of other kinds.

    Raises:
        FormatError: the file is one.
    """
    for start, magic, what in _ARCHIVES:
        if head[start : start + len(magic)] == magic:
            raise FormatError(f"is {what}, which textvae does not open; unpack it.")
