"""The verbs that show what the latent's dimensions do: `traverse`, `insight`."""

from argparse import Namespace
from typing import Any

from textvae.commands.basics import Command, Verbs, add_decoding, add_run, decoding, load, run_of, say

MOST = 10  # dimensions that are shown; --json has all


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    traverse = verbs.add_parser("traverse", help="write a sentence with other values of one dimension")
    add_run(traverse)
    traverse.add_argument("text", metavar="TEXT")
    traverse.add_argument("--dimension", type=int, required=True, metavar="D", help="of the latent, from 0")
    traverse.add_argument("--steps", type=int, default=7, help="sentences (default: 7)")
    traverse.add_argument("--reach", type=float, default=3.0, help="from minus to plus this value (default: 3)")
    add_decoding(traverse)
    insight = verbs.add_parser("insight", help="say what each dimension goes with")
    add_run(insight)
    insight.add_argument("file", metavar="FILE", help="sentences, or a table with columns beside them")
    insight.add_argument("--column", action="append", default=[], metavar="NAME", help="of numbers or labels; several")
    insight.add_argument("--text-column", metavar="NAME", help="of tables (default: as the run was trained)")


def traverse(options: Namespace) -> None:
    """Write a sentence with other values of one dimension."""
    given = decoding(options)
    records = load(options).traverse(options.text, options.dimension, options.steps, options.reach, **given)
    say(records, options.json, lambda seen: f"{seen['value']:6.2f}  {seen['text']}")


def insight(options: Namespace) -> None:
    """Say what each dimension goes with."""
    from textvae.labelled import read_columns

    column = options.text_column or run_of(options).settings.data.text_column
    texts, columns = read_columns(options.file, column, options.column)
    found = load(options).insight(texts, columns, progress=not options.json)
    if options.json:
        return say([found], True, str)
    for line in (*shown_dimensions(found["dimensions"][:MOST]), "", *shown_scores(found["disentanglement"])):
        print(line)
    return None


def shown_dimensions(records: list[dict[str, Any]]) -> list[str]:
    """Return the dimensions as lines."""
    names = list(records[0]["associations"])
    lines = ["dimension  variance  " + "  ".join(f"{name:>9.9}" for name in names) + "  words: low | high"]
    for record in records:
        values = "  ".join(f"{value:9.2f}" for value in record["associations"].values())
        words = " | ".join(" ".join(record[end]) for end in ("low", "high"))
        lines.append(f"{record['dimension']:9}  {record['variance']:8.2f}  {values}  {words}")
    return lines


def shown_scores(scores: dict[str, Any]) -> list[str]:
    """Return the scores of disentanglement as lines."""
    lines = ["column     best dimension    MIG    SAP  accuracy  chance"]
    for name, seen in scores["columns"].items():
        lines.append(
            f"{name:10.10} {seen['dimension']:14}  {seen['mig']:5.3f}  {seen['sap']:5.3f}     {seen['accuracy']:.3f}"
            f"   {seen['chance']:.3f}"
        )
    named = {"D": "dci_disentanglement", "C": "dci_completeness", "I": "dci_informativeness"}
    shown = "  ".join(f"{name} {scores[key]:.3f}" for name, key in named.items() if scores[key] is not None)
    return [*lines, f"DCI        {shown}"]


COMMANDS: dict[str, Command] = {"traverse": traverse, "insight": insight}
