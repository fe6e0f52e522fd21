"""The pages under docs/uses: every command and every Python example works, with a tiny run."""

import shutil
from typing import Any

import pytest

from tests.pages import ROOT, commands, examples, furnish, on_a_small_scale
from textvae.cli.main import main
from textvae.uses.fit_prior.fit import FITTED_PRIORS

PAGES = sorted((ROOT / "docs" / "uses").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_of_a_page_runs(page, tmp_path, tiny_run, labelled_run, monkeypatch):
    """The Python blocks share one namespace, as a reader's session does; the commands follow."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    shutil.copytree(labelled_run, tmp_path / "runs" / "labelled")
    monkeypatch.setattr("textvae.uses.fit_prior.base.TRAINING_STEPS", 100)
    for kind in FITTED_PRIORS.values():
        monkeypatch.setattr(kind, "min_sentences", 50)
    namespace: dict[str, Any] = {}
    for example in examples(page):
        exec(example, namespace)
    for command in commands(page):
        assert main(on_a_small_scale(command)) == 0, command
