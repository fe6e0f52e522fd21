"""The verbs that change texts: `attribute fit`, `edit`, `analogy`."""

from argparse import ArgumentParser, Namespace
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_label_column,
    add_run,
    add_table,
    collect_decoding_options,
    describe_blank_fate,
    load_vae,
    open_input,
)
from textvae.cli.output import format_text, print_records, print_rows
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import EditSettings

_ATTRIBUTE_TEMPLATE = """\
{name}: from {away} ({texts_away} texts) towards {towards} ({texts_towards}); chance {chance:.3f}
held out, {folds} folds        accuracy  AUROC
along the direction         {accuracy:.3f}  {auroc:.3f}
regression on all of z      {regression_accuracy:.3f}  {regression_auroc:.3f}"""


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    attribute = verbs.add_parser(
        "attribute", help="find the direction in latent space along which labelled texts differ"
    )
    actions = attribute.add_subparsers(dest="action", required=True, metavar="fit")
    _add_attribute_fit(
        actions.add_parser("fit", help="find the direction and save it with the run")
    )
    edit = verbs.add_parser("edit", help="rewrite texts with more or less of an attribute")
    _add_edit(edit)
    analogy = verbs.add_parser("analogy", help="write the text that is to C as B is to A")
    add_run(analogy)
    analogy.add_argument("a", metavar="A", help="text at the start of the step")
    analogy.add_argument("b", metavar="B", help="text at the end of the step")
    analogy.add_argument("c", metavar="C", help="text that the step is applied to")
    _add_step(edit)
    _add_step(analogy)


def _add_attribute_fit(command: ArgumentParser) -> None:
    """Add the arguments of `attribute fit`."""
    add_run(command)
    command.add_argument(
        "file",
        metavar="TABLE",
        help=".csv, .tsv, .jsonl or .parquet file with a column of texts and one of labels",
    )
    command.add_argument(
        "--name",
        required=True,
        metavar="NAME",
        help="name of the attribute, saved in RUN/fitted/attribute",
    )
    add_label_column(command)
    add_table(command)
    command.add_argument(
        "--towards",
        metavar="LABEL",
        help="label that the direction leads to; needed if there are more than two "
        "(default: the last of the two in alphabetical order)",
    )


def _add_edit(command: ArgumentParser) -> None:
    """Add the arguments of `edit`."""
    add_run(command)
    texts = command.add_mutually_exclusive_group(required=True)
    texts.add_argument("text", nargs="?", metavar="TEXT", help="text to rewrite")
    texts.add_argument(
        "--file",
        metavar="FILE|-",
        help="file of sentences to rewrite, instead of TEXT; - is standard input",
    )
    add_table(command)
    command.add_argument(
        "--attribute",
        required=True,
        metavar="NAME",
        help="name of an attribute that `textvae attribute fit` saved",
    )


def _add_step(command: ArgumentParser) -> None:
    """Add the arguments of `edit` and `analogy` that say how the text is changed and decoded."""
    add_label(command)
    add_settings(command, EditSettings)
    add_decoding(command)


def _attribute(options: Namespace) -> None:
    """Find a direction, save it with the run, and print how well it separates the labels."""
    vae = load_vae(options)
    rows = open_input(options, vae, columns=[options.label_column]).filled()
    texts = [str(row.text) for row in rows]
    labels = [row.values[0] for row in rows]
    attribute = vae.fit_attribute(texts, labels, options.name, towards=options.towards)
    record = {"name": options.name, **attribute.record}
    print_records([record], options.json, lambda record: _ATTRIBUTE_TEMPLATE.format(**record))


def _edit(options: Namespace) -> None:
    """Rewrite a text, or each sentence of a file, after a step along an attribute."""
    from textvae.inference.encode import check_not_blank

    vae = load_vae(options)

    def answer(texts: list[str], _: list[str]) -> list[dict[str, Any]]:
        edited = vae.edit(
            texts,
            options.attribute,
            **collect_settings(options, EditSettings),
            **collect_decoding_options(options),
        )
        return [{"text": text} for text in edited]

    if options.file:
        rows = open_input(options, vae, fate=describe_blank_fate(options))
        print_rows(rows, answer, options.json, format_text, ["text"], "original")
        return
    check_not_blank(options.text)
    (record,) = answer([options.text], [])
    print_records([{"original": options.text, **record}], options.json, format_text)


def _analogy(options: Namespace) -> None:
    """Write the text that is to C as B is to A."""
    text = load_vae(options).analogy(
        options.a,
        options.b,
        options.c,
        **collect_settings(options, EditSettings),
        **collect_decoding_options(options),
    )
    print_records([{"text": text}], options.json, format_text)


COMMANDS: dict[str, Command] = {"attribute": _attribute, "edit": _edit, "analogy": _analogy}
