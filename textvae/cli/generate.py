"""The verbs that write text: `_generate`, `_reconstruct`, `_complete`, `_interpolate`, `_decode`."""

from argparse import Namespace
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_run,
    add_shards,
    add_table,
    allow_shards,
    collect_decoding_options,
    describe_blank_fate,
    load_vae,
    open_run,
    require_positive,
)
from textvae.cli.output import format_text, print_records, print_rows
from textvae.errors import DataError

_EXAMPLE_COUNT = 5  # reconstructions, where no file is named


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    generate = verbs.add_parser("generate", help="write sentences from the prior")
    add_run(generate)
    generate.add_argument("-n", type=int, default=10, help="how many (default: 10)")
    generate.add_argument("--prior", metavar="KIND", help="draw from what `prior fit` fitted")
    add_shards(generate)
    reconstruct = verbs.add_parser("reconstruct", help="encode sentences and write them again")
    add_run(reconstruct)
    reconstruct.add_argument(
        "file",
        nargs="?",
        metavar="FILE|-",
        help="sentences; - is standard input (default: 5 test sentences)",
    )
    reconstruct.add_argument(
        "--write-as", metavar="NAME", help="of a model trained with data.label: another label"
    )
    complete = verbs.add_parser("complete", help="continue a prefix")
    add_run(complete)
    complete.add_argument("prefix", metavar="PREFIX")
    complete.add_argument("-n", type=int, default=5, help="how many (default: 5)")
    interpolate = verbs.add_parser("interpolate", help="walk from one sentence to another")
    add_run(interpolate)
    interpolate.add_argument("first", metavar="ONE")
    interpolate.add_argument("second", metavar="OTHER")
    interpolate.add_argument(
        "--steps", type=int, default=7, help="sentences on the way, ends included (default: 7)"
    )
    interpolate.add_argument(
        "--path", default="linear", help="linear (default), spherical or density"
    )
    interpolate.add_argument(
        "--reference", metavar="FILE", help="of the path density (default: validation sentences)"
    )
    for command in (reconstruct, interpolate):
        add_table(command)
    decode = verbs.add_parser("decode", help="write sentences from vectors")
    add_run(decode)
    decode.add_argument("vectors", metavar="z.npy|z.parquet")
    for command in (generate, reconstruct, complete, interpolate, decode):
        add_label(command)
        add_decoding(command)


def _generate(options: Namespace) -> None:
    """Write sentences from the prior."""
    count = require_positive(options.n, "n")
    texts = load_vae(options).generate(
        count, prior=options.prior, **collect_decoding_options(options)
    )
    print_records(({"text": text} for text in texts), options.json, format_text)


def _reconstruct(options: Namespace) -> None:
    """Encode sentences and write them again; without a file, a few of the run's own test split."""
    from textvae.cli.input import InputRows

    vae, run = load_vae(options), open_run(options)
    column = vae.bundle.label_column

    def answer(texts: list[str], labels: list[str]) -> list[dict[str, Any]]:
        given = labels if column else None
        written = vae.reconstruct(
            texts, labels=given, write_as=options.write_as, **collect_decoding_options(options)
        )
        return [{"text": text} for text in written]

    def shown(record: dict[str, Any]) -> str:
        return f"{record['original']}\n  → {record['text']}"

    if options.file:
        rows = InputRows(
            options.file,
            run,
            options.text_column,
            quoting=options.quoting,
            bundle=vae.bundle,
            label_column=column,
            fate=describe_blank_fate(options),
        )
        return print_rows(rows, answer, options.json, shown, ["text"], "original", lines=2)
    few = run.open_split("test").take(_EXAMPLE_COUNT)
    texts = list(few["text"])
    written = answer(texts, list(few[column]) if column else [])
    records = ({"original": text, **record} for text, record in zip(texts, written, strict=True))
    return print_records(records, options.json, shown)


def _complete(options: Namespace) -> None:
    """Continue a prefix."""
    texts = load_vae(options).complete(
        options.prefix, require_positive(options.n, "n"), **collect_decoding_options(options)
    )
    print_records(({"text": text} for text in texts), options.json, format_text)


def _interpolate(options: Namespace) -> None:
    """Walk from one sentence to another."""
    from textvae.cli.input import InputRows

    vae, reference = load_vae(options), None
    if options.reference:
        reference = list(
            InputRows(
                options.reference,
                open_run(options),
                options.text_column,
                quoting=options.quoting,
                bundle=vae.bundle,
            ).texts()
        )
    texts = vae.interpolate(
        options.first,
        options.second,
        options.steps,
        options.path,
        reference,
        **collect_decoding_options(options),
    )
    print_records(
        ({"step": step, "text": text} for step, text in enumerate(texts)), options.json, format_text
    )


def _decode(options: Namespace) -> None:
    """Write a sentence from each vector."""
    from textvae.data.row_report import RowNumbers, report_blank_rows
    from textvae.data.vector_files import is_missing, read_vectors

    vae, z, blank = load_vae(options), read_vectors(options.vectors), RowNumbers()
    missing = is_missing(z)
    for row in missing.nonzero()[0]:
        blank.add(int(row) + 1)
    if missing.all():
        raise DataError(
            f"{options.vectors}: every vector is NaN or null, as of a blank row; there is none to decode."
        )
    texts = iter(vae.decode(z[~missing], **collect_decoding_options(options)))
    records = (
        {"row": row, "text": None if gap else next(texts)}
        for row, gap in enumerate(missing, start=1)
    )
    print_records(records, options.json, lambda record: record["text"] or "")
    report_blank_rows(options.vectors, blank, len(z), describe_blank_fate(options))


COMMANDS: dict[str, Command] = {
    "generate": allow_shards(_generate),
    "reconstruct": _reconstruct,
    "complete": _complete,
    "interpolate": _interpolate,
    "decode": _decode,
}
