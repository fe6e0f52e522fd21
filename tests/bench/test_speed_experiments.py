"""The experiments about speed run at tiny sizes on a CPU."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tests.tiny_run import write_corpus
from textvae.bench import case

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def load(name: str, monkeypatch):
    """Return an experiment as a module."""
    specification = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, name, module)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("corpus", "has_error"), [("corpus.txt", False), ("nowhere.txt", True)], ids=["works", "fails"]
)
def test_the_gpu_script_reports_each_part(corpus, has_error, tmp_path, monkeypatch, capsys):
    """A part that fails is reported, and the others go on."""
    monkeypatch.setattr(case, "MODEL_SIZES", dict(case.MODEL_SIZES))
    gpu = load("gpu", monkeypatch)
    write_corpus(tmp_path)
    options = ["--device", "cpu", "--tiny", "--seconds", "0.1", "--parts", "transformer", "encode"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options, "--corpus", str(tmp_path / corpus)])
    gpu.main()
    peak, *records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["part"] for record in records] == ["transformer", "encode", "encode"]
    assert peak["operations_per_second"] > 0
    assert [("error" in record) for record in records] == 3 * [has_error]


@pytest.mark.parametrize("work", ["train", "encode", "score", "index", "infill"])
def test_the_cost_of_each_work_is_measured(work, tmp_path, monkeypatch):
    """Time and memory are numbers from which an exponent can be computed."""
    cost = load("cost", monkeypatch)
    sizes = cost.Sizes(sentences=10, length=4, vocab=30, latent=4)
    seconds, megabytes = cost.measure(work, sizes)
    assert seconds > 0
    assert megabytes >= 0
    points = [cost.Point(work, "length", size, seconds * size, megabytes) for size in (1, 4)]
    assert cost.find_exponent(points) == pytest.approx(1)
