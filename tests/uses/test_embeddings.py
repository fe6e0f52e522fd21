"""Sentence embeddings: computed as their base does, and decoded."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from tests.model.pretrained.families import CORPUS, save_encoder
from tests.tiny_run import SENTENCES
from textvae.errors import ConfigError, DataError, ShapeError
from textvae.training.train import train
from textvae.uses.embeddings import embed
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


def measure_cosines(vae, texts, vectors):
    """Return the cosine of each text's embedding with a vector, (n,), also of blank texts."""
    return (embed(vae.bundle, texts) * vectors).sum(1)


def test_more_candidates_never_lead_further_away(vae):
    """Each round of a search keeps the nearest text of those before."""
    vectors = vae.embed(CORPUS)
    cosines = []
    for count in (8, 12, 24):
        texts = vae.decode_embeddings(vectors, candidates=count, max_new_tokens=30)
        cosines.append(measure_cosines(vae, texts, vectors))
    assert (cosines[1] >= cosines[0] - 1e-6).all()
    assert (cosines[2] >= cosines[1] - 1e-6).all()


def test_sampled_candidates_are_at_least_as_near_as_the_greedy_text(vae):
    """It is one of them; the seed makes the others the same again."""
    vectors = vae.embed(CORPUS)
    greedy = measure_cosines(vae, vae.decode_embeddings(vectors, max_new_tokens=30), vectors)
    options: Any = {"candidates": 8, "do_sample": True, "seed": 1, "max_new_tokens": 30}
    texts = vae.decode_embeddings(vectors, **options)
    assert (measure_cosines(vae, texts, vectors) >= greedy - 1e-6).all()
    assert vae.decode_embeddings(vectors, **options) == texts
    warm: Any = {"candidates": 8, "temperature": 0.5, "seed": 1, "max_new_tokens": 30}
    sampled = vae.decode_embeddings(vectors, do_sample=True, **warm)
    assert vae.decode_embeddings(vectors, **warm) == sampled


def test_one_candidate_is_decoded_as_z_is(vae):
    """Options of sampling and of beam search have the effect that they have in `decode`."""
    vectors = vae.embed(CORPUS)
    z = vae.encode_embeddings(vectors)
    choices: tuple[dict[str, Any], ...] = (
        {"do_sample": True},
        {"temperature": 5.0},
        {"num_beams": 3, "length_penalty": 2.0},
    )
    for options in choices:
        decoding: Any = {**options, "seed": 1, "max_new_tokens": 30}
        assert vae.decode_embeddings(vectors, **decoding) == vae.decode(z, **decoding)
    sampled: Any = {"temperature": 5.0, "seed": 1, "max_new_tokens": 30}
    assert vae.decode_embeddings(vectors, **sampled) != vae.decode_embeddings(vectors)


@pytest.mark.parametrize("candidates", [1, 2, 9])
def test_options_that_contradict_each_other_are_refused(vae, candidates):
    """The messages are those of `decode`."""
    vectors = vae.embed(CORPUS)
    with pytest.raises(
        ConfigError, match=r"temperature = 0\.5 has no effect with do_sample = False"
    ):
        vae.decode_embeddings(vectors, candidates=candidates, do_sample=False, temperature=0.5)
    with pytest.raises(
        ConfigError, match=r"length_penalty = 2\.0 has no effect with num_beams = 1"
    ):
        vae.decode_embeddings(
            vectors, candidates=candidates, do_sample=True, length_penalty=2.0, num_beams=1
        )


def test_an_option_of_beam_search_works_with_any_number_of_candidates(vae):
    """The ninth candidate is the only one of its round, and it is searched, too."""
    vectors = vae.embed(CORPUS)
    for count in (2, 9):
        texts = vae.decode_embeddings(
            vectors, candidates=count, length_penalty=2.0, max_new_tokens=5
        )
        assert len(texts) == len(CORPUS)


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "many", 10**9, 10**30], ids=str)
def test_a_number_of_candidates_out_of_range_is_refused(vae, count):
    """It is checked as other counts are."""
    with pytest.raises(ConfigError, match=r"decode_embeddings\.candidates = "):
        vae.decode_embeddings(vae.embed(CORPUS), candidates=count)


def test_samples_that_do_not_fit_into_memory_are_refused(vae):
    """Before any of them is decoded."""
    vectors = np.zeros((10_000, vae.model.encoder.hidden), dtype=np.float32)
    with pytest.raises(ConfigError, match=r"decode_embeddings\.candidates = 10,000,000 needs"):
        vae.decode_embeddings(vectors, candidates=10**7, do_sample=True)


def test_the_embedding_of_a_blank_text_is_nan(vae, capsys):
    """A note says so, and the other texts have the embeddings that they have alone."""
    rows = vae.embed(["", SENTENCES[0], "  "])
    assert np.isnan(rows[[0, 2]]).all()
    np.testing.assert_allclose(rows[1], vae.embed(SENTENCES[0])[0], atol=1e-5)
    assert "2 of 3 rows are blank (rows 1, 3): NaN in the result" in capsys.readouterr().err


def test_tensors_and_lists_are_embeddings_too(vae):
    """Of any type of real numbers, with a gradient or without; one vector is one row."""
    vectors = vae.embed(CORPUS).round(2)
    z = vae.encode_embeddings(vectors)
    tensor = torch.tensor(vectors)
    for same in (tensor, tensor.double().requires_grad_(), vectors.tolist(), iter(vectors)):
        np.testing.assert_allclose(vae.encode_embeddings(same), z, atol=1e-5)
    rounded = tensor.bfloat16()
    np.testing.assert_allclose(
        vae.encode_embeddings(rounded), vae.encode_embeddings(rounded.float()), atol=1e-5
    )
    np.testing.assert_allclose(vae.encode_embeddings(vectors[0]), z[:1], atol=1e-5)
    assert vae.decode_embeddings(tensor.requires_grad_()) == vae.decode(z)


NOT_NUMBERS: dict[str, Any] = {
    "words": [["a"] * 16],
    "rows of unequal lengths": [[1.0] * 16, [1.0]],
    "complex numbers": np.ones((1, 16), dtype=complex),
    "complex numbers of torch": torch.ones(1, 16, dtype=torch.complex64),
    "truth values of torch": torch.ones(1, 16, dtype=torch.bool),
    "tensors with a gradient in a list": [torch.ones(16, requires_grad=True)],
    "nothing": None,
}


@pytest.mark.parametrize("case", NOT_NUMBERS)
def test_embeddings_that_are_no_numbers_are_refused(vae, case):
    """`decode` refuses the same objects."""
    for call in (vae.encode_embeddings, vae.decode_embeddings):
        with pytest.raises(DataError, match=r"embeddings is .* expected an array of numbers"):
            call(NOT_NUMBERS[case])
    with pytest.raises(DataError, match=r"z is .* expected an array of numbers"):
        vae.decode(NOT_NUMBERS[case])


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


def test_embeddings_of_a_trained_encoder_are_refused(vae):
    """They are no longer those of sentence-transformers."""
    encoder = vae.model.encoder
    trained = TextVAE(
        deepcopy(vae.model), vae.tokenizer, encoder_tokenizer=vae.bundle.encoder_tokenizer
    )
    trained.model.encoder.has_fixed_states = False
    message = r"encoder was trained.*model\.encoder\.train=none"
    with pytest.raises(ConfigError, match=message):
        trained.embed(CORPUS)
    with pytest.raises(ConfigError, match=message):
        trained.decode_embeddings(np.zeros((1, encoder.hidden)))


def test_a_merged_model_still_has_the_embeddings_of_its_base(vae, tmp_path):
    """Its encoder was not trained."""
    vae.save_pretrained(tmp_path / "merged", merge=True)
    merged = TextVAE.from_pretrained(tmp_path / "merged", device="cpu")
    np.testing.assert_allclose(merged.embed(CORPUS), vae.embed(CORPUS), atol=1e-6)


def test_a_text_is_embedded_as_far_as_its_base_reads(base, vae):
    """The length of a text that the decoder writes does not matter."""
    from sentence_transformers import SentenceTransformer

    limit = vae.bundle.encoder_tokenizer.max_length
    assert limit == 128
    text = " ".join(CORPUS * 50)
    expected = SentenceTransformer(str(base), device="cpu")
    expected.max_seq_length = limit
    np.testing.assert_allclose(vae.embed([text]), expected.encode([text]), atol=1e-5)
