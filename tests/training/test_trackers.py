"""Trackers: chosen by name, refused if missing, and given tables of texts."""

from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers.integrations import MLflowCallback, TrackioCallback, WandbCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

import textvae
from tests.tiny_run import train_tiny
from textvae.errors import ConfigError
from textvae.evaluation.progress import Reconstruction, SampleTable
from textvae.runs.run import Run
from textvae.settings.reading import read_settings
from textvae.training import trackers
from textvae.training.trackers import TRACKERS, choose_trackers, format_table, send_table

TABLE = SampleTable(
    7, 0, 0.85, ["a | b", "<b>*c*</b>\nd"], [Reconstruction("the dog", "`the` dogs")]
)


def test_every_tracker_of_transformers_is_known():
    """Each has a command that installs it, or says where it works."""
    assert INTEGRATION_TO_CALLBACK.keys() <= TRACKERS.keys()


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("none", []),
        ([], []),
        ("wandb", ["wandb"]),
        (["wandb", "mlflow"], ["wandb", "mlflow"]),
        ("auto", "auto"),
    ],
)
def test_trackers_are_written_as_report_to_of_transformers(written, names):
    """One name, several, or none."""
    assert read_settings(training={"trackers": written}).training.trackers == names


@pytest.mark.parametrize("installed", [[], ["wandb"], ["tensorboard", "wandb"]])
def test_tensorboard_is_the_default_if_it_is_installed(monkeypatch, installed):
    """No other tracker is, because some of them send data to a server."""
    monkeypatch.setattr(trackers, "get_available_reporting_integrations", lambda: installed)
    assert choose_trackers("auto") == [name for name in installed if name == "tensorboard"]


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_a_missing_tracker_is_refused_with_its_command(monkeypatch, tmp_path, name):
    """Before the corpus is read."""
    monkeypatch.setattr(trackers, "get_available_reporting_integrations", lambda: ["other"])
    with pytest.raises(ConfigError) as info:
        textvae.train("captions", output=tmp_path / "run", training={"trackers": name})
    assert f"names {name!r}, which is not installed: {TRACKERS[name]}" in str(info.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_shows_its_texts_in_tensorboard(tmp_path):
    """The settings of the run have the tracker's name, whatever was the default."""
    folder = tmp_path / "run"
    train_tiny(folder, training={"steps": 4, "trackers": "auto"})
    assert Run(folder).read_settings().training.trackers == ["tensorboard"]
    events = EventAccumulator(str(folder / "logs"))
    events.Reload()
    tag = "samples/text_summary"
    assert tag in events.Tags()["tensors"]
    table = textvae.read_progress(folder).samples[-1]
    event = events.Tensors(tag)[-1]
    assert event.step == table.step == 4
    assert event.tensor_proto.string_val[0].decode() == format_table(table)


def test_a_resumed_run_names_a_tracker_that_is_missing_now(tiny_run, tmp_path, monkeypatch):
    """It may continue on another machine."""
    folder = tmp_path / "run"
    train_tiny(folder, training={"steps": 2, "trackers": "tensorboard"})
    monkeypatch.setattr(trackers, "get_available_reporting_integrations", list)
    with pytest.raises(ConfigError, match=r"textvae\[tensorboard\]"):
        textvae.train(output=folder, resume=True, device="cpu", training={"steps": 4})
    assert textvae.read_progress(folder).state == "finished"


def test_markup_in_texts_is_shown_and_not_applied():
    """A cell has one line, and no character that Markdown or HTML would read."""
    text = format_table(TABLE)
    assert "a &#124; b" in text
    assert "&#60;b&#62;&#42;c&#42;&#60;/b&#62; d" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [2, 2, 2, 2, 3, 3, 3]


def stand_in(kind, **attributes):
    """Return a callback of a tracker that is not installed."""
    callback = object.__new__(kind)
    callback.__dict__.update(attributes)
    return callback


def test_weights_and_biases_gets_two_tables():
    """At the step of the other values."""
    logged: list[Any] = []
    wandb = SimpleNamespace(Table=lambda columns, data: (columns, data), log=logged.append)
    send_table([stand_in(WandbCallback, _wandb=wandb)], TABLE)
    [entry] = logged
    assert entry["samples"] == (["sample"], [["a | b"], ["<b>*c*</b>\nd"]])
    assert entry["reconstructions"] == (["input", "reconstruction"], [["the dog", "`the` dogs"]])
    assert entry["train/global_step"] == 7


def test_trackio_gets_two_tables():
    """As data frames."""
    logged: list[Any] = []
    trackio = SimpleNamespace(Table=lambda dataframe: dataframe, log=logged.append)
    send_table([stand_in(TrackioCallback, _trackio=trackio)], TABLE)
    [entry] = logged
    assert entry["samples"]["sample"].tolist() == TABLE.samples
    assert entry["reconstructions"]["reconstruction"].tolist() == ["`the` dogs"]


def test_mlflow_gets_a_file_for_each_step():
    """In Markdown."""
    logged: list[Any] = []
    mlflow = SimpleNamespace(log_text=lambda text, file: logged.append((text, file)))
    callback = stand_in(MLflowCallback, _ml_flow=mlflow, _auto_end_run=False)
    send_table([callback, object()], TABLE)
    assert logged == [(format_table(TABLE), "samples/step-00000007.md")]
