"""What is imported: no verb loads what it does not use, and wrong input is refused before torch is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from textvae.cli.checks import check_arguments
from textvae.cli.main import main
from textvae.cli.parser import build_parser
from textvae.runtime import extras

# What one sentence does not need. `import torch` and transformers' own model classes import
# neither; sklearn and scipy, if they are installed, may come with transformers.
NOT_FOR_A_SENTENCE = {
    "datasets",
    "faiss",
    "fsspec.core",
    "gradio",
    "matplotlib",
    "multiprocess",
    "onnx",
    "optuna",
    "pandas",
    "peft",
    "pyarrow",
    "ray",
    "sacrebleu",
    "tensorboard",
    "textvae.bulk.work",
    "textvae.data.corpus",
    "textvae.evaluation.evaluate",
    "textvae.training.train",
    "transformers.trainer",
}

REFUSED = [
    ["generate", "{missing}"],
    ["generate", "{empty}"],
    ["generate", "{run}", "-n", "0"],
    ["generate", "{run}", "--temperature", "-1"],
    ["generate", "{run}", "--device", "gpu"],
    ["generate", "{run}", "--tempratur", "1"],
    ["score", "{run}", "{missing}.txt"],
    ["score", "{run}", "{run}/README.md", "--separator", ""],
    ["evaluate", "{run}", "--samples", "0"],
    ["train", "{missing}.txt"],
    ["train", "captions", "--init", "{missing}"],
    ["train", "captions", "training.epoch=3"],
    ["train", "captions", "trainign.epochs=3"],
    ["train", "captions", "num_train_epochs=3"],
    ["train", "captions", "training.steps=0"],
    ["train", "captions", "--preset", "faithful", "training.step=3"],
    ["train", "captions", "--config", "quickstart", "training.push_to_hub=maybe"],
    ["train", "captions", "--preset", "pretrained", "model.encoder.kind=lstm"],  # no network
    ["compare", "quickstart", "ptb/default", "training.epoch=3", "--output", "{missing}"],
    ["tune", "captions", "--output", "{missing}", "training.keep=first"],
    ["finish", "{missing}"],
    ["tune", "{missing}.txt", "--output", "{missing}"],
    ["compare", "{missing}.yaml", "--output", "{missing}"],
    ["explore", "{missing}"],
    ["push", "{run}", "a b"],
]


@pytest.fixture(autouse=True)
def _without_network(monkeypatch, tmp_path):
    """Nothing is downloaded, and the cache is empty."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))


def run_commands(*commands: list[str]) -> tuple[list[str], set[str], str]:
    """Run commands in one new process.

    Returns:
        their exit codes, the modules that they have imported, and what they printed on
        standard error.
    """
    code = (
        "import contextlib, io, json, sys\n"
        "from textvae.cli.main import main\n"
        "codes = []\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        try:\n"
        "            codes.append(main(command))\n"
        "        except SystemExit as stop:\n"
        "            codes.append(stop.code)\n"
        "print(*codes)\n"
        "print(*sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=True,
    )
    codes, modules = shown.stdout.splitlines()
    return codes.split(), set(modules.split()), shown.stderr


def test_one_sentence_imports_only_what_it_needs(tiny_run):
    """Bulk work, corpora, training and the optional packages stay out."""
    command = ["generate", str(tiny_run), "-n", "1", "--device", "cpu"]
    codes, modules, _ = run_commands(command)
    assert codes == ["0"]
    assert "torch" in modules
    assert not NOT_FOR_A_SENTENCE & modules


def test_wrong_input_is_refused_before_torch_is_imported(tiny_run, tmp_path):
    """Each of these commands ends in a fraction of the time that torch takes to import."""
    places = {"missing": tmp_path / "missing", "empty": tmp_path, "run": tiny_run}
    commands = [[word.format(**places) for word in command] for command in REFUSED]
    codes, modules, messages = run_commands(*commands)
    assert codes == ["2"] * len(commands)
    assert not {"torch", "transformers", "datasets", "numpy", "pandas"} & modules
    lines = messages.splitlines()
    assert len(lines) == len(commands)
    for command, line in zip(commands, lines, strict=True):
        assert line.startswith(f"textvae {command[0]}: ")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["index", "{run}", "{file}"], "neighbors"),
        (["neighbors", "{run}", "a man"], "neighbors"),
        (["insight", "{run}", "{file}"], "insight"),
        (["attribute", "fit", "{run}", "{file}", "--name", "mood"], "insight"),
        (["prior", "fit", "{run}"], "insight"),
        (["report", "{run}"], "report"),
        (["compare", "{file}", "--output", "{file}-runs"], "report"),
        (["score", "{run}", "{file}", "--output", "{file}-shards", "--engine", "ray"], "ray"),
        (["evaluate", "{run}", "--measures", "mauve"], "mauve"),
    ],
)
def test_a_missing_package_is_refused_before_any_work(
    arguments, extra, tiny_run, tmp_path, monkeypatch, capsys
):
    """The message is the command that installs the extra."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    monkeypatch.setattr("textvae.cli.main.import_verb", None)  # no verb is executed
    file = tmp_path / "sentences.txt"
    file.write_text("a man\n")
    words = [word.format(run=tiny_run, file=file) for word in arguments]
    assert main(words) == 2
    message = capsys.readouterr().err
    assert f"which is not installed: pip install 'textvae[{extra}]'" in message
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["sentences.txt"]


def test_a_prior_that_needs_no_package_is_fitted_without_it(tiny_run, monkeypatch):
    """Only the mixture of Gaussians is fitted by scikit-learn."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    options = build_parser().parse_args(["prior", "fit", str(tiny_run), "--kind", "flow"])
    check_arguments(options)
