"""The sentences that a verb works on one by one: words of the command line, or the rows of a file.

`textvae complete RUN "a man"` names one sentence, and `--file FILE` a file of them; `--file -` is
standard input. A verb that takes several sentences at a time, such as `interpolate`, reads a
row of sentences separated by tabs, or the columns of a table. What could be meant as
either is refused.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from textvae.cli.arguments import add_table, collect_table_options
from textvae.cli.loading import describe_blank_output, open_input, open_run
from textvae.cli.output import print_records
from textvae.data.sources import STANDARD_INPUT, list_training_files
from textvae.data.tables import get_format_suffix
from textvae.errors import ConfigError, DataError

if TYPE_CHECKING:
    from textvae.vae import TextVAE

_WITHOUT_WORDS = " (default: the rows of --file)"  # ends the help of sentences
_SEPARATOR = "\t"  # between the sentences of a row of text

_Records = Sequence[Mapping[str, Any]]


class _Sentences(NamedTuple):
    """The sentences of one row.

    Attributes:
        texts: None for a blank row.
        place: file, row and line, for JSON.
        label: the label of the row, for a conditional model.
    """

    texts: list[str] | None
    place: dict[str, Any]
    label: str | None = None


def add_sentence(command: ArgumentParser, metavar: str, what: str) -> None:
    """Add one sentence, or a file of sentences.

    Args:
        metavar: the name of the sentence in the help text.
        what: what the sentence is, for the help text.
    """
    command.add_argument("texts", metavar=metavar, nargs="?", help=what + _WITHOUT_WORDS)
    _add_file(command, "file of such texts, one per row", metavar)
    command.set_defaults(least=1, most=1, column=[])


def add_sentences_per_row(
    command: ArgumentParser, names: Sequence[str], what: str, *, has_more: bool = False
) -> None:
    """Add several sentences, or a file with several sentences in each row.

    Args:
        names: what each sentence is called: its column in a table, and in capitals in the help.
        what: what the sentences are, for the help text.
        has_more: whether further sentences may follow.
    """
    metavar = " ".join(name.upper() for name in names) + (" ..." if has_more else "")
    command.add_argument(
        "texts", metavar="TEXT", nargs="*", default=[], help=f"{metavar}: {what}{_WITHOUT_WORDS}"
    )
    columns = ", ".join(names)
    _add_file(
        command,
        "file with these sentences in each row: in a text file separated by tabs, in a table in "
        f"the columns {columns}",
        metavar,
    )
    command.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column of a table with one of the sentences: its name, or its number, counted from "
        f"1; repeated for each sentence, in their order; by default, the columns {columns}",
    )
    most = None if has_more else len(names)
    command.set_defaults(least=len(names), most=most, names=tuple(names))


def _add_file(command: ArgumentParser, what: str, words: str) -> None:
    """Add the file, and the options that say how it is read.

    Args:
        what: what the file has, for the help text.
        words: what the sentences are called that are read without a file.
    """
    command.add_argument(
        "--file", metavar="FILE|-", help=f"{what}; - is standard input (default: read {words})"
    )
    add_table(command)
    # Words after options, which argparse leaves over, are sentences, too.
    command.set_defaults(late_words="texts")


def check_sentences(options: Namespace) -> None:
    """Refuse arguments that do not say clearly which sentences are meant.

    It needs no model, and so is called before the model is loaded.

    Raises:
        ConfigError: there are no sentences, too few or too many, both sentences and a file, or
            options of tables without a file; or a sentence is the name of a file.
    """
    texts = _list_texts(options)
    if options.file is not None:
        if texts:
            raise ConfigError(
                f"got both {texts[0]!r} and --file {options.file}; leave one of the two out."
            )
        _check_columns(options)
        return
    if options.column:
        raise ConfigError("--column is for the table that --file names; leave it out.")
    written = collect_table_options(options)
    if written and not getattr(options, "reference", None):
        name = next(iter(written)).replace("_", "-")
        raise ConfigError(f"--{name} is for the file that --file names; leave it out.")
    _check_count(options, len(texts))
    for text in texts:
        refuse_file_name(text)


def print_answers(
    options: Namespace,
    vae: "TextVAE",
    answer: Callable[["TextVAE", list[str]], _Records],
    format_record: Callable[[Mapping[str, Any]], str],
    describe: Callable[[list[str]], Mapping[str, Any]],
    fields: Sequence[str] = ("text",),
) -> None:
    """Print the records of the sentences on the command line, or of each row of a file.

    Rows are answered one by one, and each answer is printed as soon as it is there. The
    records of a file also say where the row is, and which sentences it has; those of a blank row
    are null.

    Args:
        answer: returns the records of the sentences of one row.
        describe: returns the sentences under their keys, for the records of a file.
        fields: the keys of a record.
    """
    if options.file is None:
        print_records(answer(vae, _list_texts(options)), options.json, format_record)
        return
    for row in _iterate_rows(options, vae):
        if row.texts is None:
            blank = {**row.place, **describe([]), **dict.fromkeys(fields)}
            print_records([blank], options.json, lambda _: "")
            continue
        view = vae if row.label is None else vae.with_label(row.label)
        head = {**row.place, **describe(row.texts)}
        try:
            records = [{**head, **record} for record in answer(view, row.texts)]
        except DataError as error:
            place = f"{row.place['file']}, row {row.place['row']}"
            raise DataError(f"{place}: {error}") from error
        print_records(records, options.json, format_record)


def read_reference(options: Namespace, vae: "TextVAE") -> list[str] | None:
    """Return the sentences of `--reference`, if there is one.

    The options of tables say how it is read, unless they belong to `--file`.
    """
    if not options.reference:
        return None
    if options.file is None:
        return list(open_input(options, vae, options.reference).iterate_texts())
    from textvae.cli.input import InputRows

    rows = InputRows(options.reference, open_run(options), bundle=vae.bundle)
    return list(rows.iterate_texts())


def _list_texts(options: Namespace) -> list[str]:
    """Return the sentences on the command line."""
    texts = options.texts
    if texts is None:
        return []
    return [texts] if isinstance(texts, str) else list(texts)


def _check_count(options: Namespace, count: int) -> None:
    """Refuse too few or too many sentences on the command line.

    Raises:
        ConfigError: the number is wrong.
    """
    least, most = options.least, options.most
    if count < least or (most is not None and count > most):
        raise ConfigError(
            f"got {count} sentences; expected {_describe_count(options)}, each in quotes, or --file "
            "FILE with such rows."
        )


def _describe_count(options: Namespace) -> str:
    """Return how many sentences a row has."""
    if options.most is None:
        return f"{options.least} or more"
    return str(options.least)


def _check_columns(options: Namespace) -> None:
    """Refuse columns that do not fit to the number of sentences, or to a text file.

    Raises:
        ConfigError: they do not.
    """
    count = len(options.column)
    is_wrong = count < options.least or (options.most is not None and count > options.most)
    if options.column and is_wrong:
        raise ConfigError(
            f"got --column {count} times; expected it {_describe_count(options)} times, once for "
            "each sentence."
        )
    if options.column and _is_text_file(options):
        raise ConfigError(
            f"--column is for tables, and {options.file} is read as text, with tabs between the "
            "sentences of a row; leave it out, name a table, or say --format csv, for instance."
        )
    if options.least > 1 and (options.text_column or options.join_columns):
        raise ConfigError(
            "--text-column and --join-column name one text per row; name the columns with --column, "
            "once for each sentence."
        )


def refuse_file_name(text: str, *, reads_files: bool = True) -> None:
    """Refuse a sentence that is more likely meant as a file.

    Args:
        reads_files: whether the verb has the option --file.

    Raises:
        ConfigError: it is "-", or the name of an existing file of sentences.
    """
    if text == STANDARD_INPUT:
        advice = "to read standard input, say --file -" if reads_files else "expected a sentence"
        raise ConfigError(f"got - as a sentence; {advice}.")
    if len(text) < 1_000 and get_format_suffix(text) is not None and Path(text).is_file():
        advice = (
            f"to read its sentences, say --file {text}" if reads_files else "give its sentences"
        )
        raise ConfigError(f"got {text!r}, which is the name of a file; {advice}.")


def _is_text_file(options: Namespace) -> bool:
    """Return whether the file has lines of text, and not cells."""
    tables = collect_table_options(options)
    if tables.get("format", "auto") != "auto":
        return tables["format"] == "txt"
    if tables.get("separator", "auto") != "auto":
        return False
    path = Path(options.file)
    files = list_training_files(options.file) if path.is_dir() else [path]
    # A name without a suffix of a table is that of a text file.
    return all(get_format_suffix(file.name) in (".txt", None) for file in files)


def _iterate_rows(options: Namespace, vae: "TextVAE") -> Iterator[_Sentences]:
    """Yield the sentences of each row of the file, blank rows too.

    Raises:
        DataError: a row has too few or too many sentences, or no label.
    """
    from textvae.cli.input import InputRows

    tables = collect_table_options(options)
    columns = list(options.column)
    has_cells = options.least > 1 and not _is_text_file(options)
    if has_cells:
        columns = columns or list(options.names)
        tables["text_column"] = columns[0]
    elif options.least > 1:
        tables["format"] = "txt"  # tabs between the sentences of a row do not make it a table
    run = open_run(options)
    is_folded = run.read_settings().data.white_space == "fold"
    rows = InputRows(
        options.file,
        run,
        tables,
        bundle=vae.bundle,
        label_column=vae.bundle.label_column,
        columns=columns[1:],
        fate=describe_blank_output(options),
        text_option="--column" if has_cells else "--text-column",
    )
    for row in rows:
        place = {"file": row.file, "row": row.number, "line": row.line}
        if row.text is None:
            yield _Sentences(None, place)
            continue
        texts = [row.text]
        if has_cells:
            texts += [_require_cell(value, row.file, row.number) for value in row.values]
        elif options.least > 1:
            texts = _split_row(options, row.text, row.file, row.number)
        if is_folded:
            texts = [text.strip() for text in texts]
        yield _Sentences(texts, place, row.label)


def _split_row(options: Namespace, text: str, file: str, number: int) -> list[str]:
    """Return the sentences of a row of text.

    Raises:
        DataError: there are too few or too many, or one is blank.
    """
    texts = text.split(_SEPARATOR)
    written = sum(bool(part.strip()) for part in texts)
    most = options.most
    if (
        len(texts) < options.least
        or (most is not None and len(texts) > most)
        or written < len(texts)
    ):
        raise DataError(
            f"{file}: row {number} has {written} sentences; expected "
            f"{_describe_count(options)}, separated by tabs."
        )
    return texts


def _require_cell(value: object, file: str, number: int) -> str:
    """Return a cell that must hold text.

    Raises:
        DataError: it holds something else.
    """
    if not isinstance(value, str):
        raise DataError(f"{file}: row {number} has {value!r}, not text; choose other columns.")
    return value
