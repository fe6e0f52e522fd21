"""The verbs that write texts again, changed: `attribute fit`, `_edit`, `_analogy`."""

from argparse import ArgumentParser, Namespace
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_run,
    add_table,
    collect_decoding_options,
    describe_blank_fate,
    load_vae,
    open_run,
)
from textvae.cli.output import format_text, print_records, print_rows


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    attribute = verbs.add_parser(
        "attribute", help="find the direction along which labelled texts differ"
    )
    _add_attribute_fit(
        attribute.add_subparsers(dest="action", required=True, metavar="fit").add_parser("fit")
    )
    edit = verbs.add_parser("edit", help="write a text again with more or less of an attribute")
    add_run(edit)
    given = edit.add_mutually_exclusive_group(required=True)
    given.add_argument("text", nargs="?", metavar="TEXT")
    given.add_argument(
        "--file", metavar="FILE|-", help="of sentences, instead of a text; - is standard input"
    )
    add_table(edit)
    edit.add_argument(
        "--attribute", required=True, metavar="NAME", help="that `textvae attribute fit` kept"
    )
    analogy = verbs.add_parser("analogy", help="write what is to C as B is to A")
    add_run(analogy)
    for name in "abc":
        analogy.add_argument(name, metavar=name.upper())
    for command in (edit, analogy):
        add_label(command)
        command.add_argument(
            "--strength", type=float, default=1.0, help="of the step; below 0 it goes back"
        )
        add_decoding(command)


def _add_attribute_fit(command: ArgumentParser) -> None:
    """Add the arguments of `attribute fit`."""
    add_run(command)
    command.add_argument(
        "file", metavar="TABLE", help="a .csv, .tsv, .jsonl or .parquet file: texts and labels"
    )
    command.add_argument(
        "--name", required=True, help="that the direction is kept under, in RUN/fitted/attribute"
    )
    command.add_argument("--label-column", default="label", metavar="NAME", help="default: label")
    add_table(command)
    command.add_argument(
        "--towards", metavar="LABEL", help="it leads to (default: of two the one that sorts last)"
    )


def _attribute(options: Namespace) -> None:
    """Fit a direction, keep it with the run, and say how well it separates."""
    from textvae.cli.input import InputRows

    vae = load_vae(options)
    table = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        columns=[options.label_column],
    )
    rows = table.filled()
    texts, labels = [str(row.text) for row in rows], [row.values[0] for row in rows]
    found = vae.fit_attribute(texts, labels, options.name, options.towards)
    print_records(
        [{"name": options.name, **found.record}],
        options.json,
        lambda seen: _ATTRIBUTE_TEMPLATE.format(**seen),
    )


_ATTRIBUTE_TEMPLATE = """\
{name}: from {away} ({texts_away} texts) towards {towards} ({texts_towards}); chance {chance:.3f}
held out, {folds} folds        accuracy  AUROC
along the direction         {accuracy:.3f}  {auroc:.3f}
regression on all of z      {regression_accuracy:.3f}  {regression_auroc:.3f}"""


def _edit(options: Namespace) -> None:
    """Write a text, or each sentence of a file, again after a step along an attribute."""
    from textvae.cli.input import InputRows
    from textvae.inference.encode import check_not_blank

    vae = load_vae(options)

    def answer(texts: list[str], _: list[str]) -> list[dict[str, Any]]:
        written = vae.edit(
            texts, options.attribute, options.strength, **collect_decoding_options(options)
        )
        return [{"text": text} for text in written]

    if options.file:
        rows = InputRows(
            options.file,
            open_run(options),
            options.text_column,
            quoting=options.quoting,
            bundle=vae.bundle,
            fate=describe_blank_fate(options),
        )
        return print_rows(rows, answer, options.json, format_text, ["text"], "original")
    check_not_blank(options.text)
    records = ({"original": options.text, **record} for record in answer([options.text], []))
    return print_records(records, options.json, format_text)


def _analogy(options: Namespace) -> None:
    """Write what is to C as B is to A."""
    text = load_vae(options).analogy(
        options.a, options.b, options.c, options.strength, **collect_decoding_options(options)
    )
    print_records([{"text": text}], options.json, format_text)


COMMANDS: dict[str, Command] = {"attribute": _attribute, "edit": _edit, "analogy": _analogy}
