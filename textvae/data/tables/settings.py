"""The settings that say how files are read: format, columns, separators, quotes and encoding."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from pydantic import Field, field_validator, model_validator

from textvae.data.tables.base import Quoting, TextUnit
from textvae.data.tables.encodings import normalize_encoding
from textvae.errors import ConfigError
from textvae.schema import StrictSettings, validate_settings

Format = Literal[
    "auto",
    "txt",
    "csv",
    "tsv",
    "jsonl",
    "json",
    "parquet",
    "arrow",
    "smi",
    "fasta",
    "fastq",
    "srt",
    "vtt",
]

WhiteSpace = Literal["fold", "keep"]

# Words for separators that shells and YAML would take for something else.
_SEPARATORS = {
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
    "colon": ":",
}

_NOT_SEPARATORS = '"\r\n\0'

_DEFAULT_COLUMN = "text"

_FILE_OPTIONS = ("format", "separator", "quoting", "header", "encoding", "member", "unit")

# What a verb takes over from the training of its run. The rest depends on the single file.
_INHERITED = ("text_column", "join_columns", "quoting", "unit", "role", "white_space")


class WhiteSpaceSettings(StrictSettings):
    """What becomes of the white space in texts."""

    white_space: WhiteSpace = Field(
        "fold",
        description="fold: to single spaces; keep: texts keep spaces, indentation and line breaks, "
        "for source code (tokenizer.kind = bpe, byte or character)",
    )


class TableSettings(WhiteSpaceSettings):
    """How the files of a corpus are read."""

    text_column: str = Field(
        _DEFAULT_COLUMN,
        description="the column of the texts: its name, or its number, counted from 1",
    )
    join_columns: list[str] = Field(
        [],
        description="columns whose texts are joined by a space, in this order, instead of "
        "text_column",
    )
    quoting: Quoting = Field(
        "auto", description="quotes in tables; auto: they delimit cells in .csv, not in .tsv"
    )
    format: Format = Field(
        "auto", description="the format of the files; auto: the ending of each name tells it"
    )
    separator: str = Field(
        "auto",
        description="what separates cells: a character, or tab, comma, semicolon, pipe or space; "
        "auto: the first lines of a table tell it",
    )
    header: bool | Literal["auto"] = Field(
        "auto",
        description="whether the first line of a table names its columns; auto: it must name the "
        "column of the texts",
    )
    encoding: str = Field(
        "auto",
        description="the encoding of text, such as cp1252, shift_jis or utf-16-le; auto: UTF-8, "
        "or what a byte order mark says",
    )
    member: str | None = Field(
        None,
        description="the file to read from a .zip archive that holds several; by default, it must "
        "hold one",
    )

    unit: TextUnit = Field(
        "line",
        description="what one text of a text file is: a line; the lines between blank ones; "
        "or the whole file",
    )
    role: str | None = Field(
        None, description="of chats (a list of messages per row), the role whose messages are texts"
    )

    @field_validator("text_column", "member", mode="before")
    @classmethod
    def convert_number(cls, value: object) -> object:
        """Return a number as text: columns without names are called by their numbers."""
        return _convert_number(value)

    @field_validator("join_columns", mode="before")
    @classmethod
    def convert_numbers(cls, values: object) -> object:
        """Return numbers as text, and a single name as a list of one."""
        if isinstance(values, str | int):
            values = [values]
        if isinstance(values, list | tuple):
            return [_convert_number(value) for value in values]
        return values

    @field_validator("text_column")
    @classmethod
    def check_text_column(cls, name: str) -> str:
        """Refuse a blank name: several columns of a table may have one."""
        if not name.strip():
            raise ConfigError(
                f"data.text_column = {name!r} is blank; name the column, or give its number."
            )
        return name

    @field_validator("separator")
    @classmethod
    def check_separator(cls, value: str) -> str:
        """Return the separator as a character, or `auto`."""
        if value == "auto":
            return value
        character = _SEPARATORS.get(value, value)
        if len(character) != 1 or character in _NOT_SEPARATORS:
            raise ConfigError(
                f"data.separator = {value!r} does not fit: expected one character, or one of the "
                "words tab, comma, semicolon, pipe, colon and space."
            )
        return character

    @field_validator("encoding")
    @classmethod
    def check_encoding(cls, name: str) -> str:
        """Return the encoding under the name that Python has for it, or `auto`."""
        return name if name == "auto" else normalize_encoding(name)

    @model_validator(mode="after")
    def check_columns(self) -> "TableSettings":
        """Refuse a column of texts next to columns to join."""
        names = self.join_columns
        if names and self.text_column != _DEFAULT_COLUMN:
            raise ConfigError(
                f"data.text_column = {self.text_column!r} and data.join_columns = {names!r}: "
                "leave one of the two out."
            )
        if len(set(names)) < len(names):
            raise ConfigError(f"data.join_columns = {names!r} names a column twice.")
        return self

    @property
    def needs_shape(self) -> bool:
        """Whether files to which `unit` or `role` do not apply are refused.

        Those of a corpus are. Texts for a model that was trained on chats may be plain text.
        """
        return False

    @property
    def changed_file_options(self) -> list[str]:
        """The options that only apply to files, and are not at their defaults."""
        return self.list_changed(_FILE_OPTIONS)

    def list_changed(self, names: Iterable[str]) -> list[str]:
        """Return the names of those options that are not at their defaults."""
        fields = TableSettings.model_fields
        return [name for name in names if getattr(self, name) != fields[name].default]

    @property
    def text_columns(self) -> list[str]:
        """The columns that hold the texts."""
        return self.join_columns or [self.text_column]


class TableOptions(TypedDict, total=False):
    """How a verb reads its file: fields of `TableSettings`; None is the same as leaving one out."""

    text_column: str | None
    join_columns: list[str] | None
    quoting: Quoting | None
    format: Format | None
    separator: str | None
    header: bool | Literal["auto"] | None
    encoding: str | None
    member: str | None


def override_table_settings(
    training: TableSettings, options: TableOptions | Mapping[str, Any] | None
) -> TableSettings:
    """Return how a verb reads a file.

    The names of the columns and the meaning of quotes are those of training unless the
    options say otherwise. Format, separator, header and encoding are not: they belong to
    one file, and most encodings would turn the text of another one into nonsense.

    Raises:
        ConfigError: an option does not fit.
    """
    written = {name: value for name, value in (options or {}).items() if value is not None}
    values = {name: getattr(training, name) for name in _INHERITED}
    if "text_column" in written and "join_columns" in written:
        raise ConfigError(
            "text_column and join_columns cannot be combined; leave one of the two out."
        )
    if "text_column" in written:
        values["join_columns"] = []
    elif "join_columns" in written:
        values["text_column"] = _DEFAULT_COLUMN
    return validate_settings(TableSettings, values | written, "data")


def _convert_number(value: object) -> object:
    """Return a whole number as text, and anything else unchanged."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value
