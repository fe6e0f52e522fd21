"""Saving a model to another folder: files are written atomically, and no foreign file is lost."""

import errno
import shutil

import pytest

from tests.tiny import tiny_vae
from textvae.errors import OutputError
from textvae.runs import publishing
from textvae.runs.fitted import fitted_path, load_fitted, save_fitted
from textvae.vae import TextVAE


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run")


def test_a_readme_of_something_else_is_not_overwritten(run, tmp_path):
    """In a repository of the user's own, the message names the file and nothing is added."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("precious")
    with pytest.raises(OutputError, match=r"holds README\.md, but no text VAE"):
        TextVAE.from_pretrained(run, "cpu").save_pretrained(tmp_path / "project")
    assert names(tmp_path / "project") == ["README.md"]
    assert (tmp_path / "project" / "README.md").read_text() == "precious"


def test_saving_replaces_an_older_model(run, tmp_path, lstm):
    """The folder holds the new model's files afterwards; other files in the folder stay."""
    lstm.save_pretrained(tmp_path / "copy")
    (tmp_path / "copy" / "notes.txt").write_text("mine")
    TextVAE.from_pretrained(run, "cpu").save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (
        run / "model.safetensors"
    ).read_bytes()
    assert (tmp_path / "copy" / "notes.txt").read_text() == "mine"


def test_a_model_can_be_saved_to_the_folder_it_was_loaded_from(run):
    """Its records and its fits stay as they are."""
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


def test_no_model_is_saved_to_a_run_in_training(run, tmp_path, lstm):
    """With weights the run would count as finished, and its checkpoints would be removed."""
    (run / "model.safetensors").unlink()
    with pytest.raises(OutputError, match="training has not finished"):
        lstm.save_pretrained(run)


def test_saving_on_a_full_disk_leaves_the_older_model(tmp_path, lstm, monkeypatch):
    """The disk becomes full before the first file gets its final name."""
    lstm.save_pretrained(tmp_path / "copy")
    before = (tmp_path / "copy" / "model.safetensors").read_bytes()

    def fill(bundle, folder):
        (folder / "model.safetensors").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publishing, "save_bundle", fill)
    with pytest.raises(OSError, match="No space left"):
        tiny_vae(seed=1).save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == before
    assert not [name for name in names(tmp_path / "copy") if name.startswith(".")]
