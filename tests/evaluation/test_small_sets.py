"""Warnings about sets that are too small for a measure."""

import json
import shutil

import pytest

from tests.tiny import SENTENCES, tiny_dataset, tiny_vae
from textvae.cli.rendering import format_checkup, format_evaluation
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.settings import MeasureSettings
from textvae.evaluation.small_sets import (
    LIMITS,
    list_size_warnings,
    list_unreliable_measures,
)
from textvae.vae import TextVAE


def make_record(limit, count):
    """Return a record with the measures of a limit, on a set of this size."""
    return {limit.size: count, **dict.fromkeys(limit.keys, 1.0)}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.title}-{limit.size}")
def test_a_measure_is_unreliable_below_its_limit_and_not_at_it(limit):
    """At the limit, no other limit concerns the same measures on the same set."""
    assert set(limit.keys) == set(list_unreliable_measures(make_record(limit, limit.least - 1)))
    assert list_unreliable_measures(make_record(limit, limit.least)) == []


def test_three_sentences_give_one_warning_that_names_the_measures_and_their_limits():
    """The warning is for people, and the list of keys for programs."""
    record = {"sentences": 3, "bleu": 12.0, "exact_match": 0.3, "iw_nll_stderr": 2.0, "elbo": -9.0}
    assert list_size_warnings(record) == [
        "3 sentences are too few for these measures: the standard error of the IW-NLL "
        "(at least 30); BLEU and exact matches (at least 100); use more, or do not quote them."
    ]
    assert list_unreliable_measures(record) == ["bleu", "exact_match", "iw_nll_stderr"]


def test_sentences_and_samples_are_counted_apart():
    """Ten samples are too few, though there are enough sentences."""
    record = {"sentences": 500, "bleu": 12.0, "prior_samples": 10, "distinct_1": 0.5}
    (warning,) = list_size_warnings(record)
    assert warning.startswith("10 samples of the prior are too few")
    assert list_unreliable_measures(record) == ["distinct_1"]


@pytest.mark.parametrize("name", ["sentences", "prior_samples", "path_pairs", "self_bleu_samples"])
def test_a_set_of_one_is_in_the_singular(name):
    """There is one sentence, one sample or one pair."""
    keys = [key for limit in LIMITS if limit.size == name for key in limit.keys]
    (warning,) = list_size_warnings({name: 1, **dict.fromkeys(keys, 1.0)})
    assert warning.split(" is too few")[0] in {
        "1 sentence",
        "1 sample of the prior",
        "1 pair of sentences",
    }


def test_an_undefined_measure_gives_no_warning():
    """A model without a density has no mutual information to misread."""
    assert list_size_warnings({"sentences": 3, "mi_full": None}) == []


def test_evaluate_on_few_sentences_warns_people_and_programs():
    """Both the text of `evaluate` and that of `doctor` have the warning."""
    bundle = tiny_vae().bundle
    record = evaluate(bundle, tiny_dataset(bundle, SENTENCES[:3]), samples=2)
    assert {"bleu", "verdict", "active_units", "iw_nll_stderr"} <= set(record["unreliable"])
    assert not {"elbo", "kl", "iw_nll"} & set(record["unreliable"])
    for text in (format_evaluation(record), format_checkup(record)):
        assert "warning: 3 sentences are too few for these measures" in text
        assert f"verdict: {record['verdict']}, but from too few sentences" in text


def test_a_single_sentence_has_no_standard_error():
    """Its spread over sentences is unknown, and not 0."""
    bundle = tiny_vae().bundle
    text = format_evaluation(evaluate(bundle, tiny_dataset(bundle, SENTENCES[:1]), samples=2))
    assert text.startswith("1 sentence, ")
    assert "IW-NLL" in text
    assert "±" not in text


def test_likelihoods_are_quoted_on_any_number_of_sentences():
    """They are sums over sentences, so their error is the one that is printed."""
    assert not any({"elbo", "kl", "reconstruction", "iw_nll"} & set(limit.keys) for limit in LIMITS)


def test_saved_measures_of_other_samples_are_dropped(tiny_run, tmp_path):
    """A record has the measures of one number of samples, and of real text of that number alone."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    vae = TextVAE.from_pretrained(folder, "cpu")
    measures = ("diversity", "self_bleu", "elbo")
    few = MeasureSettings(prior_samples=5, self_bleu_samples=5)
    vae.evaluate(measures=(*measures, "forward_reverse"), settings=few)
    saved = json.loads((folder / "measures.json").read_text())
    assert {"reverse_ppl", "distinct_1_real", "self_bleu_real"} <= saved.keys()
    vae.evaluate(measures=measures, settings=MeasureSettings(prior_samples=40))
    saved = json.loads((folder / "measures.json").read_text())
    assert saved["prior_samples"] == 40
    assert saved.keys().isdisjoint({"reverse_ppl", "distinct_1_real", "self_bleu_real"})
    vae.evaluate(measures=("elbo",))
    assert json.loads((folder / "measures.json").read_text())["prior_samples"] == 40
