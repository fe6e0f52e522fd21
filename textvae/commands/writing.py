"""The verbs that write text: `generate`, `reconstruct`, `complete`, `interpolate`, `decode`."""

from argparse import Namespace
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from textvae.commands.basics import (
    BLOCK,
    Command,
    Verbs,
    add_decoding,
    add_label,
    add_run,
    add_shards,
    decoding,
    load,
    or_in_shards,
    positive,
    run_of,
    say,
    shown_text,
)

if TYPE_CHECKING:
    from textvae.run import Run

SHOWN = 5  # reconstructions, where no file is named


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    generate = verbs.add_parser("generate", help="write sentences from the prior")
    add_run(generate)
    generate.add_argument("-n", type=int, default=10, help="how many (default: 10)")
    generate.add_argument("--prior", metavar="KIND", help="draw from what `prior fit` fitted")
    add_shards(generate)
    reconstruct = verbs.add_parser("reconstruct", help="encode sentences and write them again")
    add_run(reconstruct)
    reconstruct.add_argument(
        "file", nargs="?", metavar="FILE|-", help="sentences; - is standard input (default: 5 test sentences)"
    )
    reconstruct.add_argument("--write-as", metavar="NAME", help="of a model trained with data.label: another label")
    complete = verbs.add_parser("complete", help="continue a prefix")
    add_run(complete)
    complete.add_argument("prefix", metavar="PREFIX")
    complete.add_argument("-n", type=int, default=5, help="how many (default: 5)")
    interpolate = verbs.add_parser("interpolate", help="walk from one sentence to another")
    add_run(interpolate)
    interpolate.add_argument("first", metavar="ONE")
    interpolate.add_argument("second", metavar="OTHER")
    interpolate.add_argument("--steps", type=int, default=7, help="sentences on the way, ends included (default: 7)")
    interpolate.add_argument("--path", default="linear", help="linear (default), spherical or density")
    interpolate.add_argument("--reference", metavar="FILE", help="of the path density (default: validation sentences)")
    decode = verbs.add_parser("decode", help="write sentences from vectors")
    add_run(decode)
    decode.add_argument("vectors", metavar="z.npy|z.parquet")
    for command in (generate, reconstruct, complete, interpolate, decode):
        add_label(command)
        add_decoding(command)


def generate(options: Namespace) -> None:
    """Write sentences from the prior."""
    count = positive(options.n, "n")
    texts = load(options).generate(count, prior=options.prior, **decoding(options))
    say(({"text": text} for text in texts), options.json, shown_text)


def reconstruct(options: Namespace) -> None:
    """Encode sentences and write them again; without a file, a few of the run's own test split."""
    vae, run = load(options), run_of(options)
    column = vae.bundle.label_column
    rows = originals(options, run, column)
    while block := list(islice(rows, BLOCK)):
        texts, labels = zip(*block, strict=True)
        written = vae.reconstruct(
            texts, labels=labels if column else None, write_as=options.write_as, **decoding(options)
        )
        pairs = zip(texts, written, strict=True)
        records = ({"original": original, "text": text} for original, text in pairs)
        say(records, options.json, lambda record: f"{record['original']}\n  → {record['text']}")


def originals(options: Namespace, run: "Run", column: str | None) -> Iterator[tuple[str, Any]]:
    """Return the sentences to write again, and their labels where there is a column of them."""
    from textvae.given import read_rows

    if options.file:
        return read_rows(options.file, run, label_column=column)
    return ((row["text"], row.get(column)) for row in run.split("test").take(SHOWN))


def complete(options: Namespace) -> None:
    """Continue a prefix."""
    texts = load(options).complete(options.prefix, positive(options.n, "n"), **decoding(options))
    say(({"text": text} for text in texts), options.json, shown_text)


def interpolate(options: Namespace) -> None:
    """Walk from one sentence to another."""
    from textvae.given import read_texts

    vae = load(options)
    reference = list(read_texts(options.reference, run_of(options))) if options.reference else None
    texts = vae.interpolate(options.first, options.second, options.steps, options.path, reference, **decoding(options))
    say(({"step": step, "text": text} for step, text in enumerate(texts)), options.json, shown_text)


def decode(options: Namespace) -> None:
    """Write a sentence from each vector."""
    from textvae.vectors import read_vectors

    vae = load(options)
    texts = vae.decode(read_vectors(options.vectors), **decoding(options))
    say(({"text": text} for text in texts), options.json, shown_text)


COMMANDS: dict[str, Command] = {
    "generate": or_in_shards(generate),
    "reconstruct": reconstruct,
    "complete": complete,
    "interpolate": interpolate,
    "decode": decode,
}
