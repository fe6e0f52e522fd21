"""Reports: one file that needs no network, of a comparison and of a single run."""

import json
import re
import shutil

import pytest

from textvae.cli.main import main
from textvae.comparison.report.model_summary import project_principal_components, summarize_model
from textvae.comparison.report.page import render_comparison
from textvae.comparison.report.pictures import draw_latent_maps
from textvae.comparison.report.table import TABLE_COLUMNS, group_rows
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run


@pytest.fixture(scope="module")
def reported(tiny_run, tmp_path_factory):
    """A run with its report."""
    folder = tmp_path_factory.mktemp("reported") / "run"
    shutil.copytree(
        tiny_run, folder, ignore=shutil.ignore_patterns("measures.json")
    )  # other tests may evaluate it
    assert main(["report", str(folder), "--device", "cpu"]) == 0
    return folder


def check_is_alone(page: str) -> None:
    """Nothing is fetched: no address, no script, no style sheet; all is closed."""
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "<script" not in page
    assert "<link" not in page
    assert "@import" not in page
    assert page.count("<svg") == page.count("</svg>") > 0
    assert "currentColor" in page
    assert "#123456" not in page


def test_a_report_of_a_run_stands_alone(reported):
    """With its pictures, sentences and settings; quick measures are called so where it was not evaluated."""
    page = (reported / "report.html").read_text()
    check_is_alone(page)
    assert page.count("<svg") == 7
    assert "Quick measures of the validation split" in page
    assert "From one test sentence to another" in page
    assert len(page) < 1_000_000


def test_a_report_goes_where_it_is_told(reported, tmp_path, capsys):
    """`--output FILE`; a folder that is not there is named."""
    assert main(["report", str(reported), "--output", str(tmp_path / "page.html"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "page.html")}
    assert main(["report", str(reported), "--output", str(tmp_path / "gone" / "page.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_report_overwrites_nothing_but_a_page(reported, tmp_path, capsys):
    """A slip of the keyboard must not cost a text file, nor the run's config."""
    for file in (tmp_path / "mine.txt", reported / "config.json"):
        file.exists() or file.write_text("precious")
        before = file.read_text()
        assert main(["report", str(reported), "--output", str(file)]) == 2
        assert "name a file that ends in .html" in capsys.readouterr().err
        assert file.read_text() == before


def test_a_report_of_a_run_that_cannot_be_written_goes_elsewhere(
    reported, tmp_path, monkeypatch, capsys
):
    """Its portrait is taken for this page alone, and a note says so."""
    run = shutil.copytree(reported, tmp_path / "run")
    (run / "portrait.json").unlink()

    def refuse(self, name, record):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Run, "write_json", refuse)
    assert (
        main(["report", str(run), "--output", str(tmp_path / "page.html"), "--device", "cpu"]) == 0
    )
    assert "portrait.json was not written: Permission denied" in capsys.readouterr().err
    assert "From one test sentence to another" in (tmp_path / "page.html").read_text()


def test_a_report_of_a_comparison_stands_alone(reported):
    """Names cannot break it; a language model is a line of the plane; what failed is said."""
    full = {
        "run": str(reported),
        "corpus": "a & b",
        "reason": None,
        "elbo": -32.0,
        "reconstruction": 30.0,
        "kl": 2.0,
    }
    records = [
        {**full, "config": "<script>", "seed": 1, "latent_dim": 4},
        {**full, "config": "<script>", "seed": 2, "latent_dim": 4, "kl": 3.0},
        {**full, "config": "lm", "seed": 1, "latent_dim": 0, "kl": 0.0},
        {"config": "lm", "corpus": "a & b", "seed": 2, "reason": "lost"},
    ]
    page = render_comparison(group_rows(records), TABLE_COLUMNS, ["lm seed 2 failed: lost"])
    check_is_alone(page)
    assert "&lt;script&gt;" in page
    assert "language model 32.0" in page
    assert "lm seed 2 failed: lost" in page


def test_a_portrait_is_what_the_model_does(tiny_run):
    """KL by dimension sums to the KL; a point and a length a sentence; sentences as the verbs write them."""
    run, bundle = Run(tiny_run), load_bundle(tiny_run, "cpu")
    shown = summarize_model(run, bundle)
    assert len(shown["points"]) == len(shown["words"]) == len(run.open_split("test"))
    assert len(shown["kl_by_dimension"]) == 4
    assert [before for before, _ in shown["reconstructions"]] == list(
        run.open_split("test")[:5]["text"]
    )
    assert len(shown["interpolation"]) == 7
    assert json.loads(json.dumps(shown)) == {
        **shown,
        "reconstructions": [list(x) for x in shown["reconstructions"]],
    }


def test_the_principal_plane_keeps_what_lies_in_a_plane():
    """Distances stay, for points that have two dimensions, turned and moved in five."""
    import torch

    torch.manual_seed(0)
    flat = torch.randn(30, 2) * torch.tensor([3.0, 1.0])
    turned = flat @ torch.linalg.qr(torch.randn(5, 5))[0][:2] + 7
    places, shares = project_principal_components(turned)
    torch.testing.assert_close(
        torch.cdist(places, places), torch.cdist(flat, flat).double(), atol=1e-3, rtol=0
    )
    assert sum(shares) == pytest.approx(1)
    assert project_principal_components(flat[:, :1])[0].shape == (30, 2)


def test_umaps_map_is_shown_where_there_is_one():
    """Beside that of the principal components, with the same colours."""
    points = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
    shown = {"points": points, "explained": [0.5, 0.3], "labels": None, "words": [3, 5, 9]}
    assert [picture.title for picture in draw_latent_maps(shown)] == ["map of the latent"]
    both = draw_latent_maps({**shown, "umap": points})
    assert [picture.title for picture in both] == [
        "map of the latent",
        "map of the latent's neighbourhoods",
    ]
    assert "UMAP 1" in both[1].svg
