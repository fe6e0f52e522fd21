"""What is fitted on a model: kept whole, found again, and used with no other model."""

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


def test_what_was_fitted_comes_back_and_replaces_what_stood_there(tmp_path, lstm):
    """Record and tensors, the second time those saved last."""
    folder = tmp_path / "fitted" / "attribute" / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["old"]}, {})
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["sad", "glad"]}, TENSORS)
    record, tensors = load_fitted(folder, lstm.bundle, "attribute")
    assert record["labels"] == ["sad", "glad"]
    torch.testing.assert_close(tensors, TENSORS)
    assert [path.name for path in folder.parent.iterdir()] == ["mood"]


def test_the_fingerprint_is_the_weights(tmp_path, lstm):
    """Saved and loaded it is the same; one changed number changes it."""
    lstm.save_pretrained(tmp_path / "copy")
    copy = TextVAE.from_pretrained(tmp_path / "copy", device="cpu")
    assert hash_weights(copy.bundle) == hash_weights(lstm.bundle)
    with torch.no_grad():
        next(copy.model.parameters()).view(-1)[0] += 1e-3
    assert hash_weights(copy.bundle) != hash_weights(lstm.bundle)


def test_another_models_and_another_kind_and_damage_are_refused(tmp_path, lstm):
    """Each with its reason."""
    folder = tmp_path / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {}, TENSORS)
    with pytest.raises(CheckpointError, match="another model's latents"):
        load_fitted(folder, tiny_vae("gpt2").bundle, "attribute")
    with pytest.raises(CheckpointError, match="holds `attribute`, wanted is `prior`"):
        load_fitted(folder, lstm.bundle, "prior")
    with pytest.raises(CheckpointError, match=r"no attribute was fitted there. There is: mood\."):
        load_fitted(tmp_path / "tense", lstm.bundle, "attribute")
    (folder / "tensors.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="is damaged"):
        load_fitted(folder, lstm.bundle, "attribute")


def test_what_was_not_fitted_is_not_replaced(tmp_path, lstm):
    """A folder of the user's own stays."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text(json.dumps("mine"))
    with pytest.raises(OutputError, match="stands there"):
        save_fitted(tmp_path / "mine", lstm.bundle, "attribute", {}, {})
    assert (tmp_path / "mine" / "notes.txt").is_file()


def test_what_was_fitted_with_a_file_of_the_users_next_to_it_is_not_replaced(tmp_path, lstm):
    """The file is named, and stays."""
    folder = tmp_path / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {}, {})
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        save_fitted(folder, lstm.bundle, "attribute", {}, {})
    assert (folder / "notes.txt").read_text() == "precious"


def test_what_was_fitted_before_survives_a_rename_that_fails(tmp_path, lstm, monkeypatch):
    """It is moved aside first, and moved back."""
    folder, rename = tmp_path / "mood", Path.rename
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["old"]}, {})

    def break_off(path, target):
        if ".new." in path.name:
            raise OSError("No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", break_off)
    with pytest.raises(OSError, match="No space left"):
        save_fitted(folder, lstm.bundle, "attribute", {"labels": ["new"]}, {})
    assert read_fitted_record(folder, lstm.bundle, "attribute")["labels"] == ["old"]


def test_nothing_is_half_written(tmp_path, lstm):
    """What fails leaves what stood there before, and nothing beside it."""
    folder = tmp_path / "mood"
    save_fitted(folder, lstm.bundle, "attribute", {"labels": ["old"]}, {})
    with (
        pytest.raises(ZeroDivisionError),
        stage_fitted_folder(folder, lstm.bundle, "attribute", {"labels": ["new"]}),
    ):
        raise ZeroDivisionError
    assert read_fitted_record(folder, lstm.bundle, "attribute")["labels"] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["mood"]
