"""The verbs that read text and give numbers: `_encode`, `_score`."""

import os
from argparse import Namespace
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_shards,
    add_table,
    allow_shards,
    describe_blank_fate,
    load_vae,
    open_run,
)
from textvae.cli.output import print_records, print_rows
from textvae.errors import OutputError


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    encode = verbs.add_parser("encode", help="map sentences to vectors")
    score = verbs.add_parser(
        "score", help="say how likely each sentence is, and each of its tokens"
    )
    for command in (encode, score):
        add_run(command)
        command.add_argument(
            "file",
            metavar="FILE|FOLDER|PATTERN|-",
            help="sentences; - is standard input; folders give shards",
        )
        add_table(command)
        add_shards(command)
    score.add_argument(
        "--samples", type=int, default=50, help="importance samples a sentence (default: 50)"
    )
    score.add_argument("--seed", type=int, default=0)
    add_label(score)


def _encode(options: Namespace) -> None:
    """Write the posterior means of a file's sentences, as they come."""
    from textvae.cli.input import InputRows
    from textvae.data.vector_files import check_vector_file, write_vectors
    from textvae.inference.encode import iterate_posteriors, set_blanks_to_nan

    output = check_vector_file(options.output)
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; make it first.")
    if output.exists() and os.path.exists(options.file) and output.samefile(options.file):
        raise OutputError(f"{output}: is the file that is read; name another one for the vectors.")
    vae = load_vae(options)
    fate = "written as NaN" if output.suffix == ".npy" else "written as null"
    rows = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        fate=fate,
    )
    texts = (row.text or "" for row in rows)
    found = iterate_posteriors(vae.bundle, texts, progress=not options.json)
    blocks = ((block, set_blanks_to_nan(q.mean.numpy(), block)) for block, q in found)
    count = write_vectors(output, blocks, vae.latent_dim)
    sentences = {"rows": count, "sentences": count - rows.blank.count}
    record = {"file": str(output), **sentences, "latent_dim": vae.latent_dim}
    print_records(
        [record],
        options.json,
        lambda seen: f"{seen['file']}: {seen['rows']} vectors of {seen['latent_dim']}",
    )


def _score(options: Namespace) -> None:
    """Say how likely each sentence of a file is, in nats."""
    from textvae.cli.input import InputRows
    from textvae.training.model_card import format_measure
    from textvae.uses.score import FIELDS

    vae = load_vae(options)
    column = vae.bundle.label_column
    rows = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        label_column=column,
        fate=describe_blank_fate(options),
    )

    def answer(texts: list[str], labels: list[str]) -> list[dict[str, Any]]:
        return vae.score(texts, options.samples, options.seed, labels=labels if column else None)

    print_rows(
        rows,
        answer,
        options.json,
        lambda seen: f"{format_measure(seen['iw_nll']):>8}  {seen['text']}",
        FIELDS,
    )


COMMANDS: dict[str, Command] = {"encode": allow_shards(_encode), "score": allow_shards(_score)}
