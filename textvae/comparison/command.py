"""The command line of comparisons and reports: what it passes on, and where what it wrote stands."""

import re
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textvae.comparison.compare import compare, tell
from textvae.comparison.page import run_page
from textvae.comparison.plots import NEEDS
from textvae.comparison.portrait import PORTRAIT, portrait
from textvae.comparison.records import measures_of
from textvae.errors import OutputError
from textvae.extras import check_installed
from textvae.files import write_text
from textvae.run import Run
from textvae.vae import TextVAE

SETTING = re.compile(r"[a-z]\w*(\.\w+)+=")


def run_comparison(options: Namespace) -> list[dict[str, Any]]:
    """Compare what a command names; return a record a run."""
    configs, first = apart(options.configs)
    corpora, second = apart(options.corpora)
    return compare(
        configs,
        options.output,
        options.seeds,
        corpora,
        [*first, *second, *options.settings],
        options.samples,
        options.limit,
        options.columns,
        options.jobs,
        options.device,
    )


def apart(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the words that are no settings, and those that are: they may stand anywhere."""
    given = list(words)
    settings = [word for word in given if SETTING.match(word) and not Path(word).exists()]
    return [word for word in given if word not in settings], settings


def write_report(run: Run, vae: TextVAE, output: str | None) -> dict[str, Any]:
    """Write the report of a run from what stands in its folder; return where it stands.

    A run that has not been evaluated is measured quickly.

    Raises:
        ConfigError: what draws is not installed.
        OutputError: there is no folder for the file, or it is named as no page is.
    """
    from textvae.evaluation import quick_look

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
