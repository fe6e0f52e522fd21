"""The verbs that explain the latent's dimensions: `traverse`, `insight`."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_run,
    add_table,
    collect_decoding_options,
    load_vae,
    open_input,
)
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import TraverseSettings

_MAX_P_VALUE = 0.01  # of an association that is printed

_DIMENSION_HEADER = (
    f"{'dim':>3}  {'KL':>5}  {'share':>5}  {'variance':>8}  "
    "goes with, and words at its low | high end"
)


_SCORE_COLUMNS = (  # key of a factor's record, width, format
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
    traverse = verbs.add_parser(
        "traverse", help="rewrite a text while one dimension of its latent changes"
    )
    add_run(traverse)
    traverse.add_argument("text", metavar="TEXT", help="text to rewrite")
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
        help="file of sentences that the aggregate posterior is computed from "
        "(default: the validation split of the run)",
    )
    add_table(traverse)
    add_decoding(traverse)


def _add_insight(verbs: Subparsers) -> None:
    """Add `insight`."""
    insight = verbs.add_parser("insight", help="say what each dimension of the latent encodes")
    add_run(insight)
    insight.add_argument(
        "file",
        metavar="FILE",
        help="file of sentences, or a .csv, .tsv, .jsonl or .parquet file with further columns",
    )
    add_table(insight)
    insight.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column of numbers or class names to compare with the latent; may be repeated",
    )
    insight.add_argument(
        "--class-column",
        action="append",
        default=[],
        metavar="NAME",
        help="column whose numbers are class names, not amounts; may be repeated",
    )


def _traverse(options: Namespace) -> None:
    """Rewrite a text while one dimension changes."""
    vae = load_vae(options)
    reference = None
    if options.reference:
        reference = list(open_input(options, vae, options.reference).texts())
    records = vae.traverse(
        options.text,
        options.dimension,
        reference=reference,
        **collect_settings(options, TraverseSettings),
        **collect_decoding_options(options),
    )
    print_records(records, options.json, lambda record: f"{record['value']:+.2f}  {record['text']}")


def _insight(options: Namespace) -> None:
    """Print one row per dimension, the one with the highest KL first, and the scores of factors."""
    from textvae.data.tables import as_label, as_number

    vae = load_vae(options)
    names = [*options.column, *options.class_column]
    rows = open_input(options, vae, columns=names).filled()
    columns = {name: [row.values[place] for row in rows] for place, name in enumerate(names)}
    for name in options.column:
        columns[name] = [as_number(value) for value in columns[name]]
    for name in options.class_column:
        columns[name] = [as_label(value) for value in columns[name]]
    found = vae.insight([str(row.text) for row in rows], columns, progress=not options.json)
    # A model without a KL per dimension has None there: then the variance decides.
    dimensions = sorted(
        found["dimensions"], key=lambda record: (-(record["kl"] or 0), -record["variance"])
    )
    if not options.json:
        print(_DIMENSION_HEADER)
    print_records(dimensions, options.json, _format_dimension)
    if found["scores"] and not options.json:
        print("\n" + _SCORE_HEADER)
    print_records(found["scores"], options.json, _format_scores)


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
    low, high = (" ".join(record[end]) or "—" for end in ("low", "high"))
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
