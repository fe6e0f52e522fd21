"""The report: a self-contained HTML file that needs no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from textvae.comparison.report.model_summary import SUMMARY_FILE, summarize_model
from textvae.comparison.report.pictures import (
    draw_kl_bars,
    draw_latent_maps,
    draw_training_curves,
)
from textvae.comparison.report.plots import Picture
from textvae.comparison.report.rate_distortion import draw_rate_distortion_pictures
from textvae.comparison.report.remarks import describe_measures
from textvae.comparison.report.table import TABLE_COLUMNS, TableColumn, TableRow, build_cells
from textvae.comparison.runner import read_measures, read_training
from textvae.errors import OutputError
from textvae.messages import print_note
from textvae.runs.run import Run
from textvae.runtime.extras import REPORT_REQUIREMENTS, check_installed
from textvae.runtime.files import write_text
from textvae.runtime.paths import require_path
from textvae.vae import TextVAE
from textvae.version import __version__

_TABLE_NOTE = (
    "IW-NLL, −ELBO, reconstruction and KL are in nats per sentence, with the KL at weight 1. "
    "Looseness: how far the IW-NLL is above −log p(x), estimated in nats; 0 if it is exact. "
    "ESS: median effective sample size of the importance weights / samples. "
    "KL weight: the factor by which the KL counted in the loss at the end of training. "
    "MI: mutual information in nats / its upper bound, over the whole split and in batches of 32; "
    "≥: within a nat of that bound, so that the true value may be far above it. "
    "AU: active units, at a variance of 0.01 and of 0.1. Effective units: how many equally "
    "informative units would be spread as these are. "
    "BLEU is that of reconstructions. Cells are the mean ± sample standard deviation over seeds; "
    "the best value on a corpus is bold."
)


def render_comparison(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], remarks: Sequence[str]
) -> str:
    """Return the HTML report of a comparison.

    Args:
        remarks: lines below the table, such as one for each run that failed.
    """
    single_runs = [
        TableRow(f"{record['config']} seed {record['seed']}", record["corpus"], [record])
        for row in rows
        for record in row.records
    ]
    run_lines = []
    # With one seed, a table of all runs would repeat the first table.
    if len(single_runs) > len(rows):
        run_lines = _pair_rows_with_cells(single_runs, columns)
    models = []
    for row in rows:
        if row.finished_records:
            record = row.finished_records[0]
            summary = Run(Path(record["run"])).read_json(SUMMARY_FILE)
            models.append(_describe_model(row.name, record, summary))
    return _render_page(
        title="Comparison",
        columns=columns,
        rows=_pair_rows_with_cells(rows, columns),
        runs=run_lines,
        remarks=remarks,
        pictures=[*draw_rate_distortion_pictures(rows), *draw_training_curves(rows)],
        models=models,
    )


def write_report(run: Run, vae: TextVAE, output: str | None) -> dict[str, Any]:
    """Write the HTML report of one run, and return a record with its `file`.

    If the run has no ELBO of its test split, the report shows quick measures of its validation
    split, and none of the test split, because the two must not be in one row.

    Args:
        output: the file to write; by default `report.html` in the run folder.

    Raises:
        ConfigError: matplotlib or Jinja2 is not installed.
        OutputError: the file's folder does not exist, or its name does not end in .html.
    """
    from textvae.evaluation.evaluate import evaluate_quick

    check_installed(*REPORT_REQUIREMENTS)
    file = run.folder / "report.html" if output is None else require_path(output, "output")
    # A mistyped name must not overwrite a file of another kind.
    if file.suffix not in (".html", ".htm"):
        raise OutputError(f"{file}: a report is an HTML page; name a file that ends in .html.")
    if not file.parent.is_dir():
        raise OutputError(f"{file}: there is no folder {file.parent}; create it first.")
    record = {"run": str(run.folder), "reason": None, **read_measures(run.folder)}
    note = ""
    split = "test"
    if "elbo" not in record:
        quick = evaluate_quick(run, vae.bundle)
        record = {"run": str(run.folder), "reason": None, **read_training(run.folder), **quick}
        split = "validation"
        note = (
            "Quick measures of the validation split. For all measures, of the test split, run: "
            f"textvae evaluate {run.folder}"
        )
        print_note(note)
    write_text(file, _render_run(run, record, _load_summary(run, vae), split, note))
    return {"file": str(file)}


def _load_summary(run: Run, vae: TextVAE) -> dict[str, Any]:
    """Return the summary of a run's model from its folder, or compute and save it."""
    summary = run.read_json(SUMMARY_FILE)
    if not summary:
        summary = summarize_model(run, vae.bundle)
        run.update(SUMMARY_FILE, lambda _: summary)
    return summary


def _render_run(
    run: Run, record: Mapping[str, Any], summary: Mapping[str, Any], split: str, note: str
) -> str:
    """Return the HTML report of a single run.

    Args:
        record: the run's folder as `run`, a `reason` of None, and the measures.
        summary: what `summarize_model` returned.
        split: the name of the split that was measured.
        note: shown below the table if it is not empty; it says what was measured.
    """
    name = run.folder.resolve().name
    corpus = run.read_settings().data.corpus or "sentences passed from Python"
    row = TableRow(name, corpus, [record])
    remarks = [note] if note else []
    remarks += describe_measures([row])
    # Columns of undefined measures are left out: a language model, for example, has no KL.
    columns = [column for column in TABLE_COLUMNS if record.get(column.key) is not None]
    return _render_page(
        title=name,
        columns=columns,
        rows=_pair_rows_with_cells([row], columns),
        remarks=remarks,
        pictures=[*draw_rate_distortion_pictures([row], split), *draw_training_curves([row])],
        models=[_describe_model(name, row.records[0], summary)],
    )


def _pair_rows_with_cells(
    rows: Sequence[TableRow], columns: Sequence[TableColumn]
) -> list[tuple[str, Any]]:
    """Return the name of each row with its cells."""
    names = [row.name for row in rows]
    return list(zip(names, build_cells(rows, columns), strict=True))


def _describe_model(
    name: str, record: Mapping[str, Any], summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the page shows of one model: its summary, pictures, advice and settings.

    Args:
        name: the heading, to which the seed is added if the record has one.
        record: the record of the model's run.
        summary: what `summarize_model` returned.
    """
    run = Run(Path(record["run"]))
    return {
        "name": f"{name}, seed {record['seed']}" if "seed" in record else name,
        "advice": [*record.get("findings", []), *record.get("advice", [])],
        "pictures": _draw_latent_pictures(summary),
        "settings": yaml.safe_dump(run.read_settings().model_dump(mode="json"), sort_keys=False),
        **summary,
    }


def _draw_latent_pictures(summary: Mapping[str, Any]) -> list[Picture]:
    """Return the pictures of a model's latent; none for a language model."""
    if "points" not in summary:
        return []
    pictures = draw_latent_maps(summary)
    # The KL of some posteriors does not split into dimensions.
    if summary["kl_by_dimension"]:
        pictures.append(draw_kl_bars(summary))
    return pictures


def _render_page(**content: Any) -> str:
    """Return the page.

    Args:
        content: the variables of page.html; `runs` may be left out.
    """
    from jinja2 import Environment, StrictUndefined

    # Autoescape: names of configs and sentences of a corpus must not act as HTML.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    template = environment.from_string(source)
    return template.render({"runs": [], "note": _TABLE_NOTE, "version": __version__, **content})
