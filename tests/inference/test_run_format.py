"""Every saved model names the format of its folder, and a folder in another format is refused."""

import json
import shutil

import pytest

from textvae.errors import CheckpointError
from textvae.inference.checkpoint import load_bundle
from textvae.version import RUN_FORMAT


def change_format(run, folder, value):
    """Copy a run, with another format in its config; None leaves the entry out."""
    shutil.copytree(run, folder)
    file = folder / "config.json"
    config = json.loads(file.read_text())
    del config["run_format"]
    if value is not None:
        config["run_format"] = value
    file.write_text(json.dumps(config))
    return folder


def test_a_run_names_its_format(tiny_run):
    """It is an entry of config.json, which every copy of the model has."""
    assert json.loads((tiny_run / "config.json").read_text())["run_format"] == RUN_FORMAT


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (None, r"an earlier version of textvae wrote it. Train it again"),
        (0, r"an earlier version of textvae wrote it. Train it again"),
        (RUN_FORMAT + 1, r"a newer version of textvae wrote it. Install that version"),
        ("two", r"a newer version of textvae wrote it"),
    ],
)
def test_a_run_in_another_format_is_refused(tiny_run, tmp_path, value, advice):
    """The message says which format came, which is read, and what to do."""
    folder = change_format(tiny_run, tmp_path / "run", value)
    with pytest.raises(CheckpointError, match=rf"this version reads {RUN_FORMAT}: {advice}"):
        load_bundle(folder, "cpu")
