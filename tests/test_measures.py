"""Measures: every entry of the table runs on a real, tiny model and gives finite numbers."""

import math
import sys

import pytest
import torch

from tests.tiny import SENTENCES, WRITERS, tiny_dataset, tiny_vae
from textvae.bundle import Bundle
from textvae.card import ROWS
from textvae.errors import DataError
from textvae.evaluation import evaluate
from textvae.measures import MEASURES, QUICK, Subject, gather


@pytest.fixture(scope="module")
def bundle():
    return tiny_vae().bundle


@pytest.fixture(scope="module")
def subject(bundle):
    dataset = tiny_dataset(bundle)
    return Subject(bundle, dataset, gather(bundle, dataset), samples=5, seed=0, progress=False)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_finite_numbers_or_words(name, subject):
    """At least one of them is a number."""
    record = MEASURES[name](subject)
    numbers = [value for value in record.values() if isinstance(value, int | float)]
    assert numbers
    assert all(math.isfinite(number) for number in numbers)
    assert all(isinstance(value, int | float | str) for value in record.values())


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_repeatable(name, subject):
    """The same model, sentences and seed give the same record."""
    assert MEASURES[name](subject) == MEASURES[name](subject)


def test_no_two_measures_use_the_same_name(subject):
    """Their records are merged into one."""
    names = [key for measure in MEASURES.values() for key in measure(subject)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("writer", WRITERS)
def test_the_record_holds_all_that_the_card_shows_and_a_verdict(writer):
    """For every decoder; its gates hold."""
    bundle = tiny_vae(writer).bundle
    record = evaluate(bundle, tiny_dataset(bundle), samples=20)
    assert set(ROWS) <= set(record)
    assert record["sentences"] == len(SENTENCES)
    assert record["verdict"] in ("healthy", "weak", "collapsed")
    assert record["mi_full"] <= record["mi_full_cap"]
    assert record["iw_nll"] <= -record["elbo"] + 3 * record["iw_nll_stderr"]
    assert 0 <= record["bleu"] <= 100


def test_the_counts_are_those_of_the_sentences_with_their_ends(subject):
    """Words at white space, tokens by the tokenizer, one more for the end."""
    record = MEASURES["elbo"](subject)
    words = sum(len(text.split()) + 1 for text in SENTENCES) / len(SENTENCES)
    assert record["words_per_sentence"] == pytest.approx(words)
    assert record["tokens_per_sentence"] == pytest.approx(words)  # the tokenizer's words are the same


def test_measures_do_not_depend_on_how_sentences_share_batches(subject):
    """Each sentence alone, given the latent it was measured with, costs the same."""
    bundle, dataset = subject.bundle, subject.dataset
    for row in range(len(dataset)):
        batch = bundle.batch([dataset[row]["input_ids"]])
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        with torch.no_grad():
            output = bundle.model(**inputs, latent=subject.evidence.latent[row : row + 1])
        torch.testing.assert_close(output.sentence_reconstruction[0], subject.evidence.reconstruction[row])


def test_dropout_is_off_while_measuring(bundle):
    """Even if the model comes in training mode."""
    dataset = tiny_dataset(bundle)
    expected = evaluate(bundle, dataset, measures=QUICK)
    assert evaluate(Bundle(bundle.model.train(), bundle.tokenizer), dataset, measures=QUICK) == expected


def test_an_empty_data_set_is_refused(bundle):
    """The message says so."""
    with pytest.raises(DataError, match="there is no sentence to measure on"):
        evaluate(bundle, tiny_dataset(bundle).select([]))


def test_a_text_written_as_it_was_has_a_bleu_of_a_hundred(subject, monkeypatch):
    """And one that shares no word with it, of 0."""
    module = sys.modules["textvae.measures.bleu"]  # the package's name for it is the function
    monkeypatch.setattr(module, "write", lambda *_, **__: [text.upper() for text in SENTENCES])
    assert MEASURES["bleu"](subject)["bleu"] == pytest.approx(100)
    monkeypatch.setattr(module, "write", lambda *_, **__: ["zzz"] * len(SENTENCES))
    assert MEASURES["bleu"](subject)["bleu"] == 0
