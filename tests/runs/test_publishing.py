"""Saving a model elsewhere: each file whole, and nothing of another owner written over."""

import errno
import shutil

import pytest

from tests.tiny import tiny_vae
from textvae.errors import OutputError
from textvae.runs import publishing as sharing
from textvae.runs.fitted import fitted_path, load_fitted, save_fitted
from textvae.vae import TextVAE


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run")


def test_a_readme_of_something_else_is_not_written_over(run, tmp_path):
    """A repository of the user's own: the file is named, and nothing is added."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("precious")
    with pytest.raises(OutputError, match=r"holds README\.md, and no text VAE"):
        TextVAE.from_pretrained(run, "cpu").save_pretrained(tmp_path / "project")
    assert names(tmp_path / "project") == ["README.md"]
    assert (tmp_path / "project" / "README.md").read_text() == "precious"


def test_a_model_is_saved_over_an_older_one(run, tmp_path, lstm):
    """Its files are the new model's; other files in the folder stay."""
    lstm.save_pretrained(tmp_path / "copy")
    (tmp_path / "copy" / "notes.txt").write_text("mine")
    TextVAE.from_pretrained(run, "cpu").save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (
        run / "model.safetensors"
    ).read_bytes()
    assert (tmp_path / "copy" / "notes.txt").read_text() == "mine"


def test_a_model_is_saved_where_it_was_loaded_from(run):
    """Its records and what was fitted on it stay as they are."""
    vae = TextVAE.from_pretrained(run, "cpu")
    save_fitted(fitted_path(run, "attribute", "mood"), vae.bundle, "attribute", {}, {})
    before = names(run)
    vae.save_pretrained(run)
    assert names(run) == before
    load_fitted(
        fitted_path(run, "attribute", "mood"),
        TextVAE.from_pretrained(run, "cpu").bundle,
        "attribute",
    )


def test_a_run_in_training_is_not_written_into(run, tmp_path, lstm):
    """It would count as finished, and lose its checkpoints."""
    (run / "model.safetensors").unlink()
    with pytest.raises(OutputError, match="training has not finished"):
        lstm.save_pretrained(run)


def test_saving_on_a_full_disk_leaves_the_older_model(tmp_path, lstm, monkeypatch):
    """The disk is full before the first file has its name."""
    lstm.save_pretrained(tmp_path / "copy")
    before = (tmp_path / "copy" / "model.safetensors").read_bytes()

    def fill(bundle, folder):
        (folder / "model.safetensors").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sharing, "save_bundle", fill)
    with pytest.raises(OSError, match="No space left"):
        tiny_vae(seed=1).save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == before
    assert not [name for name in names(tmp_path / "copy") if name.startswith(".")]
