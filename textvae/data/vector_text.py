"""Word vectors in text files: GloVe, word2vec's text format, and the .vec files of fastText.

Each line is a word and its numbers, with blanks between them. word2vec and fastText
begin with a line of two numbers, how many words there are and how many numbers each
has; GloVe does not. A word may contain blanks, as a few do in GloVe. The file may be
compressed as files of sentences may be.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from textvae.data.tables import CompressionError, FormatError
from textvae.data.tables.compression import open_unpacked
from textvae.data.tables.encodings import decode_head
from textvae.errors import DataError
from textvae.messages import print_note

_PROBED_BYTES = 65_536  # of the decompressed file, to see whether it is text

# The first bytes of files that people have instead, and what to do with them.
_OTHER_FORMATS = (
    (b"\x80", "is a pickle, as gensim saves it; save it with model.wv.save_word2vec_format(FILE)"),
    (b"\xba\x16\x4f\x2f", "is a model of fastText; name the .vec file that belongs to it"),
    (b"\x93NUMPY", "is an array of numpy without words; write a text file of words and numbers"),
)

_EXPECTED = "expected one word and its numbers per line, with blanks between them"

_Vector = list[float]


@dataclass(frozen=True)
class VectorFile:
    """A text file of word vectors.

    Attributes:
        path: the file.
        size: how many numbers a vector has.
        announced: how many words the first line announces; None if the file begins with a word.
    """

    path: Path
    size: int
    announced: int | None

    def read(self) -> Iterator[tuple[str, _Vector]]:
        """Yield each word and its vector, in the order of the file.

        Raises:
            DataError: a line is not a word and its numbers; the message names the line.
        """
        count = 0
        for number, line in _read_lines(self.path):
            if number == 1 and self.announced is not None:
                continue
            count += 1
            yield _parse_line(line, self.size, self.path, number)
        if self.announced is not None and count != self.announced:
            print_note(
                f"{self.path}: its first line announces {self.announced:,} words, but there are "
                f"{count:,}; is the file complete?"
            )


def open_vector_file(path: Path) -> VectorFile:
    """Return a file of word vectors, once its first lines have proved to be vectors.

    Raises:
        DataError: the file is missing, empty, binary, or its first lines are not vectors.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file of word vectors.")
    _refuse_binary(path)
    lines = _read_lines(path)
    _, first = next(lines, (1, ""))
    if not first.strip():
        raise DataError(f"{path}: holds no word vectors; {_EXPECTED}.")
    second = next(lines, None)
    announced = _parse_header(first)
    if announced is None:
        return VectorFile(path, _count_numbers(first, path), None)
    words, size = announced
    if second is None or size == 0:
        raise DataError(f"{path}: holds no word vectors after its first line; {_EXPECTED}.")
    found = len(second[1].split()) - 1
    if found < size:
        raise DataError(
            f"{path}: the first line announces {size} numbers per word, but line 2 has {found}; "
            "expected the same number."
        )
    return VectorFile(path, size, words)


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers from 1, without blanks at their ends.

    Lines end with a line feed only: words of fastText contain other line separators of Unicode.

    Raises:
        DataError: the file cannot be read, or a line is not UTF-8.
    """
    number = 0
    try:
        with _open(path) as stream:
            for raw in stream:
                number += 1
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text.rstrip(" \r\n\t").replace("\t", " ")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(
            f"{path}, line {number}: is not UTF-8 (byte {byte:#04x}). Convert the file, for "
            "instance with iconv -c -f utf-8 -t utf-8."
        ) from None


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed.

    Raises:
        DataError: it cannot be read, its compression is damaged, or it is an archive of several files.
    """
    try:
        with path.open("rb") as raw, open_unpacked(raw, path.name) as (stream, _):
            yield stream
    except CompressionError as error:
        raise DataError(f"{path}: {error}.") from error
    except FormatError as error:
        raise DataError(
            f"{path}: is an archive (or a file of torch); unpack it, and name the text file in it."
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _refuse_binary(path: Path) -> None:
    """Refuse files of other formats, by their first bytes.

    Raises:
        DataError: the file is not text; the message says how to make it text.
    """
    with _open(path) as stream:
        start = stream.read(_PROBED_BYTES)
    for magic, explanation in _OTHER_FORMATS:
        if start.startswith(magic):
            raise DataError(f"{path}: {explanation}.")
    header, _, rest = start.partition(b"\n")
    # word2vec's binary format begins with the same line as its text format.
    has_header = len(header.split()) == 2 and all(part.isdigit() for part in header.split())
    if has_header and not _is_text(rest):
        raise DataError(
            f"{path}: is in word2vec's binary format. Convert it with gensim: "
            f"KeyedVectors.load_word2vec_format({str(path)!r}, binary=True)"
            ".save_word2vec_format('vectors.txt')."
        )
    if b"\0" in start:
        raise DataError(f"{path}: is not a text file (it has NUL bytes); {_EXPECTED}.")


def _is_text(start: bytes) -> bool:
    """Return whether the beginning of a file is UTF-8 without NUL; its last character may be cut."""
    return b"\0" not in start and decode_head(start) is not None


def _parse_header(first: str) -> tuple[int, int] | None:
    """Return how many words a file announces and the size of a vector; None without such a line."""
    parts = first.split()
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _count_numbers(first: str, path: Path) -> int:
    """Return how many numbers end the first line of a file.

    Raises:
        DataError: there are none.
    """
    fields = first.split(" ")
    size = 0
    while size < len(fields) - 1 and _is_number(fields[-size - 1]):
        size += 1
    if size == 0:
        raise DataError(f"{path}, line 1: got {_shorten(first)}; {_EXPECTED}.")
    return size


def _parse_line(line: str, size: int, path: Path, number: int) -> tuple[str, _Vector]:
    """Return the word of a line and its vector.

    Raises:
        DataError: the line is not a word and `size` numbers.
    """
    fields = line.split(" ")
    word = " ".join(fields[:-size]).strip()
    # Of a word with blanks, not all parts after the first are numbers such as 0.25.
    has_more = len(fields) > size + 1 and all(map(_is_decimal, fields[1:-size]))
    try:
        vector = list(map(float, fields[-size:]))
    except ValueError:
        vector = []
    if not word or has_more or not math.isfinite(sum(vector)) or not vector:
        raise DataError(
            f"{path}, line {number}: expected a word and {size} numbers, got {_shorten(line)}."
        )
    return word, vector


def _is_number(text: str) -> bool:
    """Return whether a text spells a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_decimal(text: str) -> bool:
    """Return whether a text spells a number with a decimal point or an exponent."""
    return not text.isdigit() and _is_number(text)


def _shorten(line: str) -> str:
    """Return a line as a message shows it: its beginning, its end, and its number of parts."""
    if len(line) <= 60:
        return repr(line)
    return f"{line[:30]!r} ... {line[-20:]!r} ({len(line.split(' '))} parts)"
