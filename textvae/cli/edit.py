"""The verbs that change texts: `attribute fit`, `edit`, `analogy`."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_labelled_table,
    add_run,
    add_verb,
    collect_decoding_options,
    iterate_decoding_options,
    require_extra,
)
from textvae.cli.loading import describe_blank_output, load_vae, open_input, read_table
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
)
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import EditSettings

if TYPE_CHECKING:
    from textvae.vae import TextVAE

_ATTRIBUTE_TEMPLATE = """\
{name}: from {away} ({texts_away} texts) towards {towards} ({texts_towards}); chance {chance:.3f}
held out, {folds} folds        accuracy  AUROC
along the direction         {accuracy:.3f}  {auroc:.3f}
regression on all of z      {regression_accuracy:.3f}  {regression_auroc:.3f}"""

_NUMERIC_TEMPLATE = """\
{name}: along a number from {minimum:g} to {maximum:g} ({texts} texts); strength 1 is {deviation:.3g}
held out, {folds} folds     correlation     R²
along the direction         {correlation:.3f}  {r2:.3f}
regression on all of z      {regression_correlation:.3f}  {regression_r2:.3f}
(For classes instead of a number, name one with --towards.)"""


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    attribute = add_verb(
        verbs, "attribute", "find the direction in latent space along which labelled texts differ"
    )
    steps = attribute.add_subparsers(dest="step", required=True, metavar="fit")
    fit = add_verb(
        steps, "fit", "find the direction from a table of labelled texts, and save it with the run"
    )
    _add_attribute_fit(fit)
    edit = add_verb(verbs, "edit", "rewrite texts with more or less of an attribute")
    _add_edit(edit)
    analogy = add_verb(verbs, "analogy", "write the text that is to C as B is to A")
    add_run(analogy)
    add_sentences_per_row(
        analogy,
        ("a", "b", "c"),
        "A is the text before the change that is to be repeated, B the text after it, and C the "
        "text to change in the same way",
    )
    _add_step(edit)
    _add_step(analogy, single=True)


def _add_attribute_fit(command: ArgumentParser) -> None:
    """Add the arguments of `attribute fit`."""
    add_run(command)
    require_extra(command, "insight", "attributes", "sklearn")
    add_labelled_table(command)
    command.add_argument(
        "--name",
        required=True,
        metavar="NAME",
        help="name of the attribute, for `textvae edit`; it is saved in RUN/fitted/attribute",
    )
    command.add_argument(
        "--towards",
        metavar="LABEL",
        help="label that the direction leads to; required if there are more than two labels, unless "
        "all are numbers: without it, the direction is then the one along which the number grows "
        "(default: the last of the two in alphabetical order)",
    )


def _add_edit(command: ArgumentParser) -> None:
    """Add the arguments of `edit`."""
    add_run(command)
    add_sentence(command, "TEXT", "text to rewrite")
    command.add_argument(
        "--attribute",
        required=True,
        metavar="NAME",
        help="name of an attribute that `textvae attribute fit` saved",
    )


def _add_step(command: ArgumentParser, *, single: bool = False) -> None:
    """Add the arguments of `edit` and `analogy` that say how the text is changed and decoded."""
    add_label(command)
    add_settings(command, EditSettings)
    add_decoding(command, single=single)


def _attribute(options: Namespace) -> None:
    """Find a direction, save it with the run, and print how well it separates the labels.

    Cells of a table are text, so labels that all spell numbers become numbers; codes such as 007
    stay names.
    """
    from textvae.data.tables import as_number
    from textvae.data.tables.values import is_amount

    vae = load_vae(options)
    texts, columns, _ = read_table(options, vae, [options.label_column])
    labels = columns[options.label_column]
    numbers = [as_number(label) for label in labels]
    are_numbers = not any(isinstance(number, str) for number in numbers)
    if are_numbers and all(is_amount(str(label)) for label in labels):
        labels = numbers
    attribute = vae.fit_attribute(texts, labels, options.name, towards=options.towards)
    record = {"name": options.name, **attribute.record}
    template = _ATTRIBUTE_TEMPLATE if "towards" in record else _NUMERIC_TEMPLATE
    print_records([record], options.json, lambda record: template.format(**record))


def _edit(options: Namespace) -> None:
    """Rewrite a text, or each sentence of a file, after a step along an attribute."""
    from textvae.inference.encode import check_not_blank

    check_sentences(options)
    vae = load_vae(options)
    parts = iterate_decoding_options(options)

    def answer(texts: list[str], labels: list[str]) -> list[list[dict[str, Any]]]:
        decoding = next(parts)
        records: list[list[dict[str, Any]]] = [[] for _ in texts]
        for label in dict.fromkeys(labels):
            view = vae.with_label(label) if label else vae
            rows = [row for row, other in enumerate(labels) if other == label]
            edited = view.edit(
                [texts[row] for row in rows],
                options.attribute,
                **collect_settings(options, EditSettings),
                **decoding,
            )
            for row, group in zip(rows, group_texts(edited, decoding), strict=True):
                records[row] = group
        return records

    if options.file is not None:
        rows = open_input(
            options,
            vae,
            label_column=vae.bundle.label_column,
            fate=describe_blank_output(options),
        )
        print_row_groups(
            rows, answer, options.json, format_text, fields=["text"], text_field="original"
        )
        return
    check_not_blank(options.texts)
    (records,) = answer([options.texts], [""])
    original = {"original": options.texts}
    print_records(({**original, **record} for record in records), options.json, format_text)


def _analogy(options: Namespace) -> None:
    """Write the text that is to C as B is to A, for three texts or for each row of a file."""
    check_sentences(options)

    def answer(vae: "TextVAE", texts: list[str]) -> list[dict[str, Any]]:
        a, b, c = texts
        text = vae.analogy(
            a,
            b,
            c,
            **collect_settings(options, EditSettings),
            **collect_decoding_options(options),
        )
        return [{"text": text}]

    print_answers(
        options, load_vae(options), answer, format_text, lambda texts: name_texts("abc", texts)
    )


COMMANDS: dict[str, Command] = {"attribute": _attribute, "edit": _edit, "analogy": _analogy}
