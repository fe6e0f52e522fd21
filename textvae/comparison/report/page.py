"""The report: one HTML file with everything in it, that opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from textvae.comparison.report.model_summary import SUMMARY_FILE, summarize_model
from textvae.comparison.report.pictures import (
    draw_latent_maps,
    draw_training_curves,
    draw_unit_bars,
)
from textvae.comparison.report.plots import REPORT_REQUIREMENTS, Picture, build_legend
from textvae.comparison.report.rate_distortion import draw_rate_distortion_pictures
from textvae.comparison.report.table import TABLE_COLUMNS, TableColumn, TableRow, build_cells
from textvae.comparison.runner import read_measures
from textvae.data.row_report import print_note
from textvae.errors import OutputError
from textvae.runs.run import Run
from textvae.runtime.extras import check_installed
from textvae.runtime.files import write_text
from textvae.vae import TextVAE
from textvae.version import __version__

_TABLE_NOTE = (
    "IW-NLL, −ELBO, reconstruction and KL in nats a sentence; MI: mutual information in nats, of at most its cap, "
    "over the whole set and in batches of 32; AU: active units; BLEU of reconstructions. Mean ± sample standard "
    "deviation over seeds; the best on a corpus is bold."
)


def render_comparison(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], failures: Sequence[str]
) -> str:
    """Return the report of a comparison."""
    records = [record for row in rows for record in row.records]
    singles = [
        TableRow(f"{record['config']} seed {record['seed']}", record["corpus"], [record])
        for record in records
    ]
    return _render_page(
        title="Comparison",
        columns=columns,
        rows=_pair_rows_with_cells(rows, columns),
        runs=_pair_rows_with_cells(singles, columns) if len(singles) > len(rows) else [],
        failures=failures,
        legend=build_legend([row.name for row in rows]),
        pictures=[*draw_rate_distortion_pictures(rows), *draw_training_curves(rows)],
        models=[
            _describe_model(row.name, row.measured[0], _portrait_of(row))
            for row in rows
            if row.measured
        ],
    )


def _render_run(
    run: Run, record: Mapping[str, Any], portrait: Mapping[str, Any], note: str = ""
) -> str:
    """Return the report of a single run with its portrait; `note` says what its measures are of."""
    name = run.folder.resolve().name
    row = TableRow(
        name,
        run.read_settings().data.corpus or "sentences given from Python",
        [{"reason": None, **record}],
    )
    known = [
        column for column in TABLE_COLUMNS if record.get(column.key) is not None
    ]  # a language model has no KL, say
    return _render_page(
        title=name,
        columns=known,
        rows=_pair_rows_with_cells([row], known),
        failures=[note] if note else [],
        legend=[],
        pictures=[*draw_rate_distortion_pictures([row]), *draw_training_curves([row])],
        models=[_describe_model(name, row.records[0], portrait)],
    )


def _pair_rows_with_cells(
    rows: Sequence[TableRow], columns: Sequence[TableColumn]
) -> list[tuple[str, Any]]:
    """Return the name and the cells of each row."""
    return list(zip([row.name for row in rows], build_cells(rows, columns), strict=True))


def _portrait_of(row: TableRow) -> dict[str, Any]:
    """Return the portrait that the first measured run of a row keeps."""
    return Run(Path(row.measured[0]["run"])).read_json(SUMMARY_FILE)


def _describe_model(
    name: str, record: Mapping[str, Any], portrait: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the page shows of one model: its portrait, and the settings it was trained with."""
    run = Run(Path(record["run"]))
    return {
        "name": name if "seed" not in record else f"{name}, seed {record['seed']}",
        "advice": [*record.get("findings", []), *record.get("advice", [])],
        "pictures": _draw_latent_pictures(portrait),
        "settings": yaml.safe_dump(run.read_settings().model_dump(mode="json"), sort_keys=False),
        **portrait,
    }


def _draw_latent_pictures(portrait: Mapping[str, Any]) -> list[Picture]:
    """Return the pictures of a latent: of a language model none, and no bars where there is only the whole KL."""
    if "points" not in portrait:
        return []
    bars = [draw_unit_bars(portrait)] if portrait["kl_by_dimension"] else []
    return [*draw_latent_maps(portrait), *bars]


def _render_page(**content: Any) -> str:
    """Fill the page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    )
    return template.render({"runs": [], "note": _TABLE_NOTE, "version": __version__, **content})


def write_report(run: Run, vae: TextVAE, output: str | None) -> dict[str, Any]:
    """Write the report of a run from what stands in its folder; return where it stands.

    A run that has not been evaluated is measured quickly.

    Raises:
        ConfigError: what draws is not installed.
        OutputError: there is no folder for the file, or it is named as no page is.
    """
    from textvae.evaluation.evaluate import evaluate_quick

    check_installed(*REPORT_REQUIREMENTS)
    file = Path(output) if output else run.folder / "report.html"
    if file.suffix not in (".html", ".htm"):  # a slip would overwrite a file of another kind
        raise OutputError(f"{file}: a report is a page; name a file that ends in .html.")
    if not file.parent.is_dir():
        raise OutputError(f"{file}: there is no folder {file.parent}; make it first.")
    record, note = {"run": str(run.folder), **read_measures(run.folder)}, ""
    if "elbo" not in record:
        record = {**record, **evaluate_quick(run, vae.bundle)}
        note = f"Quick measures of the validation split; all of them, on the test split: textvae evaluate {run.folder}"
        print_note(note)
    shown = run.read_json(SUMMARY_FILE)
    if not shown:
        shown = summarize_model(run, vae.bundle)
        run.update(SUMMARY_FILE, lambda _: shown)
    write_text(file, _render_run(run, record, shown, note))
    return {"file": str(file)}
