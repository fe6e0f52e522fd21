"""Tables: the rows of text, .csv, .tsv, .jsonl, .json and .parquet files.

Every part of the package reads files through `open_rows`, one row at a time. A
cell of a .csv or .tsv file is exactly its characters: `007` stays `007`, and an
empty cell is an empty string. A JSON number keeps its spelling when it becomes
text. Parquet keeps its types.

The readers of other libraries are not used for text formats, because they infer
the type of a column separately for each block of rows: the same label could be
`1` in one block and `1.0` in another.
"""

from typing import IO

from textvae.data.tables.base import FormatError, Quoting, Row, RowReader, format_value
from textvae.data.tables.delimited import DelimitedReader
from textvae.data.tables.json_rows import JsonReader
from textvae.data.tables.lines import BYTES_PER_READ, MAX_LINE_LENGTH, NUL_MESSAGE, LineReader
from textvae.data.tables.parquet import ROWS_PER_BATCH, ParquetReader
from textvae.data.tables.values import as_label, as_number

__all__ = [
    "BYTES_PER_READ",
    "MAX_LINE_LENGTH",
    "NUL_MESSAGE",
    "ROWS_PER_BATCH",
    "FormatError",
    "Quoting",
    "Row",
    "RowReader",
    "as_label",
    "as_number",
    "format_value",
    "open_rows",
]


def open_rows(
    stream: IO[bytes],
    suffix: str | None,
    text_column: str,
    quoting: Quoting = "auto",
    columns: list[str] | None = None,
) -> RowReader:
    """Return the reader for an open file.

    Args:
        stream: the file's bytes, decompressed.
        suffix: the suffix of the file's name, without that of its compression;
            any suffix that is not a table's, and None, means a text file.
        text_column: the name of the column that the lines of a text file become.
        quoting: whether quotes delimit the cells of a .csv or .tsv file.
        columns: the columns needed; of a Parquet file that has all of them, only these are read.
    """
    if suffix == ".parquet":
        return ParquetReader(stream, columns)
    if suffix in (".csv", ".tsv"):
        return DelimitedReader(stream, suffix, text_column, quoting)
    if suffix in (".json", ".jsonl"):
        return JsonReader(stream, is_list_allowed=suffix == ".json")
    return LineReader(stream, text_column)
