"""Comparisons: what is trained, what is not repeated, what is refused, what is written."""

import csv
import io
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import textvae
from tests.tiny_run import SENTENCES, SETTINGS, write_corpus
from textvae.cli.main import main
from textvae.comparison.folder import lock_comparison_folder
from textvae.comparison.matrix import Trial, build_trials
from textvae.comparison.runner import find_failure_reason, is_measured, list_commands
from textvae.errors import ConfigError, OutputError
from textvae.messages import LOGGER
from textvae.runs.run import Run
from textvae.training.trainer import VAETrainer
from textvae.uses.records import ComparedRun

pytestmark = pytest.mark.xdist_group("compare")  # one process makes the comparisons of all tests

EVALUATION_OPTIONS = ["--samples", "3", "--limit", "4"]


class Compared(NamedTuple):
    """A finished comparison.

    Attributes:
        trial: its run that was interrupted and resumed.
        config: the config of that run.
        command: the arguments that ran the comparison.
        written: the text of the files in its folder, by name.
    """

    folder: Path
    trial: Trial
    config: str
    command: list[str]
    written: dict[str, str]


def write_config(file, corpus, **training) -> str:
    """Write a tiny config; return its name."""
    data = {**SETTINGS["data"], "corpus": str(corpus)}
    training = {**SETTINGS["training"], **training}
    file.write_text(yaml.safe_dump({**SETTINGS, "data": data, "training": training}))
    return str(file)


def interrupt_training(trial) -> None:
    """Start a run and interrupt it at its second evaluation; the first left a checkpoint."""
    evaluate = VAETrainer.evaluate_quick
    evaluations = []

    def interrupted(trainer):
        evaluations.append(trainer)
        if len(evaluations) == 2:
            raise KeyboardInterrupt
        return evaluate(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VAETrainer, "evaluate_quick", interrupted)
        with pytest.raises(KeyboardInterrupt):
            textvae.train(
                output=trial.folder, config=trial.config, overrides=trial.overrides, device="cpu"
            )


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Return a comparison of a run that was interrupted before, and of one that must fail."""
    folder = tmp_path_factory.mktemp("compared")
    output = folder / "out"
    (folder / "few.txt").write_text("a man.\na dog.\na horse.\n")
    good = write_config(folder / "good_one.yaml", write_corpus(folder), evaluations=4)
    poor = write_config(folder / "poor_one.yaml", folder / "few.txt")
    (trial,) = build_trials([good], [], 1, [], output)
    with lock_comparison_folder(output, [trial]):
        interrupt_training(trial)
    options = ["--output", str(output), "--seeds", "1", "--device", "cpu", *EVALUATION_OPTIONS]
    command = ["compare", good, poor, *options]
    assert main([*command, "--columns", "bits_per_byte", "--jobs", "2"]) == 1
    written = {file.name: file.read_text() for file in output.iterdir() if file.is_file()}
    return Compared(output, trial, good, command, written)


@pytest.fixture(scope="module")
def records(compared):
    """Return the records of the two runs."""
    return json.loads(compared.written["runs.json"])


def test_a_run_that_fails_is_reported_and_the_others_are_finished(compared, records):
    """Its reason is our own error message; it has no measures; the exit code was 1."""
    good, poor = records
    assert good["reason"] is None
    assert good["iw_samples"] == 3
    assert good["sentences"] == 4
    assert "only 3 sentences to train on" in poor["reason"]
    assert "elbo" not in poor
    assert "poor_one seed 1 failed: train: " in compared.written["table.md"]


def test_the_records_have_the_fields_of_their_type(records):
    """The types of a few values are checked too, since JSON keeps them."""
    good, poor = records
    assert set(poor) == {"config", "corpus", "seed", "run", "reason"}
    assert set(poor) <= set(good) <= set(ComparedRun.__annotations__)
    assert set(ComparedRun.__required_keys__) == set(poor)


def test_an_interrupted_run_continues_from_its_checkpoint(compared):
    """Its log has only the evaluations that were still to come."""
    output = compared.trial.log_file.read_text()
    training = json.loads((compared.trial.folder / "training.json").read_text())
    assert {3, 6, 9, 12} <= {entry["step"] for entry in training["history"]}
    assert "step 12: validation" in output
    assert "step 3: validation" not in output


def test_the_same_command_repeats_nothing(compared, capsys):
    """No file of a finished run changes; other evaluation options do not train it again."""
    trial = compared.trial
    files = {file: file.stat().st_mtime_ns for file in trial.folder.rglob("*")}
    assert main([word for word in compared.command if "poor" not in word]) == 0
    assert "1 runs, 1 of them done before" in capsys.readouterr().err
    assert files == {file: file.stat().st_mtime_ns for file in trial.folder.rglob("*")}
    assert [verb for verb, *_ in list_commands(trial, 5, 4, None)] == ["evaluate"]


def test_an_existing_run_is_not_mixed_with_other_settings(compared):
    """The first setting that differs is named; more seeds may be added."""
    message = r"good_one seed 1 was started with training.steps = 12, not 13"
    with pytest.raises(OutputError, match=message):
        textvae.compare(
            [compared.config],
            compared.folder,
            seeds=1,
            overrides=["training.steps=13"],
            device="cpu",
        )
    first, second = build_trials([compared.config], [], 2, [], compared.folder)
    assert list_commands(first, 3, 4, None) == []
    assert list_commands(second, 3, 4, None) != []


@pytest.mark.parametrize("record", ["{}", "[1, 2]", '{"sales": {"2024": 3}}', "{", "null"])
def test_a_comparison_json_of_somebody_else_is_not_overwritten(compared, tmp_path, record):
    """Nothing else is written into its folder either."""
    (tmp_path / "comparison.json").write_text(record)
    with pytest.raises(OutputError, match="choose another --output"):
        textvae.compare([compared.config], tmp_path, seeds=1, device="cpu")
    assert [file.name for file in tmp_path.iterdir()] == ["comparison.json"]
    assert (tmp_path / "comparison.json").read_text() == record


def test_the_csv_of_the_runs_equals_their_records(compared, records):
    """Numbers keep all digits."""
    lines = list(csv.DictReader(io.StringIO(compared.written["runs.csv"])))
    assert [line["reason"] for line in lines] == [record["reason"] or "" for record in records]
    for key in ("iw_nll", "kl", "minutes", "mi_full"):
        assert float(lines[0][key]) == records[0][key]
        assert lines[1][key] == ""
    (summary, failed) = csv.DictReader(io.StringIO(compared.written["table.csv"]))
    assert float(summary["bits_per_byte"]) == records[0]["bits_per_byte"]
    assert (summary["iw_nll_std"], failed["iw_nll"], failed["failed"]) == ("", "", "1")
    assert math.isclose(float(summary["elbo"]), records[0]["elbo"])


def test_a_worker_ends_when_its_parent_is_gone(tmp_path):
    """Otherwise a killed comparison would go on training, next to the one that continues it."""
    run = str(tmp_path / "run")
    endless = json.dumps([["train", "captions", "--output", run, "training.steps=1000000"]])
    worker = [sys.executable, "-m", "textvae.cli.compare_worker", endless]
    assert subprocess.run(worker, input=b"", check=False, timeout=60).returncode == 3


def test_a_run_with_a_few_measures_alone_is_not_taken_for_evaluated(tiny_run, tmp_path):
    """Its row of the table would lack the others."""
    shutil.copytree(tiny_run, tmp_path / "run")
    run = Run(tmp_path / "run")
    textvae.TextVAE.from_pretrained(run.folder, device="cpu").evaluate(measures=["token_accuracy"])
    assert not is_measured(run, 7, None)
    textvae.TextVAE.from_pretrained(run.folder, device="cpu").evaluate(samples=7)
    assert is_measured(run, 7, None)
    assert not is_measured(run, 8, None)
    fitted = textvae.MeasureSettings(fit_proposal=True)
    textvae.TextVAE.from_pretrained(run.folder, device="cpu").evaluate(samples=7, settings=fitted)
    assert not is_measured(run, 7, None)


def test_the_reason_of_a_crash_is_its_last_line(tmp_path):
    """Our own error message comes first; output of earlier attempts does not count."""
    log = tmp_path / "seed-1.log"
    log.write_text("textvae train: an old reason\nTraceback\nMemoryError: too much\n")
    offset = len("textvae train: an old reason\n")
    assert find_failure_reason(1, log, offset) == "MemoryError: too much"
    assert find_failure_reason(2, log, 0) == "train: an old reason"
    killed = "its process was ended by SIGKILL (was there not enough memory?)"
    assert find_failure_reason(-9, log, 0) == killed


def test_two_pairs_that_give_one_name_are_refused(tmp_path):
    """Config a with corpus b-c and config a-b with corpus c would share the folder a-b-c."""
    for name in ("b-c.txt", "c.txt"):
        (tmp_path / name).write_text("\n".join(SENTENCES) + "\n")
    configs = [tmp_path / "a.yaml", tmp_path / "a-b.yaml"]
    for config in configs:
        config.write_text("model: {latent_dim: 4}\n")
    corpora = [str(tmp_path / "b-c.txt"), str(tmp_path / "c.txt")]
    with pytest.raises(ConfigError, match="two of the rows are called 'a-b-c'"):
        build_trials(configs, corpora, 1, [], tmp_path / "out")


@pytest.mark.parametrize(("seed", "is_noted"), [(7, True), (2, False)])
def test_a_seed_that_a_comparison_does_not_use_is_noted(
    tmp_path, caplog, monkeypatch, seed, is_noted
):
    """The settings of a finished run have a seed, so it cannot be refused."""
    corpus, config = tmp_path / "corpus.txt", tmp_path / "a.yaml"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    config.write_text(f"training: {{seed: {seed}}}\n")
    monkeypatch.setattr(LOGGER, "propagate", True)
    with caplog.at_level("INFO", "textvae"):
        trials = build_trials([config], [str(corpus)], 3, [], tmp_path / "out")
    assert [trial.settings["training"]["seed"] for trial in trials] == [1, 2, 3]
    assert ("training.seed = 7, which is not used" in caplog.text) == is_noted


REFUSED = {
    "two configs of one name": (["a.yaml", "b/a.yaml"], "two of the configs are called 'a'"),
    "a missing config": (["gone.yaml"], "gone.yaml: there is no such file"),
    "no seeds": (["a.yaml", "--seeds", "0"], "compare.seeds = 0 does not fit"),
    "no samples": (["a.yaml", "--samples", "0"], "samples = 0"),
    "no corpus": (["none.yaml"], "none.yaml: has no corpus; set data.corpus"),
    "a missing corpus": (["a.yaml", "--corpora", "gone.txt"], "gone.txt: there is no such file"),
    "two corpora of one name": (
        ["a.yaml", "--corpora", "corpus.txt", "b/corpus.txt"],
        "two of the corpora",
    ),
    "an unknown setting": (["a.yaml", "training.step=3"], "did you mean 'steps'"),
    "an unknown setting after the columns": (
        ["a.yaml", "--columns", "bleu", "training.step=3"],
        "did you mean 'steps'",
    ),
    "an unknown column": (["a.yaml", "--columns", "self_blue"], "did you mean 'self_bleu'"),
    "a column of lists": (["a.yaml", "--columns", "findings"], "columns = 'findings' is unknown"),
    "equal steps of a single config": (["a.yaml", "--equal-steps"], "a single config"),
    "a seed": (["a.yaml", "training.seed=77"], "set how many seeds there are with --seeds"),
    "a corpus next to corpora": (
        ["a.yaml", "data.corpus=corpus.txt", "--corpora", "corpus.txt"],
        "data.corpus = 'corpus.txt' has no effect next to --corpora",
    ),
    "a folder with other files": (
        ["a.yaml", "--output", "b"],
        "contains files that are not a comparison",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_refused_before_any_training(tmp_path, monkeypatch, capsys, case):
    """There is one message, the exit code is 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    for file in ("a.yaml", "b/a.yaml"):
        write_config(tmp_path / file, write_corpus(tmp_path))
    (tmp_path / "none.yaml").write_text("model: {latent_dim: 4}\n")
    arguments, message = REFUSED[case]
    assert main(["compare", "--output", "out", "--device", "cpu", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [[], ["--columns", "bleu"], ["--corpora", "corpus.txt"]])
def test_a_setting_after_an_option_of_several_words_is_applied(tmp_path, monkeypatch, option):
    """It is a setting of every run, and no column and no corpus."""
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path / "a.yaml", write_corpus(tmp_path))
    calls = []

    def compare(*args, **options):
        calls.append(options)
        return []

    monkeypatch.setattr("textvae.comparison.compare.compare", compare)
    (tmp_path / "table.md").write_text("")
    command = ["compare", config, "--output", str(tmp_path), *option, "training.steps=2"]
    assert main(command) == 0
    (call,) = calls
    assert call["overrides"] == ["training.steps=2"]
    assert [*call["columns"], *call["corpora"]] == option[1:]


def test_packages_for_the_report_are_required_before_any_training(tmp_path, monkeypatch, capsys):
    """The message names the command that installs them."""
    config = write_config(tmp_path / "a.yaml", write_corpus(tmp_path))
    monkeypatch.setattr(
        "textvae.comparison.compare.REPORT_REQUIREMENTS",
        ("report", "reports", "a_package_nobody_has"),
    )
    assert main(["compare", config, "--output", str(tmp_path / "out")]) == 2
    assert "pip install 'textvae[report]'" in capsys.readouterr().err
