"""The verb `export`."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_verb,
    require_extra,
)
from textvae.cli.loading import load_vae
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import ExportSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    export = add_verb(verbs, "export", "write a run as files or a web page that work without torch")
    add_run(export)
    require_extra(export, "export", "ONNX files", "onnx")
    add_label(export)
    export.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="folder to write; it must not exist yet, except with --overwrite",
    )
    add_settings(export, ExportSettings)


def _export(options: Namespace) -> None:
    """Write a run to a folder that needs no torch."""
    vae = load_vae(options)
    record = vae.export(options.output, **collect_settings(options, ExportSettings))
    print_records([record], options.json, _format_export)


def _format_export(record: Mapping[str, Any]) -> str:
    """Return sizes and notes of an export, and how to use it."""
    folder = record["folder"]
    megabytes = record["total_bytes"] / 1e6
    command = f"python {folder}/textvae_runner.py generate -n 3"
    if record["format"] == "page":
        command = f"python -m http.server --directory {folder}"
    lines = [f"{folder}: {megabytes:.1f} MB; next: {command}"]
    lines += [f"note: {note}" for note in record["notes"]]
    return "\n".join(lines)


COMMANDS: dict[str, Command] = {"export": _export}
