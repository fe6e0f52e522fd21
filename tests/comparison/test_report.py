"""HTML reports of a comparison and of a single run: each is one file that needs no network."""

import json
import re
import shutil
from typing import Any

import pytest
import torch

from textvae.cli.main import main
from textvae.comparison.report.model_summary import (
    SUMMARY_FILE,
    project_principal_components,
    summarize_model,
)
from textvae.comparison.report.page import render_comparison
from textvae.comparison.report.pictures import draw_latent_maps
from textvae.comparison.report.plots import create_axes, render_svg
from textvae.comparison.report.table import TABLE_COLUMNS, group_rows
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run


@pytest.fixture(scope="module")
def reported(tiny_run, tmp_path_factory):
    """Return a run with its report."""
    folder = tmp_path_factory.mktemp("reported") / "run"
    # Other tests may have evaluated the shared run; this report is of one without measures.
    shutil.copytree(tiny_run, folder, ignore=shutil.ignore_patterns("measures.json"))
    assert main(["report", str(folder), "--device", "cpu"]) == 0
    return folder


def check_is_self_contained(page: str) -> None:
    """Check that the page loads nothing (no address, script or style sheet) and has pictures."""
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "<script" not in page
    assert "<link" not in page
    assert "@import" not in page
    assert page.count("<svg") == page.count("</svg>") > 0
    assert "currentColor" in page
    assert "#123456" not in page


def test_a_report_of_a_run_is_self_contained(reported):
    """It has pictures, sentences and settings, and says if its measures are only quick ones."""
    page = (reported / "report.html").read_text()
    check_is_self_contained(page)
    assert page.count("<svg") == 7
    assert "Quick measures of the validation split" in page
    assert "From one test sentence to another" in page
    assert len(page) < 1_000_000


def test_a_report_does_not_mix_measures_of_two_splits(reported, tmp_path):
    """Without an ELBO of the test split, its other measures are left out, and texts say so."""
    folder = shutil.copytree(reported, tmp_path / "run")
    (folder / "measures.json").write_text(json.dumps({"sentences": 9, "bleu": 12.34}))
    assert main(["report", str(folder), "--device", "cpu"]) == 0
    page = (folder / "report.html").read_text()
    assert ">−ELBO</th>" in page
    assert ">BLEU</th>" not in page
    assert "validation split; one point per run" in page
    assert "test split; one point per run" not in page


def test_a_report_is_written_to_output(reported, tmp_path, capsys):
    """The record names the file; a missing folder is refused."""
    assert main(["report", str(reported), "--output", str(tmp_path / "page.html"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "page.html")}
    assert main(["report", str(reported), "--output", str(tmp_path / "gone" / "page.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_report_overwrites_nothing_but_a_page(reported, tmp_path, capsys):
    """A typing error must not cost a text file, nor the run's config."""
    (tmp_path / "mine.txt").write_text("precious")
    for file in (tmp_path / "mine.txt", reported / "config.json"):
        before = file.read_text()
        assert main(["report", str(reported), "--output", str(file)]) == 2
        assert "name a file that ends in .html" in capsys.readouterr().err
        assert file.read_text() == before


def test_a_report_of_a_read_only_run_can_be_written_elsewhere(
    reported, tmp_path, monkeypatch, capsys
):
    """The summary of its model is computed for this page alone, and a note says so."""
    run = shutil.copytree(reported, tmp_path / "run")
    page = tmp_path / "page.html"
    (run / SUMMARY_FILE).unlink()

    def refuse(self, name, record):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Run, "write_json", refuse)
    assert main(["report", str(run), "--output", str(page), "--device", "cpu"]) == 0
    assert "model_summary.json was not written: Permission denied" in capsys.readouterr().err
    assert "From one test sentence to another" in page.read_text()


def test_a_report_of_a_comparison_is_self_contained(reported):
    """Names are escaped; a language model is a line of the plane; failures are listed."""
    full = {
        "run": str(reported),
        "corpus": "a & b",
        "reason": None,
        "elbo": -32.0,
        "reconstruction": 30.0,
        "kl": 2.0,
    }
    records: list[dict[str, Any]] = [
        {**full, "config": "<script>", "seed": 1, "latent_dim": 4},
        {**full, "config": "<script>", "seed": 2, "latent_dim": 4, "kl": 3.0},
        {**full, "config": "lm", "seed": 1, "latent_dim": 0, "kl": 0.0},
        {"config": "lm", "corpus": "a & b", "seed": 2, "reason": "lost"},
    ]
    page = render_comparison(group_rows(records), TABLE_COLUMNS, ["lm seed 2 failed: lost"])
    check_is_self_contained(page)
    assert "&lt;script&gt;" in page
    assert "language model 32.0" in page
    assert "lm seed 2 failed: lost" in page


def test_a_model_summary_has_entries_for_the_test_sentences(tiny_run):
    """It has a point and a length of each, reconstructions of the first, and survives JSON."""
    run = Run(tiny_run)
    summary = summarize_model(run, load_bundle(tiny_run, "cpu"))
    assert len(summary["points"]) == len(summary["words"]) == len(run.open_split("test"))
    assert len(summary["kl_by_dimension"]) == 4
    originals = [original for original, _ in summary["reconstructions"]]
    assert originals == list(run.open_split("test")[:5]["text"])
    assert len(summary["interpolation"]) == 7
    pairs = [list(pair) for pair in summary["reconstructions"]]
    assert json.loads(json.dumps(summary)) == {**summary, "reconstructions": pairs}


def test_the_principal_plane_keeps_the_distances_of_points_in_a_plane():
    """The points have two dimensions, rotated and shifted in a space of five."""
    torch.manual_seed(0)
    flat = torch.randn(30, 2) * torch.tensor([3.0, 1.0])
    rotated = flat @ torch.linalg.qr(torch.randn(5, 5))[0][:2] + 7
    points, shares = project_principal_components(rotated)
    torch.testing.assert_close(
        torch.cdist(points, points), torch.cdist(flat, flat).double(), atol=1e-3, rtol=0
    )
    assert sum(shares) == pytest.approx(1)
    assert project_principal_components(flat[:, :1])[0].shape == (30, 2)


def test_the_map_of_umap_is_shown_if_there_is_one():
    """It comes after that of the principal components."""
    points = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
    summary = {"points": points, "explained": [0.5, 0.3], "labels": None, "words": [3, 5, 9]}
    assert [picture.title for picture in draw_latent_maps(summary)] == ["map of the latent"]
    both = draw_latent_maps({**summary, "umap": points})
    assert [picture.title for picture in both] == [
        "map of the latent",
        "map of the latent's neighborhoods",
    ]
    assert "UMAP 1" in both[1].svg


def test_the_description_of_a_picture_cannot_break_the_page():
    """Names of corpora may hold quotes and markup."""
    axes = create_axes("x", "y")
    axes.plot([0, 1], [0, 1])
    svg = render_svg(axes, 'a" onload="alert(1)<script>')
    assert 'aria-label="a&quot; onload=&quot;alert(1)&lt;script&gt;"' in svg
