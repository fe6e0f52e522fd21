"""The report: one HTML file with everything in it, that opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from textvae.comparison.report.model_summary import PORTRAIT, portrait
from textvae.comparison.report.pictures import latent_maps, training_curves, unit_bars
from textvae.comparison.report.plots import NEEDS, Picture, legend_of
from textvae.comparison.report.rate_distortion import planes
from textvae.comparison.report.table import COLUMNS, Column, Row, cells
from textvae.comparison.runner import measures_of
from textvae.data.row_report import tell
from textvae.errors import OutputError
from textvae.runs.run import Run
from textvae.runtime.extras import check_installed
from textvae.runtime.files import write_text
from textvae.vae import TextVAE
from textvae.version import __version__

NOTE = (
    "IW-NLL, −ELBO, reconstruction and KL in nats a sentence; MI: mutual information in nats, of at most its cap, "
    "over the whole set and in batches of 32; AU: active units; BLEU of reconstructions. Mean ± sample standard "
    "deviation over seeds; the best on a corpus is bold."
)


def comparison_page(rows: Sequence[Row], columns: Sequence[Column], failures: Sequence[str]) -> str:
    """Return the report of a comparison."""
    records = [record for row in rows for record in row.records]
    singles = [Row(f"{record['config']} seed {record['seed']}", record["corpus"], [record]) for record in records]
    return render(
        title="Comparison",
        columns=columns,
        rows=lines_of(rows, columns),
        runs=lines_of(singles, columns) if len(singles) > len(rows) else [],
        failures=failures,
        legend=legend_of([row.name for row in rows]),
        pictures=[*planes(rows), *training_curves(rows)],
        models=[model_of(row.name, row.measured[0], portrait_of(row)) for row in rows if row.measured],
    )


def run_page(run: Run, record: Mapping[str, Any], portrait: Mapping[str, Any], note: str = "") -> str:
    """Return the report of a single run with its portrait; `note` says what its measures are of."""
    name = run.folder.resolve().name
    row = Row(name, run.settings.data.corpus or "sentences given from Python", [{"reason": None, **record}])
    known = [column for column in COLUMNS if record.get(column.key) is not None]  # a language model has no KL, say
    return render(
        title=name,
        columns=known,
        rows=lines_of([row], known),
        failures=[note] if note else [],
        legend=[],
        pictures=[*planes([row]), *training_curves([row])],
        models=[model_of(name, row.records[0], portrait)],
    )


def lines_of(rows: Sequence[Row], columns: Sequence[Column]) -> list[tuple[str, Any]]:
    """Return the name and the cells of each row."""
    return list(zip([row.name for row in rows], cells(rows, columns), strict=True))


def portrait_of(row: Row) -> dict[str, Any]:
    """Return the portrait that the first measured run of a row keeps."""
    return Run(Path(row.measured[0]["run"])).read(PORTRAIT)


def model_of(name: str, record: Mapping[str, Any], portrait: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of one model: its portrait, and the settings it was trained with."""
    run = Run(Path(record["run"]))
    return {
        "name": name if "seed" not in record else f"{name}, seed {record['seed']}",
        "advice": [*record.get("findings", []), *record.get("advice", [])],
        "pictures": pictures_of(portrait),
        "settings": yaml.safe_dump(run.settings.model_dump(mode="json"), sort_keys=False),
        **portrait,
    }


def pictures_of(portrait: Mapping[str, Any]) -> list[Picture]:
    """Return the pictures of a latent: of a language model none, and no bars where there is only the whole KL."""
    if "points" not in portrait:
        return []
    bars = [unit_bars(portrait)] if portrait["kl_by_dimension"] else []
    return [*latent_maps(portrait), *bars]


def render(**content: Any) -> str:
    """Fill the page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    return template.render({"runs": [], "note": NOTE, "version": __version__, **content})


def write_report(run: Run, vae: TextVAE, output: str | None) -> dict[str, Any]:
    """Write the report of a run from what stands in its folder; return where it stands.

    A run that has not been evaluated is measured quickly.

    Raises:
        ConfigError: what draws is not installed.
        OutputError: there is no folder for the file, or it is named as no page is.
    """
    from textvae.evaluation.evaluate import quick_look

    check_installed(*NEEDS)
    file = Path(output) if output else run.folder / "report.html"
    if file.suffix not in (".html", ".htm"):  # a slip would overwrite a file of another kind
        raise OutputError(f"{file}: a report is a page; name a file that ends in .html.")
    if not file.parent.is_dir():
        raise OutputError(f"{file}: there is no folder {file.parent}; make it first.")
    record, note = {"run": str(run.folder), **measures_of(run.folder)}, ""
    if "elbo" not in record:
        record = {**record, **quick_look(run, vae.bundle)}
        note = f"Quick measures of the validation split; all of them, on the test split: textvae evaluate {run.folder}"
        tell(note)
    shown = run.read(PORTRAIT)
    if not shown:
        shown = portrait(run, vae.bundle)
        run.update(PORTRAIT, lambda _: shown)
    write_text(file, run_page(run, record, shown, note))
    return {"file": str(file)}
