"""Measures of samples on texts whose values are known."""

import math
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tiny import SENTENCES, tiny_dataset, tiny_vae
from textvae.errors import ConfigError, DataError
from textvae.evaluation.measures import MEASURES, EvaluationInput, MeasureSettings, run_model
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.samples import distinct_share
from textvae.evaluation.measures.subject import EvaluationTexts, take_evenly
from textvae.inference.encode import encode

TRAINING = [
    "a man rides a horse .",
    "two dogs run in the park .",
    "a child sings",
    "two dogs run in the snow .",
]


@pytest.fixture(scope="module")
def base():
    bundle = tiny_vae().bundle
    dataset = tiny_dataset(bundle)
    return EvaluationInput(
        bundle, dataset, run_model(bundle, dataset), 1, 0, progress=False, training=TRAINING
    )


@pytest.fixture
def writing(base, monkeypatch):
    """Gives the subject of a model that writes the texts one names."""

    def subject(texts, **settings):
        monkeypatch.setattr(EvaluationTexts, "samples", texts)
        return replace(base, settings=MeasureSettings(**settings))

    return subject


def test_distinct_is_the_share_of_different_ngrams(writing):
    """By hand; n-grams do not cross sentences, and too short a text has none."""
    record = MEASURES["diversity"](writing(["a b a b", "a b", "c"]))
    assert record["distinct_1"] == pytest.approx(3 / 7)
    assert record["distinct_2"] == pytest.approx(2 / 4)
    assert record["distinct_3"] == pytest.approx(2 / 2)
    assert record["prior_words_per_sentence"] == pytest.approx((5 + 3 + 2) / 3)
    assert distinct_share(["", "a"], 2) == 0


def test_samples_that_are_all_the_same_have_a_self_bleu_of_a_hundred(writing):
    """And those that share no word, of 0; one more like another raises it."""
    assert MEASURES["self_bleu"](writing(["a red dog runs home"] * 3))[
        "self_bleu"
    ] == pytest.approx(100)
    assert MEASURES["self_bleu"](writing(["a b c d", "e f g h", "i j k l"]))[
        "self_bleu"
    ] == pytest.approx(0, abs=1e-9)
    far = MEASURES["self_bleu"](
        writing(["a man rides a horse", "two dogs run in snow", "a man sees a horse"])
    )
    near = MEASURES["self_bleu"](
        writing(["a man rides a horse", "a man rides a dog", "a man sees a horse"])
    )
    assert far["self_bleu"] < near["self_bleu"]


def test_self_bleu_is_of_no_more_samples_than_asked_for(writing):
    """The number is in the record."""
    of = writing(["a b c d"] * 3 + ["zzz"] * 9, self_bleu_samples=3)
    assert MEASURES["self_bleu"](of) == {"self_bleu": pytest.approx(100), "self_bleu_samples": 3}


def test_forward_and_reverse_are_the_perplexities_of_the_two_models(writing):
    """Each learned from one text and asked of the other; beside them real text in the samples' place."""
    samples = ["two dogs sing", "a man", ""]
    record = MEASURES["forward_reverse"](writing(samples))
    assert record["forward_ppl"] == NGramModel(TRAINING).perplexity(samples)
    assert record["reverse_ppl"] == NGramModel(samples).perplexity(SENTENCES)
    assert record["forward_ppl_real"] == NGramModel(TRAINING).perplexity(SENTENCES)
    assert record["reverse_ppl_real"] == NGramModel(take_evenly(TRAINING, 3)).perplexity(SENTENCES)
    assert record["forward_unknown"] == pytest.approx(1 / 5)  # "sing"


def test_a_sampler_that_copies_the_training_text_reads_well_and_is_not_novel(writing):
    """Its forward perplexity is lower than real text's, its reverse one that of as much real text."""
    of = writing(TRAINING)
    record = {**MEASURES["forward_reverse"](of), **MEASURES["novelty"](of)}
    assert record["forward_ppl"] < record["forward_ppl_real"]
    assert record["reverse_ppl"] == pytest.approx(record["reverse_ppl_real"])
    assert record["novel"] == 0
    assert record["seen_4grams"] == 1


def test_novelty_equals_a_slow_count(writing):
    """A sentence counts as seen letter by letter, a 4-gram word by word; texts of no 4-gram have no say in its mean."""
    samples = [
        "a child sings",
        "A child sings",
        "two dogs run in a park .",
        "a man rides a horse .",
    ]
    record = MEASURES["novelty"](writing(samples))
    grams = Counter(
        tuple(row[i : i + 4]) for row in map(str.split, TRAINING) for i in range(len(row) - 3)
    )
    shares = [
        sum(tuple(row[i : i + 4]) in grams for i in range(len(row) - 3)) / (len(row) - 3)
        for row in map(str.split, samples)
        if len(row) > 3
    ]
    assert record["novel"] == 2 / 4
    assert record["seen_4grams"] == pytest.approx(sum(shares) / len(shares))


def test_texts_are_thinned_evenly():
    """All where there are no more than asked for."""
    assert take_evenly(TRAINING, 99) == TRAINING
    assert take_evenly(list("abcdefgh"), 3) == ["a", "c", "f"]


def test_mauve_is_asked_of_real_and_written_texts_by_the_posterior_means_or_what_is_given(
    writing, monkeypatch
):
    """The stand-in for the package sees a row a text."""
    seen = {}

    def compute_mauve(**given):
        seen.update(given)
        return SimpleNamespace(mauve=np.float64(0.25))

    monkeypatch.setitem(sys.modules, "mauve", SimpleNamespace(compute_mauve=compute_mauve))
    of = writing(["two dogs run .", ""])
    assert MEASURES["mauve"](of) == {"mauve": 0.25, "mauve_features": "posterior means"}
    np.testing.assert_allclose(seen["p_features"], encode(of.bundle, SENTENCES))
    assert seen["q_features"].shape == (2, of.outputs.mean.shape[1])
    given = writing(["two dogs run .", ""], features=lambda texts: [[len(text)] for text in texts])
    assert MEASURES["mauve"](given)["mauve_features"] == "given"
    assert seen["q_features"].tolist() == [[14], [0]]
    with pytest.raises(
        DataError, match=r"features of 6 texts are of shape \(6,\); wanted is a finite row a text"
    ):
        MEASURES["mauve"](writing(["a", "b"], features=lambda texts: [math.nan for _ in texts]))


def test_a_missing_package_names_the_command_that_brings_it(writing, monkeypatch):
    """It is imported by this measure alone."""
    monkeypatch.setitem(sys.modules, "mauve", None)
    with pytest.raises(ConfigError, match=r"pip install 'textvae\[mauve\]'"):
        MEASURES["mauve"](writing(["a", "b"]))


def test_samples_are_drawn_unless_asked_to_be_greedy(base):
    """By the subject's seed; greedily, z alone makes them differ."""
    few = replace(base, settings=MeasureSettings(prior_samples=6))
    assert few.texts.samples == replace(few).texts.samples
    assert few.texts.samples != replace(few, seed=1).texts.samples
    greedy = replace(few, settings=MeasureSettings(prior_samples=6, greedy=True))
    assert greedy.texts.samples != few.texts.samples
    assert MEASURES["diversity"](greedy)["prior_decoding"] == "greedy"
