"""The verbs that turn text into numbers: `encode`, `score`."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_shards,
    add_table,
    add_verb,
)
from textvae.cli.loading import describe_blank_output, load_vae, open_input
from textvae.cli.output import print_records, print_rows
from textvae.cli.settings import add_settings, collect_settings
from textvae.cli.shards import allow_shards
from textvae.errors import OutputError
from textvae.uses.records import Score
from textvae.uses.settings import ScoreSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    encode = add_verb(verbs, "encode", "map sentences to vectors, their posterior means")
    score = add_verb(
        verbs, "score", "compute the likelihood of each sentence and of each of its tokens"
    )
    _add_input(encode)
    _add_input(score)
    add_settings(score, ScoreSettings)
    add_label(score, default="the label of each text in the file")


def _add_input(command: ArgumentParser) -> None:
    """Add the arguments that both verbs have."""
    add_run(command)
    command.add_argument(
        "file",
        metavar="FILE|FOLDER|PATTERN|-",
        help="file of sentences; - is standard input; "
        "a folder, or a pattern in quotes, also needs a folder for --output",
    )
    add_table(command)
    add_shards(command)


def _encode(options: Namespace) -> None:
    """Write the posterior means of a file's sentences, block by block."""
    from textvae.data.vector_files import check_vector_file, write_vectors
    from textvae.inference.encode import iterate_posteriors, set_blanks_to_nan

    output = check_vector_file(options.output)
    _check_output(output, options.file)
    vae = load_vae(options)
    fate = "written as NaN" if output.suffix == ".npy" else "written as null"
    rows = open_input(options, vae, fate=fate)

    def encode_blocks() -> Iterator[tuple[list[str], "NDArray[np.float32]"]]:
        texts = (row.text or "" for row in rows)
        for block, posterior in iterate_posteriors(vae.bundle, texts, progress=not options.json):
            yield block, set_blanks_to_nan(posterior.mean.numpy(), block)

    count = write_vectors(output, encode_blocks(), vae.latent_dim)
    record = {
        "file": str(output),
        "rows": count,
        "sentences": count - rows.blank.count,
        "latent_dim": vae.latent_dim,
    }
    print_records(
        [record],
        options.json,
        lambda record: f"{record['file']}: {record['rows']} vectors of {record['latent_dim']}",
    )


def _check_output(output: Path, file: str) -> None:
    """Check that the vectors can be written.

    Raises:
        OutputError: the folder is missing, or the vectors would overwrite the sentences.
    """
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; create it first.")
    if output.exists() and os.path.exists(file) and output.samefile(file):
        raise OutputError(
            f"{output}: is the file of sentences itself; name another file for the vectors."
        )


def _score(options: Namespace) -> None:
    """Print the likelihood of each sentence of a file, in nats."""
    from textvae.runs.card_sections import format_measure

    vae = load_vae(options)
    label_column = vae.bundle.label_column
    fate = describe_blank_output(options)
    rows = open_input(options, vae, label_column=label_column, fate=fate)

    def answer(texts: list[str], labels: list[str]) -> Sequence[Mapping[str, Any]]:
        labels_or_none = labels if label_column else None
        return vae.score(texts, labels=labels_or_none, **collect_settings(options, ScoreSettings))

    print_rows(
        rows,
        answer,
        options.json,
        lambda record: f"IW-NLL {format_measure(record['iw_nll']):>8} nats  {record['text']}",
        fields=list(Score.__annotations__),
    )


COMMANDS: dict[str, Command] = {"encode": allow_shards(_encode), "score": allow_shards(_score)}
