"""A saved model is plain files, which plain transformers can load without any change."""

import json
import shutil

import pytest
import torch
from transformers import AutoModel

from tests.tiny import DECODER_SETTINGS, ENCODER_SETTINGS, draws, tiny_batch, tiny_model, tiny_vae
from textvae.errors import CheckpointError
from textvae.inference.checkpoint import load_bundle
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian
from textvae.vae import TextVAE


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
@pytest.mark.parametrize("by", [AutoModel, TextVAEModel])
def test_a_reloaded_model_gives_the_same_logits(writer, by, tmp_path):
    """It holds also for models with unsaved buffers, such as rotary frequencies."""
    model = tiny_model(writer)
    batch = tiny_batch()
    latent = draws(3, 4)
    model.save_pretrained(tmp_path)
    loaded = by.from_pretrained(tmp_path).eval()
    logits, again = (
        part(batch["input_ids"], batch["attention_mask"], latent=latent).logits
        for part in (model, loaded)
    )
    torch.testing.assert_close(again, logits, rtol=0, atol=0)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_reloaded_model_gives_the_same_posterior(reader, tmp_path):
    """It holds for every encoder."""
    model = tiny_model(reader=reader)
    batch = tiny_batch()
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    inputs = batch["encoder_input_ids"], batch["encoder_attention_mask"]
    q = model.encode(*inputs)
    assert isinstance(q, DiagonalGaussian)
    torch.testing.assert_close(loaded.encode(*inputs).mean, q.mean, rtol=0, atol=0)
    torch.testing.assert_close(loaded.encode(*inputs).logvar, q.logvar, rtol=0, atol=0)


def test_a_reloaded_text_vae_writes_the_same_text(tmp_path):
    """The tokenizer and the generation settings are saved and loaded with the model."""
    vae = tiny_vae()
    vae.save_pretrained(tmp_path)
    assert TextVAE.from_pretrained(tmp_path, "cpu").generate(5, seed=0) == vae.generate(5, seed=0)


def test_a_checkpoint_folder_holds_safetensors_and_json_and_no_pickle(tmp_path):
    """Neither the names nor the first bytes of the files are those of a pickle."""
    tiny_vae().save_pretrained(tmp_path)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {
        "config.json",
        "model.safetensors",
        "generation_config.json",
    }
    assert {file.suffix for file in files} <= {".json", ".safetensors"}
    assert [
        file
        for file in files
        if file.read_bytes()[:2] in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05")
    ] == []


def test_the_generation_settings_of_a_checkpoint_cut_no_word_off(tmp_path):
    """Without these settings, transformers would use top_k=50 and stop after 20 tokens."""
    tiny_vae().save_pretrained(tmp_path)
    options = json.loads((tmp_path / "generation_config.json").read_text())
    assert options["top_k"] == 0
    assert options["max_new_tokens"] == 12
    assert (options["bos_token_id"], options["eos_token_id"], options["pad_token_id"]) == (1, 2, 0)


def test_tied_weights_are_saved_once_and_stay_tied(tmp_path):
    """The output projection of a reloaded model is its embedding."""
    model = tiny_model("lstm")
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert loaded.decoder.output_weight is loaded.decoder.embed.weight
    assert loaded.num_parameters() == model.num_parameters()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    tiny_vae().save_pretrained(folder)
    return folder


def with_config(saved, folder, change):
    """Return a copy of the checkpoint whose config does not match its weights."""
    shutil.copytree(saved, folder)
    config = json.loads((saved / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_weights_that_lack_what_the_config_describes_are_refused(saved, tmp_path):
    """Transformers would initialize them at random."""
    folder = with_config(
        saved, tmp_path / "copy", lambda config: config["encoder_settings"].update(layers=3)
    )
    with pytest.raises(
        CheckpointError, match=r"does not match config\.json; missing or of another size: encoder"
    ):
        load_bundle(folder)


def test_weights_of_other_sizes_than_the_config_describes_are_refused(saved, tmp_path):
    """The message names one of the weights."""
    folder = with_config(saved, tmp_path / "copy", lambda config: config.update(latent_dim=3))
    with pytest.raises(CheckpointError, match=r"does not match config\.json; .*conditioning"):
        load_bundle(folder)
