"""The experiments about speed run at tiny sizes on a CPU."""

import json
import sys

import pytest
import torch

from tests.experiments import load_experiment
from tests.tiny_run import write_corpus
from textvae.bench import case


@pytest.mark.parametrize(
    ("corpus", "has_error"), [("corpus.txt", False), ("nowhere.txt", True)], ids=["works", "fails"]
)
def test_the_gpu_script_reports_each_part(corpus, has_error, tmp_path, monkeypatch, capsys):
    """A part that fails is reported, and the others go on."""
    monkeypatch.setattr(case, "MODEL_SIZES", dict(case.MODEL_SIZES))
    gpu = load_experiment("gpu", monkeypatch)
    write_corpus(tmp_path)
    options = ["--device", "cpu", "--tiny", "--seconds", "0.1", "--parts", "transformer", "encode"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options, "--corpus", str(tmp_path / corpus)])
    gpu.main()
    peak, *records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["part"] for record in records] == ["transformer", "encode", "encode"]
    assert peak["operations_per_second"] > 0
    assert [("error" in record) for record in records] == 3 * [has_error]


def test_the_gpu_script_runs_every_benchmark_of_both_sizes(tmp_path, monkeypatch, capsys):
    """Every record has numbers, and no error."""
    monkeypatch.setattr(case, "MODEL_SIZES", dict(case.MODEL_SIZES))
    gpu = load_experiment("gpu", monkeypatch)
    write_corpus(tmp_path)
    options = ["--device", "cpu", "--tiny", "--seconds", "0.1", "--parts", *gpu.BENCHMARKS]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options, "--corpus", str(tmp_path / "corpus.txt")])
    gpu.main()
    _, *records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["part"] for record in records] == 2 * list(gpu.BENCHMARKS)
    assert not [record for record in records if "error" in record]


# Not "compare", which takes most of a minute.
@pytest.mark.parametrize(
    "work", ["train", "train-transformer", "encode", "score", "index", "infill"]
)
def test_the_cost_of_each_work_is_measured(work, tmp_path, monkeypatch):
    """Time and memory are numbers from which an exponent can be computed."""
    cost = load_experiment("cost", monkeypatch)
    sizes = cost.Sizes(sentences=10, length=4, vocab=30, latent=4)
    seconds, megabytes = cost.measure(work, sizes)
    assert seconds > 0
    assert megabytes >= 0
    points = [cost.Point(work, "length", size, seconds * size, megabytes) for size in (1, 4)]
    assert cost.find_exponent(points) == pytest.approx(1)


def test_the_exports_of_a_run_are_measured(tiny_run, monkeypatch, capsys):
    """A row for each precision; in single precision, the texts are those of the run."""
    pytest.importorskip("onnxruntime")
    export_speed = load_experiment("export_speed", monkeypatch)
    monkeypatch.setattr(export_speed, "TIMED", 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    options = ["--sentences", "2", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["export_speed.py", str(tiny_run), *options])
    try:
        export_speed.main()
    finally:
        torch.set_num_threads(threads)
    _, _, exact, rounded = capsys.readouterr().out.splitlines()
    assert exact.startswith("| float32 | ")
    assert "| 2 of 2 |" in exact
    assert rounded.startswith("| 8 bits | ")
