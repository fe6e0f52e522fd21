"""The sentence-transformers module: its embeddings, saving, loading and fine-tuning."""

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")
from sentence_transformers import SentenceTransformer

from tests.tiny import SENTENCES
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.integrations.sentence_transformers import TextVAEModule
from textvae.vae import TextVAE


@pytest.fixture
def saved(vae, tmp_path) -> TextVAE:
    """A tiny VAE that was saved in a folder and loaded again."""
    vae.save_pretrained(tmp_path / "run")
    return TextVAE.from_pretrained(tmp_path / "run", device="cpu")


def test_the_embeddings_are_the_features_and_survive_a_folder(saved, tmp_path):
    """The folder has safetensors and JSON files only, and is a run as well."""
    model = SentenceTransformer(modules=[TextVAEModule(saved.folder, "mean")], device="cpu")
    means = saved.encode(SENTENCES)
    np.testing.assert_allclose(model.encode(SENTENCES, batch_size=2), means, atol=1e-5)
    assert model.get_embedding_dimension() == means.shape[1]
    model.save(str(tmp_path / "saved"))
    again = SentenceTransformer(str(tmp_path / "saved"), trust_remote_code=True, device="cpu")
    np.testing.assert_allclose(again.encode(SENTENCES), means, atol=1e-5)
    files = [file.name for file in (tmp_path / "saved").rglob("*") if file.is_file()]
    assert all(name.endswith((".safetensors", ".json", ".md")) for name in files), files
    assert TextVAE.from_pretrained(tmp_path / "saved").encode(SENTENCES).shape == (
        len(SENTENCES),
        saved.latent_dim,
    )


def test_gradients_reach_the_encoder(lstm, tmp_path):
    """Fine-tuning needs these gradients; texts that are too long are cut."""
    lstm.save_pretrained(tmp_path)
    module = TextVAEModule(tmp_path, "mean")
    embedding = module(module.preprocess(["a man rides", "a man " * 40]))["sentence_embedding"]
    embedding.square().sum().backward()
    assert embedding.shape == (2, lstm.latent_dim)
    assert module.model.posterior.mean.weight.grad.abs().sum() > 0
    assert module.preprocess(["a man " * 40])["input_ids"].shape[1] <= module.max_seq_length + 1


def test_the_maximum_length_can_be_set_and_is_saved(lstm, tmp_path):
    """A longer text then has the embedding of its beginning; the model's own limit is the highest."""
    lstm.save_pretrained(tmp_path / "run")
    model = SentenceTransformer(modules=[TextVAEModule(tmp_path / "run", "mean")], device="cpu")
    most = lstm.bundle.max_text_tokens
    assert model.max_seq_length == most
    model.max_seq_length = 2
    short, long, other = model.encode(["a man", "a man rides a red horse", "a child"])
    np.testing.assert_allclose(short, long, atol=1e-5)
    assert not np.allclose(short, other)
    model.save(str(tmp_path / "saved"))
    again = SentenceTransformer(str(tmp_path / "saved"), trust_remote_code=True, device="cpu")
    assert again.max_seq_length == 2
    for length in (0, -1, 2.5, "x", True, most + 1):
        with pytest.raises(ConfigError, match=rf"max_seq_length = {length!r}"):
            model.max_seq_length = length
    assert model.max_seq_length == 2


def test_loading_without_trust_says_what_to_do(lstm, tmp_path):
    """The class is named, and so is the argument."""
    lstm.save_pretrained(tmp_path / "run")
    SentenceTransformer(modules=[TextVAEModule(tmp_path / "run")]).save(str(tmp_path / "saved"))
    with pytest.raises(ValueError, match=r"(?s)TextVAEModule.*trust_remote_code=True"):
        SentenceTransformer(str(tmp_path / "saved"), device="cpu")


def test_wrong_input_is_refused(lstm, tmp_path):
    """A missing folder and unknown features each get a message."""
    with pytest.raises(CheckpointError, match="there is no such folder"):
        TextVAEModule(tmp_path / "none")
    lstm.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="features = 'cls' is unknown"):
        TextVAEModule(tmp_path, "cls")


def test_blank_texts_are_refused(lstm, tmp_path):
    """A blank text has no meaningful embedding, with or without a prompt."""
    lstm.save_pretrained(tmp_path)
    model = SentenceTransformer(modules=[TextVAEModule(tmp_path)], device="cpu")
    with pytest.raises(DataError, match="1 of 2 texts of a batch are blank"):
        model.encode(["a man", " "], prompt="of ")
