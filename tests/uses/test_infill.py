"""Infilling: what is visible stays, blanks get words of every length, the likeliest sentence comes first."""

import json

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, draws, tiny_vae
from textvae.cli.main import main
from textvae.data.tokenization import encode_batch
from textvae.errors import ConfigError, DataError
from textvae.uses.infill.infill import METHODS
from textvae.uses.infill.search import beam_search_latents, log_likelihoods, search_latents
from textvae.uses.infill.template import parse_template
from textvae.uses.latent_proposals import log_evidence, sample_weighted_latents

FEW = {"latents": 16, "beams": 3}
TEXT = "a man ___ a ___ horse ."


@pytest.mark.parametrize("method", METHODS)
def test_what_is_visible_stands_where_it_stood(vae, method):
    """Every sentence is the text with its blanks filled, with words, and no two are the same."""
    found = vae.infill(TEXT, n=4, method=method, **FEW)
    assert 1 <= len({row["text"] for row in found}) == len(found) <= 4
    for row in found:
        assert row["text"] == "a man {} a {} horse .".format(*row["fills"])
        assert all(1 <= len(fill.split()) <= 4 for fill in row["fills"])
        assert all(
            word in " ".join(SENTENCES).split() for fill in row["fills"] for word in fill.split()
        )


@pytest.mark.parametrize("kind", ["bpe", "character", "byte"])
def test_words_are_kept_verbatim_whatever_the_tokens_are(kind):
    """Spaces and marks beside a blank included; a blank is one word or more."""
    vae = tiny_vae(kind=kind, seed=1)  # one whose bytes make letters
    vae.model.generation_config.update(max_new_tokens=60)
    found = vae.infill("a man ___ red ___.", n=3, most_tokens=3, latents=16, beams=6)
    assert found
    for row in found:
        assert row["text"] == "a man {} red {}.".format(*row["fills"])
        assert all(fill == fill.strip() != "" for fill in row["fills"])


def test_the_likeliest_comes_first_by_the_whole_sentence(vae):
    """The scores are importance-weighted log p(x), highest first."""
    found = vae.infill("two ___ in the park .", n=5, **FEW)
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)
    again = log_likelihoods(vae.bundle, [row["text"] for row in found], 400, seed=9)
    np.testing.assert_allclose(scores, again, atol=5)


def test_the_same_seed_gives_the_same_fills(lstm):
    """And another seed other ones."""
    first, again, other = (lstm.infill("___ the ___ park", seed=seed, **FEW) for seed in (1, 1, 2))
    assert first == again != other


def test_a_beam_scores_what_it_writes(vae):
    """Its score is log p(x | z) but for what all begin with, whichever decoder writes; each z has its own."""
    bundle, z = vae.bundle, draws(2, vae.latent_dim)
    template = parse_template(bundle, TEXT)
    under = list(beam_search_latents(bundle, template, [(1, 2), (2, 1), (1, 1)], z, 3))
    assert [len({(each.text, *each.fills) for each in found}) for found in under] == [9, 9]
    for at, found in enumerate(under):
        constants = []
        for each in found:
            batch = bundle.make_batch(encode_batch(vae.tokenizer, [each.text]))
            rows = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
            constants.append(
                each.score + float(vae.model(**rows, latent=z[at : at + 1]).sentence_reconstruction)
            )
        np.testing.assert_allclose(constants, constants[0], atol=1e-3)


def test_every_latent_offers_its_best(lstm):
    """What is found under several is what is found under each, however many are searched at once."""
    z, lengths, template = (
        draws(3, lstm.latent_dim),
        [(1, 1), (2, 1)],
        parse_template(lstm.bundle, TEXT),
    )
    together = search_latents(lstm.bundle, template, lengths, z, 3, 2)
    alone = [search_latents(lstm.bundle, template, lengths, each.unsqueeze(0), 3, 2) for each in z]
    assert all(len(found) == 2 for found in alone)
    assert together == alone[0] | alone[1] | alone[2]


def test_lengths_that_fit_are_tried():
    """All of them where they are few; never more tokens than there is room for."""
    template = parse_template(tiny_vae().bundle, "two ___ run ___")
    assert template.lengths(2, room=12, count=16, seed=0) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert template.lengths(5, room=5, count=16, seed=0) == [(1, 1), (1, 2), (2, 1)]
    many = template.lengths(9, room=40, count=10, seed=0)
    assert len(many) == len(set(many)) == 10
    assert (1, 1) in many


def test_the_evidence_of_a_beginning_is_the_sum_over_its_continuations(lstm):
    """Averaged over draws from the prior alone it is the same."""
    with torch.inference_mode():
        z, _ = sample_weighted_latents(lstm.bundle, "two old", 3000, seed=0)
        prior = lstm.model.prior.sample(3000)
        plain = (
            lstm.model(**beginning(lstm, 3000), latent=prior).token_reconstruction[:, :-1].sum(1)
        )
    assert z.shape == (6000, lstm.latent_dim)
    naive = float((-plain.double()).logsumexp(0)) - np.log(3000)
    assert log_evidence(lstm.bundle, "two old", 3000, seed=1) == pytest.approx(naive, abs=0.15)


def beginning(vae, rows):
    batch = vae.bundle.make_batch([vae.tokenizer("two old", add_special_tokens=False)["input_ids"]])
    return {
        name: batch[name].expand(rows, -1) for name in ("input_ids", "attention_mask", "labels")
    }


def test_a_language_model_fills_by_beams_and_samples():
    """It has no latent to look for; its scores are exact."""
    vae = tiny_vae()
    config = type(vae.model.config)(**{**vae.model.config.to_dict(), "latent_dim": 0})
    model = type(vae)(type(vae.model)(config), vae.tokenizer)
    model.model.generation_config.update(max_new_tokens=12)
    for method in ("beam_search", "resampling"):
        for row in model.infill(TEXT, method=method, **FEW):
            exact = -model.score(row["text"], samples=2)[0]["elbo"]
            assert row["score"] == pytest.approx(exact if exact < 0 else -exact, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a man rides .", "has no blank"),
        ("___ ___", "nothing but blanks"),
        ("a ___ zebra unicorn", "does not know: zebra, unicorn"),
        (
            " ".join(["___ man"] * 7),
            "7 visible tokens and 7 blanks: this model writes at most 11 tokens",
        ),
    ],
)
def test_what_cannot_be_filled_is_refused(lstm, text, words):
    """With what came and what to write instead."""
    with pytest.raises(DataError, match=words):
        lstm.infill(text)


@pytest.mark.parametrize("kind", ["bpe", "word", "character", "byte"])
def test_a_blank_within_a_word_is_refused(kind):
    """Before, in and after it, however words become tokens; a mark beside a blank is none of its."""
    vae = tiny_vae(kind=kind)
    for text in ("a m___n rides", "a man ri___ .", "a ___es .", "a man ___2"):
        with pytest.raises(DataError, match="whole words"):
            vae.infill(text)


def test_an_unknown_method_is_refused():
    """The nearest is named."""
    with pytest.raises(ConfigError, match="did you mean 'beam_search'"):
        tiny_vae().infill(TEXT, method="beam")


def test_the_command_prints_sentences_with_their_scores(tiny_run, capsys):
    """With --json each is an object; wrong input ends with code 2."""
    command = [
        "infill",
        str(tiny_run),
        "the dog ___ his ___.",
        "-n",
        "2",
        "--latents",
        "8",
        "--device",
        "cpu",
    ]
    assert main([*command, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(row["text"].startswith("the dog ") and row["text"].endswith(".") for row in rows)
    assert main(["infill", str(tiny_run), "the dog", "--device", "cpu"]) == 2
    assert "has no blank" in capsys.readouterr().err
