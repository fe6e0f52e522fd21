"""The verbs that read text and give numbers: `encode`, `score`."""

import os
from argparse import Namespace
from itertools import islice

from textvae.commands.basics import (
    BLOCK,
    Command,
    Verbs,
    add_label,
    add_run,
    add_shards,
    load,
    or_in_shards,
    run_of,
    say,
)
from textvae.errors import OutputError


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    encode = verbs.add_parser("encode", help="map sentences to vectors")
    score = verbs.add_parser("score", help="say how likely each sentence is, and each of its tokens")
    for command in (encode, score):
        add_run(command)
        command.add_argument(
            "file", metavar="FILE|FOLDER|PATTERN|-", help="sentences; - is standard input; folders give shards"
        )
        command.add_argument("--text-column", metavar="NAME", help="of tables (default: as the run was trained)")
        add_shards(command)
    score.add_argument("--samples", type=int, default=50, help="importance samples a sentence (default: 50)")
    score.add_argument("--seed", type=int, default=0)
    add_label(score)


def encode(options: Namespace) -> None:
    """Write the posterior means of a file's sentences, as they come."""
    from textvae.given import read_texts
    from textvae.uses import posteriors
    from textvae.vectors import check_vector_file, write_vectors

    output = check_vector_file(options.output)
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; make it first.")
    if output.exists() and os.path.exists(options.file) and output.samefile(options.file):
        raise OutputError(f"{output}: is the file that is read; name another one for the vectors.")
    vae = load(options)
    texts = read_texts(options.file, run_of(options), options.text_column)
    blocks = ((block, q.mean.numpy()) for block, q in posteriors(vae.bundle, texts, progress=not options.json))
    sentences = write_vectors(output, blocks, vae.latent_dim)
    record = {"file": str(output), "sentences": sentences, "latent_dim": vae.latent_dim}
    say([record], options.json, lambda seen: f"{seen['file']}: {seen['sentences']} vectors of {seen['latent_dim']}")


def score(options: Namespace) -> None:
    """Say how likely each sentence of a file is, in nats."""
    from textvae.card import shown
    from textvae.given import read_rows

    vae = load(options)
    rows = read_rows(options.file, run_of(options), options.text_column, vae.bundle.label_column)
    while block := list(islice(rows, BLOCK)):
        texts, labels = zip(*block, strict=True)
        given = labels if vae.bundle.label_column else None
        scores = zip(texts, vae.score(texts, options.samples, options.seed, labels=given), strict=True)
        records = ({"text": text, **record} for text, record in scores)
        say(records, options.json, lambda seen: f"{shown(seen['iw_nll']):>8}  {seen['text']}")


COMMANDS: dict[str, Command] = {"encode": or_in_shards(encode), "score": or_in_shards(score)}
