"""Load what the arguments of a verb name: a model, its run, and the rows of a file.

Nothing heavy is imported before one of the functions is called, so that `--help` is fast.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import collect_table_options
from textvae.cli.input import InputRows
from textvae.data.row_report import LEFT_OUT
from textvae.data.table_options import name_flag
from textvae.errors import ConfigError

if TYPE_CHECKING:
    from textvae.runs.run import Run
    from textvae.vae import TextVAE


def refuse_table_options_without_file(options: Namespace, what_happens: str) -> None:
    """Refuse options that say how FILE is read if there is no FILE.

    Args:
        what_happens: what the verb does without FILE, for the message.

    Raises:
        ConfigError: there are such options.
    """
    written = collect_table_options(options)
    if written and not options.file:
        flag = name_flag(next(iter(written)))
        raise ConfigError(
            f"{flag} says how FILE is read, but no FILE is named, so {what_happens}; name a FILE, "
            "or leave the option out."
        )


def load_vae(options: Namespace) -> "TextVAE":
    """Load the model of the run that the user names, with the label that the user chose, if any."""
    from transformers.utils import logging

    from textvae.vae import TextVAE

    logging.set_verbosity_error()  # standard error is for the messages of the verb
    logging.disable_progress_bar()
    vae = TextVAE.from_pretrained(find_run_folder(options), options.device)
    if options.label is None:
        return vae
    return vae.with_label(options.label)


def open_run(options: Namespace) -> "Run":
    """Return the run that the user names, without loading its model."""
    from textvae.runs.run import Run

    return Run(find_run_folder(options))


def find_run_folder(options: Namespace) -> Path:
    """Return the folder of the run that the user names; one of the hub is downloaded once."""
    if "run_folder" not in options:
        if options.revision is None and Path(options.run).is_dir():
            options.run_folder = Path(options.run)  # without the library of the hub
        else:
            from textvae.runs.hub import locate_run

            options.run_folder = locate_run(options.run, options.revision)
    folder: Path = options.run_folder
    return folder


def open_input(
    options: Namespace,
    vae: "TextVAE",
    file: str | None = None,
    *,
    label_column: str | None = None,
    columns: Sequence[str] = (),
    fate: str = LEFT_OUT,
) -> InputRows:
    """Return the rows of a verb's file, read as the verb's options for tables say.

    Args:
        file: a file to read instead of the verb's `file` argument.
        label_column, columns, fate: see `InputRows`.
    """
    column_options = {
        value: f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name.endswith("column") and isinstance(value, str)
    }
    return InputRows(
        options.file if file is None else file,
        open_run(options),
        collect_table_options(options),
        bundle=vae.bundle,
        label_column=label_column,
        columns=columns,
        fate=fate,
        column_options=column_options,
    )


def read_table(
    options: Namespace, vae: "TextVAE", columns: Sequence[str]
) -> tuple[list[str], dict[str, list[Any]], list[tuple[str, int]]]:
    """Return the rows of a verb's table that are not blank.

    Returns:
        The texts, the values in the named columns, and the file and number of each row.

    Raises:
        DataError: there is no sentence, or a column or a value is missing.
    """
    texts: list[str] = []
    values: dict[str, list[Any]] = {name: [] for name in columns}
    places: list[tuple[str, int]] = []
    for row in open_input(options, vae, columns=list(values)):
        if row.text is None:
            continue
        texts.append(row.text)
        places.append((row.file, row.number))
        for name, value in zip(values, row.values, strict=True):
            values[name].append(value)
    return texts, values, places


def describe_blank_output(options: Namespace) -> str:
    """Return how blank rows appear in the output of a verb that prints every row, for a message."""
    return "written as null" if options.json else "written as blank lines"
