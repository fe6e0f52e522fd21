"""Saving a model to another folder: files are written atomically, and no foreign file is lost."""

import errno
import shutil

import numpy as np
import pytest
import torch

from tests.model.pretrained.families import CORPUS, save_decoder, save_encoder
from tests.tiny import SENTENCES, tiny_vae
from textvae.data.base_tokenizers import build_decoder_tokenizer
from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.tokenization import TokenizerSettings, read_tokenizer
from textvae.errors import CheckpointError, ConfigError, OutputError
from textvae.model.building import build_model
from textvae.runs import publishing
from textvae.runs.fitted import fitted_path, hash_weights, load_fitted, save_fitted
from textvae.settings.run import ModelSettings
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


def test_no_file_of_a_replaced_model_is_used(with_adapters, tmp_path, lstm):
    """A model whose encoder reads the decoder's tokens does not read those of an earlier one."""
    folder = tmp_path / "copy"
    with_adapters.save_pretrained(folder)
    assert (folder / "encoder_tokenizer.json").is_file()
    left = folder / "training.json"
    left.write_text("{}")
    old = (folder / "encoder_tokenizer.json").read_bytes()
    lstm.save_pretrained(folder)
    assert not (folder / "encoder_tokenizer.json").exists()
    assert not left.exists()
    # Other libraries that save over a model leave the file.
    (folder / "encoder_tokenizer.json").write_bytes(old)
    loaded = TextVAE.from_pretrained(folder, "cpu")
    np.testing.assert_array_equal(loaded.encode(SENTENCES), lstm.encode(SENTENCES))


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


LABELS = ["one", "two"] * 2


@pytest.fixture(scope="module")
def with_adapters(tmp_path_factory):
    """A model with a pretrained encoder with adapters, and an attribute; tests only read it."""
    folder = tmp_path_factory.mktemp("adapters")
    encoder = save_encoder("bert", folder / "encoder")
    decoder = save_decoder("llama", folder / "decoder")
    tokenizer = build_decoder_tokenizer(
        TokenizerSettings(kind="pretrained", path=str(decoder)), CORPUS
    )
    torch.manual_seed(1)
    settings = ModelSettings(
        latent_dim=4,
        encoder={"kind": "pretrained", "name": str(encoder), "train": "lora"},
        decoder={"kind": "pretrained", "name": str(decoder)},
        conditioning=("output",),
    )
    model = build_model(settings, tokenizer)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.generation_config.update(max_new_tokens=12)
    encoder_tokenizer = EncoderTokenizer.from_base(read_tokenizer(encoder), 64)
    vae = TextVAE(model, tokenizer, encoder_tokenizer=encoder_tokenizer)
    vae.save_pretrained(folder / "run")
    saved = TextVAE.from_pretrained(folder / "run", "cpu")
    saved.fit_attribute(CORPUS, LABELS, "mood")
    return saved


def test_a_merged_model_is_used_with_the_fits_of_its_run(with_adapters, tmp_path):
    """Merging changes the weights but not the latents, so fits belong to the merged model, too."""
    with_adapters.save_pretrained(tmp_path / "merged", merge=True)
    merged = TextVAE.from_pretrained(tmp_path / "merged", "cpu")
    np.testing.assert_allclose(merged.encode(CORPUS), with_adapters.encode(CORPUS), atol=1e-4)
    assert hash_weights(merged.bundle) != hash_weights(with_adapters.bundle)
    assert merged.edit(CORPUS, "mood") == with_adapters.edit(CORPUS, "mood")
    assert with_adapters.edit(CORPUS, "mood")  # the run's own fit is as it was


def test_a_model_that_is_merged_in_its_own_folder_keeps_its_fits(with_adapters, tmp_path):
    """The fits there belong to the merged weights that replace the model's."""
    run = shutil.copytree(with_adapters.folder, tmp_path / "run")
    TextVAE.from_pretrained(run, "cpu").save_pretrained(run, merge=True)
    merged = TextVAE.from_pretrained(run, "cpu")
    assert merged.edit(CORPUS, "mood") == with_adapters.edit(CORPUS, "mood")


def test_a_pushed_merged_model_is_used_with_the_fits_of_its_run(hub, with_adapters):
    """A push copies the fits as saving does."""
    with_adapters.push_to_hub("me/merged", merge=True)
    pushed = TextVAE.from_pretrained("me/merged", "cpu")
    assert pushed.edit(CORPUS, "mood") == with_adapters.edit(CORPUS, "mood")


def test_merging_does_not_adopt_the_fit_of_another_model(with_adapters, tmp_path):
    """Only the fits of the model that is merged are made fits of the merged one."""
    run = shutil.copytree(with_adapters.folder, tmp_path / "run")
    other = tiny_vae().bundle
    save_fitted(fitted_path(run, "attribute", "other"), other, "attribute", {}, {})
    TextVAE.from_pretrained(run, "cpu").save_pretrained(tmp_path / "merged", merge=True)
    merged = TextVAE.from_pretrained(tmp_path / "merged", "cpu")
    with pytest.raises(CheckpointError, match="another model's latents"):
        merged.edit(CORPUS, "other")


def test_every_fit_that_can_be_named_is_saved_with_the_model(run, tmp_path):
    """A name cannot begin with a dot, as the folders do that saving leaves out."""
    vae = TextVAE.from_pretrained(run, "cpu")
    labels = ["one", "two"] * 3
    for name in (".hid", "..", "mood.", "-mood"):
        with pytest.raises(ConfigError, match="begin and end with a letter"):
            vae.fit_attribute(SENTENCES, labels, name)
    names_of_fits = ["a", "_a", "a.b-c", "3"]
    for name in names_of_fits:
        vae.fit_attribute(SENTENCES, labels, name)
    vae.save_pretrained(tmp_path / "copy")
    assert names(tmp_path / "copy" / "fitted" / "attribute") == sorted(names_of_fits)
