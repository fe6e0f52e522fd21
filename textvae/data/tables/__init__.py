"""Tables: the rows of text files, tables, JSON, Parquet and Arrow files, sequences and subtitles.

Every part of the package reads files through `open_rows`, one row at a time. A
cell of a .csv or .tsv file is exactly its characters: `007` stays `007`, and an
empty cell is an empty string. A JSON number keeps its spelling when it becomes
text. Parquet keeps its types.

The readers of other libraries are not used for text formats, because they infer
the type of a column separately for each block of rows: the same label could be
`1` in one block and `1.0` in another.
"""

from textvae.data.tables.base import (
    FormatError,
    LayoutError,
    Quoting,
    Row,
    RowReader,
    TextUnit,
    explain_missing_column,
    format_value,
    list_columns,
)
from textvae.data.tables.chats import split_chats
from textvae.data.tables.compression import (
    COMPRESSION_SUFFIXES,
    CompressionError,
    open_unpacked,
)
from textvae.data.tables.encodings import explain_undecodable
from textvae.data.tables.lines import BYTES_PER_READ, MAX_LINE_LENGTH, NUL_MESSAGE
from textvae.data.tables.nested import find_cell, list_cell_names
from textvae.data.tables.opening import CORPUS_SUFFIXES, get_format_suffix, join_texts, open_rows
from textvae.data.tables.parquet import ROWS_PER_BATCH
from textvae.data.tables.settings import (
    TableOptions,
    TableSettings,
    WhiteSpace,
    WhiteSpaceSettings,
    override_table_settings,
)
from textvae.data.tables.values import as_label, as_number, is_missing, is_number

__all__ = [
    "BYTES_PER_READ",
    "COMPRESSION_SUFFIXES",
    "CORPUS_SUFFIXES",
    "MAX_LINE_LENGTH",
    "NUL_MESSAGE",
    "ROWS_PER_BATCH",
    "CompressionError",
    "FormatError",
    "LayoutError",
    "Quoting",
    "Row",
    "RowReader",
    "TableOptions",
    "TableSettings",
    "TextUnit",
    "WhiteSpace",
    "WhiteSpaceSettings",
    "as_label",
    "as_number",
    "explain_missing_column",
    "explain_undecodable",
    "find_cell",
    "format_value",
    "get_format_suffix",
    "is_missing",
    "is_number",
    "join_texts",
    "list_cell_names",
    "list_columns",
    "open_rows",
    "open_unpacked",
    "override_table_settings",
    "split_chats",
]
