"""Uses: encode, decode, reconstruct, generate and complete, on a tiny model."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny import DECODER_SETTINGS, LATENT, SENTENCES, draws, tiny_vae
from textvae.errors import ConfigError, DataError, ShapeError
from textvae.inference.generate import sample_prior
from textvae.uses.latent_proposals import propose_latents

PREFIXES = ["a man", "two old m", "the", ""]


def test_encoding_keeps_the_order_and_equals_encoding_one_by_one(lstm):
    """Whatever batches the sentences shared."""
    alone = np.concatenate([lstm.encode(text) for text in SENTENCES])
    for size in (1, 2, 100):
        np.testing.assert_allclose(lstm.encode(SENTENCES, batch_size=size), alone, atol=1e-5)


def test_encoding_in_blocks_keeps_the_order(lstm, monkeypatch):
    """Only a block is sorted and in memory at once."""
    whole = lstm.posterior(SENTENCES)
    monkeypatch.setattr(sys.modules["textvae.inference.encode"], "_SENTENCES_PER_BLOCK", 4)
    in_blocks = lstm.posterior(SENTENCES)
    torch.testing.assert_close(in_blocks.mean, whole.mean)
    torch.testing.assert_close(in_blocks.logvar, whole.logvar)
    np.testing.assert_array_equal(lstm.encode(SENTENCES), in_blocks.mean.numpy())


def test_the_encoding_is_the_posterior_mean(lstm):
    """One string counts as a list of one, no string as none."""
    q = lstm.posterior(SENTENCES)
    np.testing.assert_array_equal(lstm.encode(SENTENCES), q.mean.numpy())
    assert q.logvar.shape == (len(SENTENCES), LATENT)
    assert lstm.encode(SENTENCES[0]).shape == (1, LATENT)
    assert lstm.encode([]).shape == (0, LATENT)


def test_a_text_longer_than_the_model_is_read_as_far_as_it_goes(lstm):
    """Its end is cut off, with no error."""
    words = " ".join(["a man rides"] * 20)
    np.testing.assert_allclose(
        lstm.encode(words), lstm.encode(" ".join(words.split()[:11])), atol=1e-6
    )


def test_decoding_an_encoding_is_deterministic_and_reconstructs(vae):
    """decode(encode(x)) twice, and reconstruct(x), give the same texts."""
    texts = vae.decode(vae.encode(SENTENCES))
    assert vae.decode(vae.encode(SENTENCES)) == texts
    assert vae.reconstruct(SENTENCES) == texts


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_decoding_does_not_depend_on_the_batch_size(vae, batch_size):
    """Each text is written from its own z, in the order given."""
    z = 2 * draws(7, LATENT).numpy()
    assert vae.decode(z, batch_size=batch_size) == [text for row in z for text in vae.decode(row)]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_greedy_generation_does_not_depend_on_the_batch_size(vae, batch_size):
    """The draws from the prior are made at once."""
    assert vae.generate(7, batch_size=batch_size, do_sample=False) == vae.generate(
        7, do_sample=False
    )


def test_the_same_seed_gives_the_same_texts_and_another_seed_others(vae):
    """Sampled from the prior."""
    assert vae.generate(6, seed=3) == vae.generate(6, seed=3)
    assert vae.generate(6, seed=3) != vae.generate(6, seed=4)


def test_generating_leaves_the_global_random_numbers_alone(lstm):
    """A training loop around it draws what it would have drawn."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    lstm.generate(3)
    lstm.complete("a man", n=2)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", ["bpe", "byte", "character"])
def test_completions_begin_with_their_prefix(kind, prefix):
    """Also one that ends within a word; there are as many as asked for."""
    texts = tiny_vae(kind=kind).complete(prefix, n=4, max_new_tokens=6)
    assert len(texts) == 4
    assert [text for text in texts if not text.startswith(prefix)] == []


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
@pytest.mark.parametrize("prefix", ["a man", "two old men play", ""])
def test_completions_begin_with_the_words_of_their_prefix(writer, prefix):
    """With a tokenizer of words, for every decoder."""
    assert all(text.startswith(prefix) for text in tiny_vae(writer).complete(prefix, n=4))


@pytest.mark.parametrize("prefix", ["a zebra", "A man", "the river."])
def test_completions_begin_with_their_prefix_where_the_tokenizer_does_not_know_its_words(prefix):
    """What the user wrote stands there, not `<unk>`."""
    assert [text for text in tiny_vae().complete(prefix, n=4) if not text.startswith(prefix)] == []


def test_completions_are_those_of_their_seed(vae):
    """Sampled by default."""
    assert vae.complete("a man", n=6, seed=1) == vae.complete("a man", n=6, seed=1)
    assert vae.complete("a man", n=6, seed=1) != vae.complete("a man", n=6, seed=2)


def test_a_latent_for_a_prefix_makes_it_likelier_than_the_prior_does(lstm):
    """Importance resampling, by the prefix's own likelihood."""
    prefix = lstm.tokenizer("a man rides", add_special_tokens=False)["input_ids"]
    inputs, labels = torch.tensor([[1, *prefix[:-1]]]), torch.tensor([prefix])

    def cost(z):
        with torch.no_grad():
            rows = inputs.expand(len(z), -1), None, labels.expand(len(z), -1)
            return lstm.model(*rows, latent=z).sentence_reconstruction.mean().item()

    assert (
        cost(propose_latents(lstm.bundle, ["a man rides"], 200, seed=1))
        < cost(sample_prior(lstm.bundle, 200, seed=2)) - 0.1
    )


def test_a_prefix_with_no_room_behind_it_is_refused(lstm):
    """The message says how long it is and how long it may be."""
    with pytest.raises(DataError, match="the prefix has 12 tokens; this model writes at most 12"):
        lstm.complete(" ".join(["a"] * 12))


def test_a_temperature_asks_for_sampling_and_beams_for_none(lstm):
    """A verb that is greedy by habit samples when told how, and one that samples searches when told to."""
    z = lstm.encode(SENTENCES)
    assert lstm.decode(z, temperature=3.0) != lstm.decode(z)
    assert lstm.generate(4, num_beams=2) == lstm.generate(4, num_beams=2, do_sample=False)


def test_nothing_in_gives_nothing_out(lstm):
    """No texts, no latents, no draws."""
    assert lstm.decode(lstm.encode([])) == lstm.reconstruct([]) == lstm.generate(0) == []


def test_unknown_options_and_latents_of_another_size_are_refused(lstm):
    """The first with the nearest known one."""
    with pytest.raises(
        ConfigError, match=r"decoding\.temperatur is not a setting: did you mean 'temperature'"
    ):
        lstm.generate(1, temperatur=2.0)
    with pytest.raises(ShapeError, match=r"z is \(2, 3\); wanted is \(n, 4\)"):
        lstm.decode([[0.0] * 3] * 2)
    with pytest.raises(DataError, match=r"text 1 is None \(missing\); expected a string"):
        lstm.encode(["a man", None])


BLANK = {
    "interpolate": lambda vae: vae.interpolate("a man", " "),
    "analogy": lambda vae: vae.analogy("a man", "", "two dogs run ."),
    "traverse": lambda vae: vae.traverse("", 0, reference=["a man", "two dogs run ."]),
}


@pytest.mark.parametrize("verb", BLANK)
def test_a_blank_text_is_refused(lstm, verb):
    """Rather than answered with what is nobody's."""
    with pytest.raises(DataError, match="expected a text, got a blank one"):
        BLANK[verb](lstm)


GAPS = ["a man", "", "two dogs run .", " \t"]
RECORDS = {"score": {"samples": 2}, "uncertainty": {"draws": 2}}


@pytest.mark.parametrize("verb", RECORDS)
def test_a_blank_text_has_a_record_of_nothing(lstm, capsys, verb):
    """The others have what they have without it, and a note says which are blank."""
    records = getattr(lstm, verb)(GAPS, **RECORDS[verb])
    assert set(records[1].values()) == set(records[3].values()) == {None}
    assert [records[0], records[2]] == getattr(lstm, verb)([GAPS[0], GAPS[2]], **RECORDS[verb])
    assert records[0].keys() == records[1].keys()
    assert "texts: 2 of 4 rows are blank (rows 2, 4): None in the result" in capsys.readouterr().err


def test_a_blank_text_is_neither_reconstructed_nor_edited(lstm, capsys):
    """None stands in its place."""
    attribute = lstm.fit_attribute(["a man", "two dogs"] * 4, [0, 1] * 4)
    for written in (lstm.reconstruct(GAPS), lstm.edit(GAPS, attribute)):
        assert [text is None for text in written] == [False, True, False, True]
    assert capsys.readouterr().err.count("2 of 4 rows are blank") == 2
    assert lstm.reconstruct([""]) == [None]


def test_the_posterior_of_a_blank_text_is_not_a_number(lstm):
    """The others are what they are without it."""
    q, others = lstm.posterior(GAPS), lstm.posterior([GAPS[0], GAPS[2]])
    assert q.mean.isnan().all(dim=1).tolist() == [False, True, False, True]
    assert torch.allclose(q.mean[[0, 2]], others.mean)


@pytest.mark.parametrize(
    "z", [{"a": 1}, "text", b"text", [["one"]], pd.Series([[0.0], [1.0]]), [[0.0], [1.0, 2.0]]]
)
def test_what_is_no_array_of_numbers_is_not_decoded(lstm, z):
    """One message says what came."""
    with pytest.raises(DataError, match=r"z is .*; expected an array of numbers"):
        lstm.decode(z)


def test_the_name_of_a_file_is_no_text(lstm, tmp_path, monkeypatch):
    """Verbs in Python take sentences; in a list a name is one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("text\na man\n")
    with pytest.raises(DataError, match=r"texts is 'data.csv', the name of a file"):
        lstm.encode("data.csv")
    assert lstm.encode(["data.csv"]).shape == lstm.encode("other.csv").shape
