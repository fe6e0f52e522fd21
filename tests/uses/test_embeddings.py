"""Sentence embeddings: computed as their base does, and decoded."""

from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from tests.model.pretrained.families import CORPUS, save_encoder
from tests.tiny_run import SENTENCES
from textvae.errors import ConfigError, DataError, ShapeError
from textvae.training.train import train
from textvae.vae import TextVAE


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of a tiny sentence encoder."""
    folder = save_encoder("bert", tmp_path_factory.mktemp("base"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = "<|pad|>"  # which sentence-transformers needs
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vae(base, tmp_path_factory):
    """A model that was trained for a few steps to decode the encoder's embeddings."""
    return train(
        SENTENCES,
        tmp_path_factory.mktemp("runs") / "run",
        data={"cache": "off"},
        tokenizer={"kind": "byte"},
        model={
            "latent_dim": 8,
            "encoder": {
                "kind": "pretrained",
                "name": str(base),
                "train": "none",
                "states": "sentence",
            },
            "posterior": {"kind": "deterministic", "pooling": ["mean"]},
            "decoder": {"kind": "lstm", "embedding": 16, "hidden": 32},
        },
        objective={"techniques": {"target_kl": "off", "unit_floor": "off"}},
        training={"steps": 30, "warmup_steps": 2, "trackers": []},
        device="cpu",
    )


def test_embeddings_are_those_of_sentence_transformers(base, vae):
    """The base, loaded by the library that made it, gives the same vectors."""
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(base), device="cpu").encode(CORPUS)
    np.testing.assert_allclose(vae.embed(CORPUS), expected, atol=1e-5)


def test_an_embedding_has_the_latent_of_its_text(vae):
    """Encoding a vector that was computed elsewhere equals encoding the text."""
    texts = SENTENCES[:5]
    z = vae.encode_embeddings(vae.embed(texts))
    np.testing.assert_allclose(z, vae.encode(texts), atol=1e-5)


def test_one_candidate_is_the_greedy_text(vae):
    """Without a choice, the result is the plain decoding of z."""
    vectors = vae.embed(CORPUS)
    assert vae.decode_embeddings(vectors) == vae.decode(vae.encode_embeddings(vectors))


def test_more_candidates_never_lead_further_away(vae):
    """Each round of a search keeps the nearest text of those before."""
    vectors = vae.embed(CORPUS)
    cosines = []
    for count in (8, 12, 24):
        texts = vae.decode_embeddings(vectors, candidates=count, max_new_tokens=30)
        cosines.append((vae.embed(texts) * vectors).sum(1))
    assert (cosines[1] >= cosines[0] - 1e-6).all()
    assert (cosines[2] >= cosines[1] - 1e-6).all()


def test_sampled_candidates_are_at_least_as_near_as_the_greedy_text(vae):
    """It is one of them; the seed makes the others the same again."""
    vectors = vae.embed(CORPUS)
    greedy = (vae.embed(vae.decode_embeddings(vectors, max_new_tokens=30)) * vectors).sum(1)
    options: Any = {"candidates": 8, "do_sample": True, "seed": 1, "max_new_tokens": 30}
    texts = vae.decode_embeddings(vectors, **options)
    assert ((vae.embed(texts) * vectors).sum(1) >= greedy - 1e-6).all()
    assert vae.decode_embeddings(vectors, **options) == texts
    warm: Any = {"candidates": 8, "temperature": 0.5, "seed": 1, "max_new_tokens": 30}
    sampled = vae.decode_embeddings(vectors, do_sample=True, **warm)
    assert vae.decode_embeddings(vectors, **warm) == sampled


def test_no_embeddings_give_no_texts(vae):
    assert vae.decode_embeddings(vae.embed([]), candidates=16) == []


@pytest.mark.parametrize("shape", [(3,), (2, 7), (2, 2, 16)])
def test_embeddings_of_another_shape_are_refused(vae, shape):
    """The message has both shapes."""
    with pytest.raises(ShapeError, match="expected"):
        vae.decode_embeddings(np.zeros(shape, dtype=np.float32))


def test_embeddings_that_are_not_finite_are_refused(vae):
    """A NaN would be decoded to some text."""
    vectors = vae.embed(CORPUS)
    vectors[1, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        vae.decode_embeddings(vectors)


def test_a_model_without_sentence_embeddings_says_how_to_train_one(tiny_run):
    """The message names the settings."""
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    with pytest.raises(ConfigError, match="states=sentence"):
        vae.embed(["a man"])
