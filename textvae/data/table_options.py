"""Options that do not apply to what is read, files or Python objects: refused, not ignored."""

from collections.abc import Iterable
from pathlib import Path

from textvae.data.sources import is_pipe
from textvae.data.split_settings import SplitSettings
from textvae.data.tables import TableOptions, TableSettings, get_format_suffix
from textvae.errors import ConfigError

_FLAGS = {"text_column": "--text-column", "join_columns": "--join-column"}

# Options of tables, and those that only tables with separated cells have.
_TABLE_OPTIONS = ("text_column", "join_columns", "quoting", "header")
_DELIMITED_OPTIONS = ("quoting", "header", "separator")
_FILES_OF_RECORDS = {".json", ".jsonl", ".parquet", ".arrow"}

# Options of columns, with what they are for, which apply to a table that is passed as a Python
# object, too.
_COLUMN_OPTIONS = {"text_column": "tables", "join_columns": "tables", "role": "chats"}


def name_flag(key: str) -> str:
    """Return the flag of an option of tables on the command line."""
    return _FLAGS.get(key, f"--{key}")


def refuse_unused_options(
    files: Iterable[Path], name: str, settings: TableSettings, options: TableOptions | None
) -> None:
    """Refuse an option that applies to none of the files.

    Args:
        files: the files that a verb reads; standard input is "-".
        name: all of them, as a message calls them.
        settings: how they are read.
        options: what the user wrote.

    Raises:
        ConfigError: there is such an option.
    """
    written = [key for key, value in (options or {}).items() if value is not None]
    suffixes = {_find_suffix(file, settings) for file in files}
    for key in written:
        flag = name_flag(key)
        if suffixes == {".txt"} and key in _TABLE_OPTIONS:
            raise ConfigError(
                f"{flag} is for tables, and {name} is read as text, one sentence per line; "
                "leave it out, name a table, or say --format csv, for instance."
            )
        if suffixes and suffixes <= {".parquet", ".arrow"} and key == "encoding":
            raise ConfigError(
                f"{flag} is for text, and {name} is read as {' and '.join(sorted(suffixes))}, whose "
                "texts are always UTF-8; leave it out."
            )
        if suffixes and suffixes <= _FILES_OF_RECORDS and key in _DELIMITED_OPTIONS:
            raise ConfigError(
                f"{flag} is for .csv and .tsv files, and {name} is read as "
                f"{' and '.join(sorted(suffixes))}; leave it out."
            )


def explain_options_unused_by_rows(settings: SplitSettings, *, has_columns: bool) -> dict[str, str]:
    """Return the options that have no effect on a Python object, each with the reason.

    Args:
        settings: how the corpus is read.
        has_columns: whether the object, or one of its splits, is a table.
    """
    # The files of named splits are read as the options say, whatever the object is.
    if settings.name_splits():
        return {}
    unused: dict[str, str] = {}
    for key in settings.changed_file_options:
        unused[key] = (
            f"data.{key} = {getattr(settings, key)!r} is for files, and the corpus is passed as a "
            "Python object"
        )
    if has_columns:
        return unused
    for key in settings.list_changed(_COLUMN_OPTIONS):
        unused[key] = (
            f"data.{key} = {getattr(settings, key)!r} is for {_COLUMN_OPTIONS[key]}, and the "
            "corpus is passed as sentences"
        )
    return unused


def _find_suffix(file: Path, settings: TableSettings) -> str:
    """Return the suffix that says how a file is read, as far as the settings and its name tell."""
    if settings.format != "auto":
        return f".{settings.format}"
    suffix = get_format_suffix(file.name)
    if suffix in (".txt", None) and settings.separator != "auto":
        return ".csv"
    if suffix is None and (is_pipe(file) or not file.suffix):
        return ".txt"
    return suffix or ""
