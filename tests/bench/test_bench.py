"""Every benchmark runs on a small corpus and reports its speed and the machine."""

import json

import pytest

from tests.tiny_run import write_corpus
from textvae.bench import case
from textvae.bench.run import BENCHMARKS
from textvae.cli.main import main

SPEEDS = {
    "train": "tokens_per_second",
    "run": "share_of_steps",
    "decode": "tokens_per_second",
    "likelihood": "sentence_samples_per_second",
    "encode": "sentences_per_second",
}
COMMON_KEYS = {
    "benchmark",
    "size",
    "corpus",
    "machine",
    "threads",
    "torch",
    "transformers",
    "textvae",
}
FAST = ["--seconds", "0.2", "--device", "cpu"]


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    """Make the models of size B and T4 tiny, and batches small."""
    monkeypatch.setitem(case.MODEL_SIZES, "B", case.describe_lstm(8, 8))
    monkeypatch.setitem(case.MODEL_SIZES, "T4", case.describe_transformer(1, 8))
    monkeypatch.setattr(case, "_SENTENCES_PER_BATCH", 4)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_prints_one_object_with_its_speed_and_the_machine(name, tmp_path, capsys):
    """All speeds are above zero, and the record has the versions and the settings."""
    corpus = write_corpus(tmp_path)
    assert main(["bench", name, "--corpus", str(corpus), *FAST, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record.keys() > COMMON_KEYS
    assert SPEEDS[name] in record
    assert all(value > 0 for key, value in record.items() if "per_second" in key)
    assert record["peak_memory_mb"] >= record["memory_before_mb"] > 0


def test_transformers_are_measured_through_the_same_trainer(tmp_path, capsys):
    """Their kernels alone are linear layers, those of GPT-2 included."""
    corpus = write_corpus(tmp_path)
    arguments = ["bench", "train", "--size", "T4", "--corpus", str(corpus), *FAST, "--json"]
    assert main(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["kernels_alone_tokens_per_second"] > record["tokens_per_second"] > 0
    assert record["gradients_and_moments_mb"] == 3 * record["weights_mb"]


def test_without_json_a_benchmark_prints_a_markdown_table(tmp_path, capsys):
    """The table has one number per row."""
    corpus = write_corpus(tmp_path)
    assert main(["bench", "train", "--corpus", str(corpus), *FAST]) == 0
    table = capsys.readouterr().out
    assert "| tokens per second |" in table
    assert "| share of kernels alone |" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "--size", "C"], "size = 'C'"),
        (["train", "--seconds", "0"], "a finite number above zero"),
        (["train", "--corpus", "nowhere.txt"], "there is no such file"),
    ],
)
def test_wrong_input_gets_one_message_and_exit_code_2(arguments, message, capsys):
    """The message says what came, what was expected and how to fix it."""
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
