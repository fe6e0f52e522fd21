"""The verbs that write text: `generate`, `reconstruct`, `complete`, `interpolate`, `decode`."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_run,
    add_sentences,
    add_shards,
    add_verb,
    collect_decoding_options,
    iterate_decoding_options,
    print_new_seed,
)
from textvae.cli.loading import (
    describe_blank_output,
    load_vae,
    open_input,
    open_run,
    refuse_table_options_without_file,
)
from textvae.cli.output import (
    format_text,
    group_texts,
    name_texts,
    print_records,
    print_row_groups,
)
from textvae.cli.sentences import (
    add_sentence,
    add_sentences_per_row,
    check_sentences,
    print_answers,
    read_reference,
)
from textvae.cli.settings import add_settings, collect_settings
from textvae.cli.shards import allow_shards
from textvae.errors import DataError
from textvae.inference.settings import DecodingSettings, draw_seed
from textvae.uses.settings import (
    CompleteSettings,
    GenerateSettings,
    InterpolateSettings,
    RefineSettings,
)

if TYPE_CHECKING:
    from textvae.vae import TextVAE

_EXAMPLE_COUNT = 5  # sentences to reconstruct if no file is named


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    _add_generate(verbs)
    _add_reconstruct(verbs)
    _add_complete(verbs)
    _add_interpolate(verbs)
    _add_decode(verbs)


def _add_generate(verbs: Subparsers) -> None:
    """Add `generate`."""
    generate = add_verb(
        verbs, "generate", "sample latents from the prior and decode them to sentences"
    )
    add_run(generate)
    add_settings(generate, GenerateSettings)
    generate.add_argument(
        "--prior",
        metavar="KIND",
        help="sample from a prior that `textvae prior fit` saved: gaussian_mixture, flow or "
        "diffusion (default: the model's own prior)",
    )
    add_shards(generate)
    add_label(generate, default="each label as often as in the training data")
    add_decoding(generate, samples=True)


def _add_reconstruct(verbs: Subparsers) -> None:
    """Add `reconstruct`."""
    reconstruct = add_verb(verbs, "reconstruct", "encode sentences and decode them again")
    add_run(reconstruct)
    add_sentences(reconstruct, default=f"{_EXAMPLE_COUNT} sentences of the run's test split")
    reconstruct.add_argument(
        "--write-as",
        metavar="NAME",
        help="label to decode with, for a model that was trained with labels "
        "(default: the label of each text)",
    )
    add_settings(reconstruct, RefineSettings)
    add_label(reconstruct, default="the label of each text in the file")
    add_decoding(reconstruct)


def _add_complete(verbs: Subparsers) -> None:
    """Add `complete`."""
    complete = add_verb(verbs, "complete", "write sentences that begin with a prefix")
    add_run(complete)
    add_sentence(complete, "PREFIX", "beginning of the sentences")
    add_settings(complete, CompleteSettings)
    add_label(complete)
    add_decoding(complete, samples=True)


def _add_interpolate(verbs: Subparsers) -> None:
    """Add `interpolate`."""
    interpolate = add_verb(
        verbs, "interpolate", "decode a path in latent space through two or more sentences"
    )
    add_run(interpolate)
    add_sentences_per_row(
        interpolate, ("first", "second"), "sentences on the path, in order", has_more=True
    )
    add_settings(interpolate, InterpolateSettings)
    interpolate.add_argument(
        "--reference",
        metavar="FILE",
        help="file of sentences that show where texts lie in the latent space, for --path density "
        "(default: the run's validation split); with --file, it is read as in training",
    )
    add_label(interpolate)
    add_decoding(interpolate)


def _add_decode(verbs: Subparsers) -> None:
    """Add `decode`."""
    decode = add_verb(verbs, "decode", "decode vectors to sentences")
    add_run(decode)
    decode.add_argument(
        "vectors",
        metavar="z.npy|z.parquet",
        help="file of vectors, one per row, such as `textvae encode` writes",
    )
    add_label(decode)
    add_decoding(decode)


def _generate(options: Namespace) -> None:
    """Sample sentences from the prior."""
    decoding = _collect_options_with_seed(options)
    texts = load_vae(options).generate(
        prior=options.prior,
        **collect_settings(options, GenerateSettings),
        **decoding,
    )
    _print_texts(texts, decoding["seed"], options)


def _collect_options_with_seed(options: Namespace) -> dict[str, Any]:
    """Return the decoding options that the user wrote, with a new seed if they have no seed."""
    return {"seed": draw_seed(), **collect_settings(options, DecodingSettings)}


def _print_texts(texts: Iterable[str], seed: int, options: Namespace) -> None:
    """Print texts, and the seed that they were sampled with if the user has not written it."""
    records = ({"text": text, "seed": seed} for text in texts)
    print_records(records, options.json, format_text)
    _print_seed_if_new(seed, options)


def _print_seed_if_new(seed: int, options: Namespace) -> None:
    """Print the seed that texts were sampled with, if the user has not written it."""
    if not options.json and "seed" not in collect_settings(options, DecodingSettings):
        print_new_seed(seed)


def _reconstruct(options: Namespace) -> None:
    """Encode the sentences of a file, or a few of the run's test split, and decode them again."""
    refuse_table_options_without_file(
        options, "sentences of the run's test split are reconstructed"
    )
    vae = load_vae(options)
    label_column = vae.bundle.label_column
    parts = iterate_decoding_options(options)

    def answer(texts: list[str], labels: list[str]) -> list[list[dict[str, Any]]]:
        decoding = next(parts)
        written = vae.reconstruct(
            texts,
            labels=labels if label_column else None,
            write_as=options.write_as,
            **collect_settings(options, RefineSettings),
            **decoding,
        )
        return group_texts(written, decoding)

    if options.file:
        fate = describe_blank_output(options)
        rows = open_input(options, vae, label_column=label_column, fate=fate)
        print_row_groups(
            rows,
            answer,
            options.json,
            _format_reconstruction,
            fields=["text"],
            text_field="original",
            lines=2,
        )
        return
    texts, labels = _read_examples(options, label_column)
    for text, records in zip(texts, answer(texts, labels), strict=True):
        head = {"original": text}
        print_records(
            ({**head, **record} for record in records), options.json, _format_reconstruction
        )


def _read_examples(options: Namespace, label_column: str | None) -> tuple[list[str], list[str]]:
    """Return a few sentences of the run's test split, and their labels if the model has labels."""
    examples = open_run(options).open_split("test").take(_EXAMPLE_COUNT)
    labels = list(examples[label_column]) if label_column else []
    return list(examples["text"]), labels


def _format_reconstruction(record: Mapping[str, Any]) -> str:
    """Return the text and, on a second line, its reconstruction."""
    return f"{record['original']}\n  → {record['text']}"


def _complete(options: Namespace) -> None:
    """Write sentences that begin with a prefix, or with each row of a file."""
    check_sentences(options)
    decoding = _collect_options_with_seed(options)
    seed = decoding["seed"]

    def answer(vae: "TextVAE", texts: list[str]) -> list[dict[str, Any]]:
        written = vae.complete(texts[0], **collect_settings(options, CompleteSettings), **decoding)
        return [{"text": text, "seed": seed} for text in written]

    print_answers(
        options,
        load_vae(options),
        answer,
        format_text,
        lambda texts: name_texts(["prefix"], texts),
        ("text", "seed"),
    )
    _print_seed_if_new(seed, options)


def _interpolate(options: Namespace) -> None:
    """Decode a path through the sentences, or through those of each row of a file."""
    check_sentences(options)
    vae = load_vae(options)
    reference = read_reference(options, vae)

    def answer(vae: "TextVAE", texts: list[str]) -> list[dict[str, Any]]:
        decoding = collect_decoding_options(options)
        written = vae.interpolate(
            texts[0],
            texts[1],
            *texts[2:],
            reference=reference,
            **collect_settings(options, InterpolateSettings),
            **decoding,
        )
        per_step = decoding.get("num_return_sequences", 1)
        return [{"step": index // per_step, "text": text} for index, text in enumerate(written)]

    print_answers(
        options,
        vae,
        answer,
        format_text,
        lambda texts: {"sentences": texts or None},
        ("step", "text"),
    )


def _decode(options: Namespace) -> None:
    """Write a sentence from each vector of a file."""
    from textvae.data.row_report import RowNumbers, report_blank_rows
    from textvae.data.vector_files import is_missing, read_vectors

    vae = load_vae(options)
    z = read_vectors(options.vectors)
    missing = is_missing(z)  # `encode` writes NaN or null for a blank row
    if missing.all():
        raise DataError(
            f"{options.vectors}: every vector is NaN or null, which stands for a blank row; "
            "expected at least one vector to decode."
        )
    blank = RowNumbers()
    for row in missing.nonzero()[0]:
        blank.add(int(row) + 1)

    decoding = collect_decoding_options(options)

    def pair_rows_with_texts() -> Iterator[dict[str, Any]]:
        groups = iter(group_texts(vae.decode(z[~missing], **decoding), decoding))
        for row, is_blank in enumerate(missing, start=1):
            for record in [{"text": None}] if is_blank else next(groups):
                yield {"file": options.vectors, "row": row, **record}

    print_records(pair_rows_with_texts(), options.json, lambda record: record["text"] or "")
    report_blank_rows(options.vectors, blank, len(z), describe_blank_output(options))


COMMANDS: dict[str, Command] = {
    "generate": allow_shards(_generate),
    "reconstruct": _reconstruct,
    "complete": _complete,
    "interpolate": _interpolate,
    "decode": _decode,
}
