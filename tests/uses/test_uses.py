"""Uses: encode, decode, reconstruct, generate and complete, on a tiny model."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny import DECODER_SETTINGS, LATENT, SENTENCES, draws, tiny_vae
from textvae.errors import ConfigError, DataError, ShapeError
from textvae.inference.generate import sample_prior
from textvae.inference.settings import DEFAULT_TEMPERATURE
from textvae.uses.latent_proposals import propose_latents

PREFIXES = ["a man", "two old m", "the", ""]


def test_encoding_keeps_the_order_and_equals_encoding_one_by_one(lstm):
    """The batch size does not matter."""
    alone = np.concatenate([lstm.encode(text) for text in SENTENCES])
    for size in (1, 2, 100):
        np.testing.assert_allclose(lstm.encode(SENTENCES, batch_size=size), alone, atol=1e-5)


def test_encoding_in_blocks_keeps_the_order(lstm, monkeypatch):
    """Sentences are sorted by length within a block, and only one block is in memory."""
    at_once = lstm.posterior(SENTENCES)
    monkeypatch.setattr(sys.modules["textvae.inference.encode"], "_SENTENCES_PER_BLOCK", 4)
    in_blocks = lstm.posterior(SENTENCES)
    torch.testing.assert_close(in_blocks.mean, at_once.mean)
    torch.testing.assert_close(in_blocks.logvar, at_once.logvar)
    np.testing.assert_array_equal(lstm.encode(SENTENCES), in_blocks.mean.numpy())


def test_the_encoding_is_the_posterior_mean(lstm):
    """A single string counts as a list of one; an empty list gives no rows."""
    q = lstm.posterior(SENTENCES)
    np.testing.assert_array_equal(lstm.encode(SENTENCES), q.mean.numpy())
    assert q.logvar.shape == (len(SENTENCES), LATENT)
    assert lstm.encode(SENTENCES[0]).shape == (1, LATENT)
    assert lstm.encode([]).shape == (0, LATENT)


def test_only_the_beginning_of_a_too_long_text_is_encoded(lstm):
    """The end is cut off without an error."""
    text = " ".join(["a man rides"] * 20)
    beginning = " ".join(text.split()[:11])
    np.testing.assert_allclose(lstm.encode(text), lstm.encode(beginning), atol=1e-6)


def test_decoding_an_encoding_is_deterministic_and_reconstructs(vae):
    """decode(encode(x)) gives the same texts twice, and so does reconstruct(x)."""
    texts = vae.decode(vae.encode(SENTENCES))
    assert vae.decode(vae.encode(SENTENCES)) == texts
    assert vae.reconstruct(SENTENCES) == texts


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_decoding_does_not_depend_on_the_batch_size(vae, batch_size):
    """Each text is decoded from its own z, in the order of the rows."""
    z = 2 * draws(7, LATENT).numpy()
    assert vae.decode(z, batch_size=batch_size) == [text for row in z for text in vae.decode(row)]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_greedy_generation_does_not_depend_on_the_batch_size(vae, batch_size):
    """All samples from the prior are drawn at once, before batches are formed."""
    expected = vae.generate(7, do_sample=False, seed=0)
    assert vae.generate(7, batch_size=batch_size, do_sample=False, seed=0) == expected


def test_the_same_seed_gives_the_same_texts_and_another_seed_others(vae):
    """The seed decides both the samples from the prior and the tokens."""
    assert vae.generate(6, seed=3) == vae.generate(6, seed=3)
    assert vae.generate(6, seed=3) != vae.generate(6, seed=4)


def test_without_a_seed_each_call_writes_other_texts(lstm):
    """It holds even if the caller has seeded torch."""
    calls = []
    for _ in range(4):
        torch.manual_seed(5)
        calls.append((lstm.generate(3), lstm.complete("a man", n=3)))
    assert len({str(texts) for texts, _ in calls}) == 4
    assert len({str(texts) for _, texts in calls}) == 4


def test_generating_does_not_change_the_global_random_numbers(lstm):
    """A training loop that generates in between gets the same random numbers as without."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    lstm.generate(3)
    lstm.complete("a man", n=2)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", ["bpe", "byte", "character"])
def test_completions_begin_with_their_prefix(kind, prefix):
    """The prefix may end within a word. There are as many completions as asked for."""
    texts = tiny_vae(kind=kind).complete(prefix, n=4, max_new_tokens=6)
    assert len(texts) == 4
    assert [text for text in texts if not text.startswith(prefix)] == []


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
@pytest.mark.parametrize("prefix", ["a man", "two old men play", ""])
def test_completions_of_every_decoder_begin_with_the_words_of_their_prefix(writer, prefix):
    """The tokens of this tokenizer are whole words."""
    assert all(text.startswith(prefix) for text in tiny_vae(writer).complete(prefix, n=4))


@pytest.mark.parametrize("prefix", ["a zebra", "A man", "the river."])
def test_completions_begin_with_their_prefix_even_if_its_words_are_unknown(prefix):
    """They contain the words of the user, not `<unk>`."""
    assert [text for text in tiny_vae().complete(prefix, n=4) if not text.startswith(prefix)] == []


def test_completions_depend_on_the_seed(vae):
    """Tokens are sampled by default."""
    assert vae.complete("a man", n=6, seed=1) == vae.complete("a man", n=6, seed=1)
    assert vae.complete("a man", n=6, seed=1) != vae.complete("a man", n=6, seed=2)


def test_latents_proposed_for_a_prefix_make_it_likelier_than_those_of_the_prior(lstm):
    """They are resampled by the likelihood of the prefix."""
    prefix = lstm.tokenizer("a man rides", add_special_tokens=False)["input_ids"]
    inputs = torch.tensor([[1, *prefix[:-1]]])
    labels = torch.tensor([prefix])

    def cost(z):
        with torch.no_grad():
            rows = inputs.expand(len(z), -1), None, labels.expand(len(z), -1)
            return lstm.model(*rows, latent=z).sentence_reconstruction.mean().item()

    proposed = propose_latents(lstm.bundle, "a man rides", 200, seed=1)
    from_prior = sample_prior(lstm.bundle, 200, seed=2)
    assert cost(proposed) < cost(from_prior) - 0.1


def test_a_prefix_as_long_as_the_longest_sentence_is_refused(lstm):
    """The message says how long it is and what the limit is."""
    with pytest.raises(DataError, match="has 12 tokens and leaves no place for the end token"):
        lstm.complete(" ".join(["a"] * 12))


def test_a_temperature_turns_sampling_on_and_beams_turn_it_off(lstm):
    """The options override whether a verb samples by default."""
    z = lstm.encode(SENTENCES)
    assert lstm.decode(z, temperature=3.0) != lstm.decode(z)
    beams = lstm.generate(4, num_beams=2, seed=0)
    assert beams == lstm.generate(4, num_beams=2, do_sample=False, seed=0)


def test_sampling_has_a_default_temperature_that_the_generation_config_may_replace(lstm):
    """An option has priority over both."""
    default = lstm.generate(4, temperature=DEFAULT_TEMPERATURE, seed=0)
    assert lstm.generate(4, seed=0) == lstm.generate(4, top_p=1.0, seed=0) == default
    vae = tiny_vae()
    vae.model.generation_config.update(temperature=3.0)
    assert vae.generate(4, seed=0) == lstm.generate(4, temperature=3.0, seed=0) != default
    assert vae.generate(4, temperature=DEFAULT_TEMPERATURE, seed=0) == default


def test_the_number_of_beams_may_come_from_the_generation_config(lstm):
    """There is one text per latent, and an option has priority."""
    vae = tiny_vae()
    vae.model.generation_config.update(num_beams=3)
    z = lstm.encode(SENTENCES)
    assert vae.decode(z) == lstm.decode(z, num_beams=3)
    assert vae.decode(z, num_beams=1) == lstm.decode(z)


def test_empty_input_gives_empty_output(lstm):
    """It is so for texts and for latents."""
    assert lstm.decode(lstm.encode([])) == lstm.reconstruct([]) == []


def test_unknown_options_and_latents_of_another_size_are_refused(lstm):
    """The message about an option names the nearest known one."""
    with pytest.raises(
        ConfigError, match=r"decoding\.temperatur is not a setting: did you mean 'temperature'"
    ):
        lstm.generate(1, temperatur=2.0)
    with pytest.raises(ShapeError, match=r"z has the shape \(2, 3\); expected \(n, 4\)"):
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
    """These verbs have no answer for a text without words."""
    with pytest.raises(DataError, match="blank"):
        BLANK[verb](lstm)


WITH_BLANKS = ["a man", "", "two dogs run .", " \t"]
RECORDS = {"score": {"samples": 2}, "uncertainty": {"draws": 2}}


@pytest.mark.parametrize("verb", RECORDS)
def test_the_record_of_a_blank_text_has_only_none(lstm, capsys, verb):
    """The other records do not change, and a note says which texts are blank."""
    call = getattr(lstm, verb)
    records = call(WITH_BLANKS, **RECORDS[verb])
    assert set(records[1].values()) == set(records[3].values()) == {None}
    others = call([WITH_BLANKS[0], WITH_BLANKS[2]], **RECORDS[verb])
    assert [records[0], records[2]] == others
    assert records[0].keys() == records[1].keys()
    assert "texts: 2 of 4 rows are blank (rows 2, 4): None in the result" in capsys.readouterr().err


def test_a_blank_text_is_neither_reconstructed_nor_edited(lstm, capsys):
    """The result is None in its place."""
    attribute = lstm.fit_attribute(["a man", "two dogs"] * 4, [0, 1] * 4)
    for decoded in (lstm.reconstruct(WITH_BLANKS), lstm.edit(WITH_BLANKS, attribute)):
        assert [text is None for text in decoded] == [False, True, False, True]
    assert capsys.readouterr().err.count("2 of 4 rows are blank") == 2
    assert lstm.reconstruct([""]) == [None]


def test_the_posterior_of_a_blank_text_is_nan(lstm):
    """The posteriors of the other texts do not change."""
    q = lstm.posterior(WITH_BLANKS)
    others = lstm.posterior([WITH_BLANKS[0], WITH_BLANKS[2]])
    assert q.mean.isnan().all(dim=1).tolist() == [False, True, False, True]
    assert torch.allclose(q.mean[[0, 2]], others.mean)


@pytest.mark.parametrize(
    "z", [{"a": 1}, "text", b"text", [["one"]], pd.Series([[0.0], [1.0]]), [[0.0], [1.0, 2.0]]]
)
def test_latents_that_are_not_an_array_of_numbers_are_refused(lstm, z):
    """The message says what came and what was expected."""
    with pytest.raises(DataError, match=r"z is .*; expected an array of numbers"):
        lstm.decode(z)


def test_the_name_of_a_file_is_refused_as_a_text(lstm, tmp_path, monkeypatch):
    """Verbs in Python take sentences. In a list, or if there is no such file, a name is a text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("text\na man\n")
    with pytest.raises(DataError, match=r"texts is 'data.csv', the name of a file"):
        lstm.encode("data.csv")
    assert lstm.encode(["data.csv"]).shape == lstm.encode("other.csv").shape
