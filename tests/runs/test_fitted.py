"""Fits of a model: they are saved atomically, loaded again, and used with no other model."""

import json
from pathlib import Path

import pytest
import torch

from tests.tiny import tiny_vae
from textvae.errors import CheckpointError, OutputError
from textvae.runs.fitted import (
    hash_weights,
    load_fitted,
    read_fitted_record,
    save_fitted,
    stage_fitted_folder,
)
from textvae.vae import TextVAE

TENSORS = {"direction": torch.arange(4.0), "count": torch.tensor([3])}


def test_a_fit_reads_back_and_replaces_an_older_one(tmp_path, lstm):
    """Record and tensors are those that were saved last."""
    folder = tmp_path / "fitted" / "attribute" / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["old"]}, {})
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["sad", "glad"]}, TENSORS)
    record, tensors = load_fitted(folder, lstm.bundle, "attribute")
    assert record["labels"] == ["sad", "glad"]
    torch.testing.assert_close(tensors, TENSORS)
    assert [path.name for path in folder.parent.iterdir()] == ["mood"]


def test_the_hash_depends_on_the_weights_alone(tmp_path, lstm):
    """It survives saving and loading; changing one number of the weights changes it."""
    lstm.save_pretrained(tmp_path / "copy")
    copy = TextVAE.from_pretrained(tmp_path / "copy", device="cpu")
    assert hash_weights(copy.bundle) == hash_weights(lstm.bundle)
    with torch.no_grad():
        next(copy.model.parameters()).view(-1)[0] += 1e-3
    assert hash_weights(copy.bundle) != hash_weights(lstm.bundle)


def test_a_fit_of_another_model_or_kind_or_a_damaged_one_is_refused(tmp_path, lstm):
    """Each message gives the reason."""
    folder = tmp_path / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {}, TENSORS)
    with pytest.raises(CheckpointError, match="another model's latents"):
        load_fitted(folder, tiny_vae("gpt2").bundle, "attribute")
    with pytest.raises(CheckpointError, match="expected a fitted `prior`, got `attribute`"):
        load_fitted(folder, lstm.bundle, "prior")
    with pytest.raises(CheckpointError, match=r"no attribute was fitted there. Available: mood\."):
        load_fitted(tmp_path / "tense", lstm.bundle, "attribute")
    (folder / "tensors.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="is damaged"):
        load_fitted(folder, lstm.bundle, "attribute")


def test_a_folder_that_is_not_a_fit_is_not_replaced(tmp_path, lstm):
    """A folder of the user's own stays as it is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text(json.dumps("mine"))
    with pytest.raises(OutputError, match="holds something that textvae did not fit"):
        save_fitted(tmp_path / "mine", lstm.bundle, "attribute", {}, {})
    assert (tmp_path / "mine" / "notes.txt").is_file()


def test_a_fit_with_a_file_of_the_users_in_its_folder_is_not_replaced(tmp_path, lstm):
    """The message names the file, and the file stays."""
    folder = tmp_path / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {}, {})
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        save_fitted(folder, lstm.bundle, "attribute", {}, {})
    assert (folder / "notes.txt").read_text() == "precious"


def test_an_older_fit_survives_a_rename_that_fails(tmp_path, lstm, monkeypatch):
    """It is moved out of the way first, and moved back after the failure."""
    folder = tmp_path / "mood"
    rename = Path.rename
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["old"]}, {})

    def break_off(path, target):
        if ".new." in path.name:
            raise OSError("No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", break_off)
    with pytest.raises(OSError, match="No space left"):
        save_fitted(folder, lstm.bundle, "attribute", {"labels": ["new"]}, {})
    assert read_fitted_record(folder, lstm.bundle, "attribute")["labels"] == ["old"]


def test_a_failure_leaves_the_older_fit_and_no_other_files(tmp_path, lstm):
    """The older fit can still be read, and nothing is left next to it."""
    folder = tmp_path / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["old"]}, {})
    with (
        pytest.raises(ZeroDivisionError),
        stage_fitted_folder(folder, lstm.bundle, "attribute", {"labels": ["new"]}),
    ):
        raise ZeroDivisionError
    assert read_fitted_record(folder, lstm.bundle, "attribute")["labels"] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["mood"]
