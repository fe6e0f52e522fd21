"""The verbs that explain the latent's dimensions: `traverse`, `insight`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_run,
    add_table,
    add_verb,
    collect_decoding_options,
    require_extra,
)
from textvae.cli.loading import load_vae, read_table
from textvae.cli.output import format_step, name_texts, print_records
from textvae.cli.sentences import add_sentence, check_sentences, print_answers, read_reference
from textvae.cli.settings import add_settings, collect_settings
from textvae.errors import ConfigError
from textvae.terminal import quote_value
from textvae.uses.records import TraversalStep
from textvae.uses.settings import TraverseSettings

if TYPE_CHECKING:
    from textvae.vae import TextVAE

_MAX_P_VALUE = 0.01  # of an association that is printed

_DIMENSION_HEADER = (
    f"{'dim':>3}  {'KL':>5}  {'share':>5}  {'variance':>8}  "
    "goes with, and words at its low | high end"
)

# The columns below _SCORE_HEADER after the factor's name: key of the record, width, format.
_SCORE_COLUMNS = (
    ("best_dimension", 9, ""),
    ("best", 7, ".3f"),
    ("mig", 7, ".3f"),
    ("sap", 7, ".3f"),
    ("completeness", 14, ".3f"),
    ("informativeness", 17, ".3f"),
    ("disentanglement", 17, ".3f"),
)

_SCORE_HEADER = (
    "factor           best dim  alone    MIG    SAP  completeness  informativeness  disentanglement"
)


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    _add_traverse(verbs)
    _add_insight(verbs)


def _add_traverse(verbs: Subparsers) -> None:
    """Add `traverse`."""
    traverse = add_verb(
        verbs, "traverse", "decode a text again while one dimension of its latent changes"
    )
    add_run(traverse)
    add_sentence(traverse, "TEXT", "text whose latent is changed")
    add_label(traverse)
    traverse.add_argument(
        "--dimension",
        type=int,
        required=True,
        metavar="D",
        help="dimension of the latent to change, counted from 0",
    )
    add_settings(traverse, TraverseSettings, "steps", "reach", "unit")
    traverse.add_argument(
        "--reference",
        metavar="FILE",
        help="file of sentences from which to compute the aggregate posterior "
        "(default: the run's validation split); with --file, it is read as in training",
    )
    add_decoding(traverse)


def _add_insight(verbs: Subparsers) -> None:
    """Add `insight`."""
    insight = add_verb(verbs, "insight", "say what each dimension of the latent encodes")
    add_run(insight)
    require_extra(insight, "insight", "insights", "sklearn", "scipy")
    insight.add_argument(
        "file",
        metavar="FILE",
        help="file of sentences; a .csv, .tsv, .jsonl or .parquet file may have further columns",
    )
    add_table(insight)
    insight.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column of numbers or of class names to compare the latent with; may be repeated "
        "(default: none)",
    )
    insight.add_argument(
        "--class-column",
        action="append",
        default=[],
        metavar="NAME",
        help="column to compare the latent with, whose numbers name classes and are not amounts; "
        "may be repeated (default: none)",
    )


def _traverse(options: Namespace) -> None:
    """Print the text decoded at each step along one dimension of its latent."""
    check_sentences(options)
    vae = load_vae(options)
    reference = read_reference(options, vae)

    def answer(vae: "TextVAE", texts: list[str]) -> Sequence[Mapping[str, Any]]:
        return vae.traverse(
            texts[0],
            options.dimension,
            reference=reference,
            **collect_settings(options, TraverseSettings),
            **collect_decoding_options(options),
        )

    print_answers(
        options,
        vae,
        answer,
        format_step,
        lambda texts: name_texts(["original"], texts),
        list(TraversalStep.__annotations__),
    )


def _insight(options: Namespace) -> None:
    """Print one row per dimension, the one with the highest KL first, and the scores of factors."""
    _refuse_columns_of_two_kinds(options)
    vae = load_vae(options)
    texts, columns = _read_texts_and_columns(options, vae)
    insight = vae.insight(texts, columns, progress=not options.json)
    # A model without a KL per dimension has None there: then the variance decides.
    dimensions = sorted(
        insight["dimensions"], key=lambda record: (-(record["kl"] or 0), -record["variance"])
    )
    if not options.json:
        print(_DIMENSION_HEADER)
    print_records(dimensions, options.json, _format_dimension)
    if insight["scores"] and not options.json:
        print("\n" + _SCORE_HEADER)
    print_records(insight["scores"], options.json, _format_scores)


def _refuse_columns_of_two_kinds(options: Namespace) -> None:
    """Refuse a column that is named both as one of amounts and as one of classes.

    Raises:
        ConfigError: there is such a column.
    """
    for name in options.column:
        if name in options.class_column:
            raise ConfigError(
                f"--column and --class-column both name {quote_value(name)}; leave --column out if "
                "its numbers name classes, and --class-column if they are amounts."
            )


def _read_texts_and_columns(
    options: Namespace, vae: "TextVAE"
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the texts of the file, and the columns to compare the latent with, by name."""
    from textvae.data.tables import as_label, as_number

    names = [*options.column, *options.class_column]
    texts, columns, _ = read_table(options, vae, names)
    for name in options.column:
        columns[name] = [as_number(value) for value in columns[name]]
    # The library takes text for the names of classes, even if it spells a number.
    for name in options.class_column:
        columns[name] = [as_label(value) for value in columns[name]]
    return texts, columns


def _format_dimension(record: Mapping[str, Any]) -> str:
    """Return what a dimension encodes, without associations that chance explains."""
    kl = "    —      —"
    if record["kl"] is not None:
        kl = f"{record['kl']:5.2f}  {record['kl_share']:5.1%}"
    associations = [
        _format_association(association)
        for association in record["associations"]
        if association["p_value"] < _MAX_P_VALUE
    ]
    low = " ".join(record["low"]) or "—"
    high = " ".join(record["high"]) or "—"
    goes_with = ", ".join(associations) or "—"
    return (
        f"{record['dimension']:3}  {kl}  {record['variance']:8.3f}  {goes_with}\n"
        f"{'':28}{low} | {high}"
    )


def _format_association(record: Mapping[str, Any]) -> str:
    """Return an association: numbers with a sign, classes with those at the low and high end."""
    if record["measure"] == "spearman":
        return f"{record['column']} {record['value']:+.2f}"
    return f"{record['column']} {record['value']:.2f} ({record['low']} | {record['high']})"


def _format_scores(record: Mapping[str, Any]) -> str:
    """Return the scores of one factor, or their means, as a row of the table."""
    row = f"{record['factor'][:15]:16}"
    for key, width, form in _SCORE_COLUMNS:
        value = record.get(key)
        cell = "" if value is None else format(value, form)
        row += f"{cell:>{width}}"
    return row.rstrip()


COMMANDS: dict[str, Command] = {"traverse": _traverse, "insight": _insight}
