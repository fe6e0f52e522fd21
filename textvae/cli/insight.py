"""The verbs that look at the latent's dimensions: `_traverse`, `_insight`."""

from argparse import Namespace
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_run,
    add_table,
    collect_decoding_options,
    load_vae,
    open_run,
)
from textvae.cli.output import print_records

_SCORE_COLUMNS = (  # of a factor: key, width, form
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
    traverse = verbs.add_parser(
        "traverse", help="write a text with one coordinate of its latent moved"
    )
    add_run(traverse)
    traverse.add_argument("text", metavar="TEXT")
    traverse.add_argument(
        "--dimension", type=int, required=True, metavar="D", help="counted from 0"
    )
    traverse.add_argument("-n", type=int, default=7, help="sentences (default: 7)")
    traverse.add_argument(
        "--reach", type=float, default=3.0, help="of the outermost, in deviations (default: 3)"
    )
    traverse.add_argument(
        "--unit",
        default="aggregate",
        help="whose deviation: aggregate (posterior; default) or prior",
    )
    traverse.add_argument(
        "--reference", metavar="FILE", help="of the aggregate (default: validation sentences)"
    )
    add_table(traverse)
    add_decoding(traverse)
    insight = verbs.add_parser("insight", help="say what each dimension of the latent does")
    add_run(insight)
    insight.add_argument(
        "file", metavar="FILE", help="sentences; in a .csv, .tsv, .jsonl or .parquet also columns"
    )
    add_table(insight)
    insight.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="numbers or classes; repeatable",
    )
    insight.add_argument(
        "--class-column",
        action="append",
        default=[],
        metavar="NAME",
        help="whose numbers are names of classes",
    )


def _traverse(options: Namespace) -> None:
    """Write a text with one coordinate moved."""
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
    where = {
        "steps": options.n,
        "reach": options.reach,
        "unit": options.unit,
        "reference": reference,
    }
    records = vae.traverse(
        options.text, options.dimension, **where, **collect_decoding_options(options)
    )
    print_records(records, options.json, lambda seen: f"{seen['value']:+.2f}  {seen['text']}")


def _insight(options: Namespace) -> None:
    """Print a row a dimension, the one that carries most first, and the scores."""
    from textvae.cli.input import InputRows
    from textvae.data.tables import as_label, as_number

    vae, names = load_vae(options), [*options.column, *options.class_column]
    table = InputRows(
        options.file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        columns=names,
    )
    given = table.filled()
    columns = {name: [row.values[place] for row in given] for place, name in enumerate(names)}
    columns |= {name: [as_number(value) for value in columns[name]] for name in options.column}
    columns |= {name: [as_label(value) for value in columns[name]] for name in options.class_column}
    found = vae.insight([str(row.text) for row in given], columns, progress=not options.json)
    rows = sorted(found["dimensions"], key=lambda row: (-(row["kl"] or 0), -row["variance"]))
    if not options.json:
        print(
            f"{'dim':>3}  {'KL':>5}  {'share':>5}  {'variance':>8}  goes with, and words at its low | high end"
        )
    print_records(rows, options.json, _format_dimension)
    if found["scores"] and not options.json:
        print("\n" + _SCORE_HEADER)
    print_records(found["scores"], options.json, _format_scores)


def _format_dimension(row: dict[str, Any]) -> str:
    """Show what a dimension does, associations that chance explains left out."""
    kl = "    —      —" if row["kl"] is None else f"{row['kl']:5.2f}  {row['kl_share']:5.1%}"
    sure = [_format_association(one) for one in row["associations"] if one["p_value"] < 0.01]
    ends = " | ".join(" ".join(row[end]) or "—" for end in ("low", "high"))
    return f"{row['dimension']:3}  {kl}  {row['variance']:8.3f}  {', '.join(sure) or '—'}\n{'':28}{ends}"


def _format_association(one: dict[str, Any]) -> str:
    """Show an association: with a number its sign, with classes those at the ends."""
    if one["measure"] == "spearman":
        return f"{one['column']} {one['value']:+.2f}"
    return f"{one['column']} {one['value']:.2f} ({one['low']} | {one['high']})"


def _format_scores(row: dict[str, Any]) -> str:
    """Show a factor's scores, or those of all."""
    cells = (
        f"{'' if row.get(key) is None else format(row[key], form):>{width}}"
        for key, width, form in _SCORE_COLUMNS
    )
    return f"{row['factor'][:15]:16}" + "".join(cells).rstrip()


COMMANDS: dict[str, Command] = {"traverse": _traverse, "insight": _insight}
