"""Read small files for tests: their rows, or the message with which they are refused."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from textvae.data.settings import DataSettings
from textvae.data.sources import find_splits
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.tables import Row, TableSettings
from textvae.errors import DataError
from textvae.schema import validate_settings


def zip_files(files: dict[str, bytes]) -> bytes:
    """Return a .zip archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# How a file with some name is compressed, by the ending that its name then gets.
COMPRESSORS: dict[str, Callable[[str, bytes], bytes]] = {
    ".gz": lambda _, data: gzip.compress(data),
    ".bz2": lambda _, data: bz2.compress(data),
    ".xz": lambda _, data: lzma.compress(data),
    ".zst": lambda _, data: pa.compress(data, codec="zstd", asbytes=True),
    ".lz4": lambda _, data: pa.compress(data, codec="lz4", asbytes=True),
    ".zip": lambda name, data: zip_files({name: data}),
}


def read_rows(folder: Path, name: str, content: str | bytes, **settings: object) -> list[Row]:
    """Write a file and return its rows; a stream must read the same ones.

    Raises:
        DataError: the file is refused.
    """
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    rows = list(
        find_splits(str(file), validate_settings(TableSettings, settings, "data"))["train"]()
    )
    data = validate_settings(DataSettings, settings, "data")
    streamed = StreamFileReader(data, data.text_columns).read_rows(str(file))
    texts = [row[data.text_column] for _, row in streamed]
    assert texts == [row[data.text_column] for row in rows]
    return rows


def read_texts(folder: Path, name: str, content: str | bytes, **settings: object) -> list[str]:
    """Write a file and return the texts in it."""
    data = validate_settings(TableSettings, settings, "data")
    return [row[data.text_column] for row in read_rows(folder, name, content, **settings)]


def check_refused(
    folder: Path, name: str, content: str | bytes, words: str, **settings: object
) -> None:
    """Check that a file is refused with these words, also by a stream that skips damage."""
    with pytest.raises(DataError, match=re.escape(words)) as refused:
        read_rows(folder, name, content, **settings)
    assert str(folder / name) in str(refused.value)
