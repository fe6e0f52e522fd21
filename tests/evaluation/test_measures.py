"""Measures: every entry of the table runs on a real, tiny model and gives finite numbers."""

import json
import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.tiny import DECODER_SETTINGS, SENTENCES, tiny_dataset, tiny_vae
from textvae.errors import ConfigError, DataError
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import (
    MEASURE_GROUPS,
    MEASURES,
    QUICK_MEASURES,
    TRAINING_TEXT_MEASURES,
    EvaluationInput,
    MeasureSettings,
    run_model,
    select_measures,
)
from textvae.inference.bundle import Bundle
from textvae.training.model_card import MEASURE_TITLES


@pytest.fixture(scope="module")
def bundle():
    return tiny_vae().bundle


@pytest.fixture(scope="module")
def subject(bundle):
    return subject_of(bundle, tiny_dataset(bundle))


@pytest.fixture(autouse=True)
def mauve_text(monkeypatch):
    """A module in the place of the optional package."""
    stand_in = SimpleNamespace(compute_mauve=lambda **_: SimpleNamespace(mauve=0.5))
    monkeypatch.setitem(sys.modules, "mauve", stand_in)


def subject_of(bundle, dataset, **changes):
    few = MeasureSettings(prior_samples=4, pairs=2, steps=3)
    evidence = run_model(bundle, dataset)
    return EvaluationInput(
        bundle, dataset, evidence, 5, 0, progress=False, training=SENTENCES, settings=few, **changes
    )


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_finite_numbers_or_words(name, subject):
    """At least one of them is a number."""
    check(MEASURES[name](subject))


def check(record):
    """Numbers, words and flat lists of numbers, as JSON has them."""
    numbers = [value for value in record.values() if isinstance(value, int | float)]
    assert numbers
    lists = [number for value in record.values() if isinstance(value, list) for number in value]
    assert all(math.isfinite(number) for number in numbers + lists)
    assert all(isinstance(value, int | float | str | list) for value in record.values())
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_of_one_or_two_sentences_is_finite_or_says_what_it_wants(name, n, bundle):
    """Interpolation wants two; nothing divides by zero."""
    of = subject_of(bundle, tiny_dataset(bundle, SENTENCES[:n]))
    if n == 1 and name in MEASURE_GROUPS["interpolation"]:
        with pytest.raises(
            DataError, match=r"1 sentence to interpolate between; at least 2 are needed"
        ):
            MEASURES[name](of)
    else:
        check(MEASURES[name](of))


@pytest.mark.parametrize("name", MEASURES)
def test_no_measure_is_of_no_sentence(name, bundle):
    """It is refused before any is asked."""
    with pytest.raises(DataError, match="there is no sentence to measure on"):
        evaluate(bundle, tiny_dataset(bundle).select([]), measures=[name], training=SENTENCES)


def test_one_sentence_shares_nothing_and_no_other_latent_costs_more(bundle):
    """The documented values: an information of 0 of 0, no active unit, no rise, no standard error."""
    record = evaluate(bundle, tiny_dataset(bundle, SENTENCES[:1]), samples=2)
    known = (
        "mi_full",
        "mi_full_cap",
        "mi_batch32",
        "active_units",
        "iw_nll_stderr",
        "aggregate_kl_stderr",
    )
    assert [record[name] for name in known] == [0] * len(known)
    assert record["shuffled_latent_increase"] == pytest.approx(0, abs=1e-5)
    assert record["aggregate_kl"] == pytest.approx(record["kl_sampled"])


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_repeatable(name, subject):
    """The same model, sentences and seed give the same record."""
    assert MEASURES[name](subject) == MEASURES[name](subject)


def test_no_two_measures_use_the_same_name(subject):
    """Their records are merged into one."""
    names = [key for measure in MEASURES.values() for key in measure(subject)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_record_holds_all_that_the_card_shows_and_a_verdict(writer):
    """For every decoder; its gates hold."""
    bundle = tiny_vae(writer).bundle
    record = evaluate(bundle, tiny_dataset(bundle), samples=20)
    assert set(MEASURE_TITLES) <= set(record)
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
    assert record["tokens_per_sentence"] == pytest.approx(
        words
    )  # the tokenizer's words are the same


def test_measures_do_not_depend_on_how_sentences_share_batches(subject):
    """Each sentence alone, given the latent it was measured with, costs the same."""
    bundle, dataset = subject.bundle, subject.dataset
    for row in range(len(dataset)):
        batch = bundle.batch([dataset[row]["input_ids"]])
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        with torch.no_grad():
            output = bundle.model(**inputs, latent=subject.outputs.latent[row : row + 1])
        torch.testing.assert_close(
            output.sentence_reconstruction[0], subject.outputs.reconstruction[row]
        )


def test_dropout_is_off_while_measuring(bundle):
    """Even if the model comes in training mode."""
    dataset = tiny_dataset(bundle)
    expected = evaluate(bundle, dataset, measures=QUICK_MEASURES)
    assert (
        evaluate(Bundle(bundle.model.train(), bundle.tokenizer), dataset, measures=QUICK_MEASURES)
        == expected
    )


@pytest.mark.parametrize("name", sorted(TRAINING_TEXT_MEASURES))
def test_what_wants_the_training_text_says_so(name, bundle):
    """And how to give it."""
    of = replace(subject_of(bundle, tiny_dataset(bundle)), training=None)
    with pytest.raises(
        DataError, match=r"need the training text.*evaluate\(\.\.\., training=texts\)"
    ):
        MEASURES[name](of)


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - TRAINING_TEXT_MEASURES))
def test_nothing_else_wants_the_training_text(name, bundle):
    """What does is refused before long work begins."""
    check(MEASURES[name](replace(subject_of(bundle, tiny_dataset(bundle)), training=None)))
    with pytest.raises(DataError, match="need the training text"):
        evaluate(bundle, tiny_dataset(bundle).select([]), measures=[name, "novelty"])


def test_measures_are_chosen_by_group_and_by_name(bundle):
    """Each once; without what it rests on there is no verdict."""
    assert list(select_measures(["elbo", "quick", "mauve"])) == [*QUICK_MEASURES, "mauve"]
    record = evaluate(bundle, tiny_dataset(bundle), measures=["elbo", "active_units"])
    assert {"elbo", "active_units", "sentences"} <= record.keys()
    assert not {"verdict", "bleu"} & record.keys()
    with pytest.raises(ConfigError, match="measures = 'smples' is unknown: did you mean 'samples'"):
        evaluate(bundle, tiny_dataset(bundle), measures=["smples"])


def test_every_measure_is_in_a_group_unless_it_wants_an_optional_package():
    """So that no group fails for want of it."""
    grouped = {name for group in MEASURE_GROUPS.values() for name in group}
    assert MEASURES.keys() - grouped == {"mauve"}


def test_token_accuracy_equals_a_slow_count(subject):
    """A sentence, and in it a token, at a time."""
    right = total = 0
    for row, mean in zip(subject.dataset["input_ids"], subject.outputs.mean, strict=True):
        batch = subject.bundle.batch([row])
        with torch.no_grad():
            logits = subject.bundle.model(batch["input_ids"], latent=mean.unsqueeze(0)).logits[0]
        for scores, label in zip(
            logits, [*row, subject.bundle.tokenizer.eos_token_id], strict=True
        ):
            right, total = right + int(scores.argmax() == label), total + 1
    assert MEASURES["token_accuracy"](subject)["token_accuracy"] == pytest.approx(right / total)


def test_sentences_are_written_once_however_many_measures_ask(bundle, monkeypatch):
    """From the prior, for instance."""
    of, calls = subject_of(bundle, tiny_dataset(bundle)), []
    module = sys.modules["textvae.evaluation.measures.subject"]
    written = module.generate
    monkeypatch.setattr(
        module, "generate", lambda *given, **more: calls.append(1) or written(*given, **more)
    )
    for measure in MEASURE_GROUPS["samples"].values():
        measure(of)
    assert calls == [1]


def test_a_text_written_as_it_was_has_a_bleu_of_a_hundred(subject, monkeypatch):
    """And one that shares no word with it, of 0; letter case is a difference only to the exact match."""
    module = sys.modules["textvae.evaluation.measures.subject"]
    for written, score, share in (
        (subject.texts.readable, 100, 1),
        ([text.upper() for text in SENTENCES], 100, 0),
        (["zzz"] * len(SENTENCES), 0, 0),
    ):
        monkeypatch.setattr(module, "write", lambda *_, texts=written, **__: texts)
        record = MEASURES["bleu"](replace(subject))
        assert record["bleu"] == pytest.approx(score)
        assert record["exact_match"] == share
