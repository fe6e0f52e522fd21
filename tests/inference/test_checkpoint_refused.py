"""Folders that hold no finished run: each message names the file and how to fix it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel

from tests.tiny import tiny_vae
from textvae.errors import CheckpointError
from textvae.model.modeling import TextVAEModel
from textvae.vae import TextVAE


@pytest.fixture
def copy(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may damage."""
    return shutil.copytree(tiny_run, tmp_path / "run")


def refused(folder: Path, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        TextVAE.from_pretrained(folder)


def test_a_run_is_plain_transformers(tiny_run):
    """AutoModel loads it after our model class is imported."""
    model = AutoModel.from_pretrained(tiny_run)
    assert isinstance(model, TextVAEModel)
    assert model.generation_config.top_k == 0


def test_a_truncated_file_of_weights_is_refused(copy):
    """The copy of the file was interrupted half-way."""
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    refused(copy, "is damaged or cut short")


def test_weights_that_are_not_safetensors_are_refused(copy):
    """The message names the file."""
    (copy / "model.safetensors").write_bytes(b"not tensors at all")
    refused(copy, "model.safetensors")


def test_a_pickle_is_never_read(copy):
    """It is refused even if there are no other weights."""
    (copy / "model.safetensors").unlink()
    torch.save({"weights": torch.zeros(1)}, copy / "pytorch_model.bin")
    refused(copy, "pytorch_model.bin is a pickle, which textvae never reads")


def test_a_foreign_model_is_refused(tmp_path):
    """It is a model of transformers, but not a text VAE."""
    small = BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        vocab_size=10,
    )
    BertModel(small).save_pretrained(tmp_path / "bert")
    refused(tmp_path / "bert", "holds a 'bert' model, not a text VAE")


def test_a_config_that_does_not_match_its_weights_is_refused(copy):
    """The latent size in config.json differs from that of the weights."""
    config = json.loads((copy / "config.json").read_text())
    config["latent_dim"] = 5
    (copy / "config.json").write_text(json.dumps(config))
    refused(copy, "cannot be loaded|does not match config")


def test_a_config_that_is_not_json_is_refused(copy):
    """The message names the file."""
    (copy / "config.json").write_text("{")
    refused(copy, r"config\.json: is missing or is not JSON")


def test_a_config_that_is_no_mapping_is_refused(copy):
    """It is JSON, but a list."""
    (copy / "config.json").write_text("[]")
    refused(copy, r"config\.json: is not the config of a model")


def test_an_unfinished_run_says_how_to_go_on(copy):
    """It has a checkpoint of the trainer, but no final model yet."""
    (copy / "model.safetensors").rename(copy / "model.away")
    (copy / "checkpoint-7").mkdir()
    refused(copy, "has not finished.*--resume .or end it now: textvae finish")


def test_a_run_before_its_first_checkpoint_says_how_to_go_on(copy):
    """It has only the model that it starts from."""
    (copy / "init").mkdir()
    (copy / "model.safetensors").rename(copy / "init" / "model.safetensors")
    refused(copy, "has not finished.*--resume$")


def test_a_file_or_an_empty_folder_is_refused(tmp_path):
    """Neither of them is a run."""
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "no such folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no model.safetensors")


def test_a_run_without_its_tokenizer_is_refused(tmp_path):
    """The message names the missing file."""
    tiny_vae().save_pretrained(tmp_path)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    refused(tmp_path, "has no tokenizer.json. Copy the whole run again.")
