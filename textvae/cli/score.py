"""The verbs that turn text into numbers: `encode`, `features`, `score`."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_sentences,
    add_shards,
    add_table,
    add_verb,
)
from textvae.cli.loading import describe_blank_output, load_vae, open_input
from textvae.cli.output import format_score, print_records, print_rows
from textvae.cli.settings import add_settings, collect_settings
from textvae.cli.shards import allow_shards
from textvae.errors import OutputError
from textvae.uses.records import Score
from textvae.uses.settings import FeaturesSettings, ScoreSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS_PER_BLOCK = 8192  # rows whose features are computed together


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    encode = add_verb(verbs, "encode", "map sentences to vectors, their posterior means")
    score = add_verb(
        verbs, "score", "compute the likelihood of each sentence and of each of its tokens"
    )
    _add_input(encode)
    _add_input(score)
    _add_features(verbs)
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


def _add_features(verbs: Subparsers) -> None:
    """Add `features`."""
    features = add_verb(verbs, "features", "compute features of sentences for other models")
    add_run(features)
    add_sentences(features)
    add_settings(features, FeaturesSettings)
    features.add_argument(
        "--output",
        metavar="FEATURES.npy|FEATURES.parquet",
        required=True,
        help="file to write the vectors to, one per row",
    )


def _encode(options: Namespace) -> None:
    """Write the posterior means of a file's sentences, block by block."""
    from textvae.data.vector_files import check_vector_file, write_vectors
    from textvae.inference.encode import iterate_posteriors, set_blanks_to_nan

    output = check_vector_file(options.output)
    _check_output(output, options.file)
    vae = load_vae(options)
    rows = open_input(options, vae, fate=_describe_blank_vectors(output))

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


def _describe_blank_vectors(output: Path) -> str:
    """Return how the vectors of blank rows appear in a file, for a message."""
    return "written as NaN" if output.suffix == ".npy" else "written as null"


def _features(options: Namespace) -> None:
    """Write features of a file's sentences, block by block."""
    from textvae.data.vector_files import check_vector_file, write_vectors
    from textvae.inference.encode import set_blanks_to_nan
    from textvae.uses.features import compute_feature_width, features

    output = check_vector_file(options.output)
    _check_output(output, options.file)
    vae = load_vae(options)
    kind = FeaturesSettings(**collect_settings(options, FeaturesSettings)).kind
    width = compute_feature_width(vae.bundle, kind)
    rows = open_input(options, vae, fate=_describe_blank_vectors(output))

    def compute_blocks() -> Iterator[tuple[list[str], "NDArray[np.float32]"]]:
        texts = (row.text or "" for row in rows)
        while block := list(islice(texts, _ROWS_PER_BLOCK)):
            vectors = features(vae.bundle, block, kind, progress=not options.json)
            yield block, set_blanks_to_nan(vectors, block)

    count = write_vectors(output, compute_blocks(), width)
    record = {
        "file": str(output),
        "rows": count,
        "sentences": count - rows.blank.count,
        "kind": kind,
        "width": width,
    }
    print_records(
        [record],
        options.json,
        lambda record: f"{record['file']}: {record['rows']} vectors of {record['width']}",
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
        format_score,
        fields=list(Score.__annotations__),
    )


COMMANDS: dict[str, Command] = {
    "encode": allow_shards(_encode),
    "features": _features,
    "score": allow_shards(_score),
}
