"""Every measure runs on a real, tiny model and gives finite numbers."""

import json
import math
import re
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.tiny import DECODER_SETTINGS, SENTENCES, tiny_dataset, tiny_model, tiny_vae
from textvae.cli.rendering import format_evaluation
from textvae.errors import ConfigError, DataError
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import (
    MEASURE_GROUPS,
    MEASURES,
    QUICK_MEASURES,
    SAMPLE_MEASURES,
    TRAINING_TEXT_MEASURES,
    EvaluationInput,
    MeasureSettings,
    run_model,
    select_measures,
)
from textvae.inference.bundle import Bundle
from textvae.runs.measure_definitions import CARD_MEASURES
from textvae.vae import TextVAE


@pytest.fixture(scope="module")
def bundle():
    return tiny_vae().bundle


@pytest.fixture(scope="module")
def inputs(bundle):
    return make_inputs(bundle, tiny_dataset(bundle))


@pytest.fixture(autouse=True)
def mauve_text(monkeypatch):
    """Replace the optional package by a stand-in."""
    stand_in = SimpleNamespace(compute_mauve=lambda **_: SimpleNamespace(mauve=0.5))
    monkeypatch.setitem(sys.modules, "mauve", stand_in)


def make_inputs(bundle, dataset):
    few = MeasureSettings(prior_samples=4, pairs=2, steps=3)
    outputs = run_model(bundle, dataset)
    return EvaluationInput(
        bundle, dataset, outputs, 8, 0, progress=False, training=SENTENCES, settings=few
    )


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_finite_numbers_or_words(name, inputs):
    """At least one of them is a number."""
    check(MEASURES[name](inputs))


def check(record):
    """Check that a record has only finite numbers, strings and flat lists of numbers."""
    numbers = [value for value in record.values() if isinstance(value, int | float)]
    assert numbers
    for value in record.values():
        if isinstance(value, list):
            numbers += value
    assert all(math.isfinite(number) for number in numbers)
    assert all(isinstance(value, int | float | str | list) for value in record.values())
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_of_one_or_two_sentences_is_finite_or_says_what_it_needs(name, n, bundle):
    """Interpolation needs two sentences; no measure divides by zero."""
    few = make_inputs(bundle, tiny_dataset(bundle, SENTENCES[:n]))
    if n == 1 and name in MEASURE_GROUPS["interpolation"]:
        with pytest.raises(
            DataError, match=r"1 sentence to interpolate between; at least 2 are needed"
        ):
            MEASURES[name](few)
    else:
        check(MEASURES[name](few))


@pytest.mark.parametrize("name", MEASURES)
def test_an_empty_data_set_is_refused(name, bundle):
    """It is refused before the first measure."""
    with pytest.raises(DataError, match="there is no sentence to evaluate on"):
        evaluate(bundle, tiny_dataset(bundle).select([]), measures=[name], training=SENTENCES)


def test_a_single_sentence_has_the_documented_values(bundle):
    """No information, no active unit, no cost of shuffling and no standard error."""
    record = evaluate(bundle, tiny_dataset(bundle, SENTENCES[:1]), samples=2)
    zero = (
        "mi_full",
        "mi_full_cap",
        "mi_batch32",
        "active_units",
        "iw_nll_stderr",
        "aggregate_kl_stderr",
    )
    assert [record[name] for name in zero] == [0] * len(zero)
    assert record["shuffled_latent_increase"] == pytest.approx(0, abs=1e-5)
    assert record["aggregate_kl"] == pytest.approx(record["kl_sampled"])


def test_the_error_of_a_few_draws_is_unknown(bundle):
    """They rarely have a heavy weight, and then seem to be certain."""
    dataset = tiny_dataset(bundle)
    for samples in (1, 7):
        record = evaluate(bundle, dataset, measures=["likelihood"], samples=samples)
        assert record["iw_mc_stderr"] is None
    assert evaluate(bundle, dataset, measures=["likelihood"], samples=8)["iw_mc_stderr"] > 0


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_repeatable(name, inputs):
    """The same model, sentences and seed give the same record."""
    assert MEASURES[name](inputs) == MEASURES[name](inputs)


def test_no_two_measures_use_the_same_name(inputs):
    """Their records are merged into one. Only the sizes of their samples and paths are shared."""
    shared = {"prior_samples", "prior_decoding", "path_pairs", "path_steps"}
    names: list[str] = []
    for measure in MEASURES.values():
        names.extend(measure(inputs).keys() - shared)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", [*SAMPLE_MEASURES, "smoothness", "fluency", "mauve"])
def test_a_measure_of_texts_that_are_written_says_of_how_many(name, inputs):
    """Otherwise it could not be told that there were too few."""
    size = "path_pairs" if name in ("smoothness", "fluency") else "prior_samples"
    size = "self_bleu_samples" if name == "self_bleu" else size
    assert size in MEASURES[name](inputs)


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_record_has_all_that_the_model_card_shows_and_a_verdict(writer):
    """It does for every decoder, and the measures are consistent with each other."""
    bundle = tiny_vae(writer).bundle
    record = evaluate(bundle, tiny_dataset(bundle), samples=20)
    assert set(CARD_MEASURES) <= set(record)
    assert record["sentences"] == len(SENTENCES)
    assert record["verdict"] in ("healthy", "weak", "collapsed")
    assert record["mi_full"] <= record["mi_full_cap"]
    assert record["iw_nll"] <= -record["elbo"] + 3 * record["iw_nll_stderr"]
    assert 0 <= record["bleu"] <= 100


def test_few_effective_draws_give_a_warning_that_says_what_to_do(bundle):
    """Many draws from a model that ignores its latent give none."""
    dataset = tiny_dataset(bundle)
    record = evaluate(bundle, dataset, samples=9, measures=["likelihood"])
    assert record["iw_ess_median"] <= 9
    (warning,) = record["warnings"]
    assert "effective sample size" in warning
    assert "raise --samples (now 9), and use --fit-proposal" in warning
    settings = MeasureSettings(fit_proposal=True)
    record = evaluate(bundle, dataset, samples=9, measures=["likelihood"], settings=settings)
    assert "--fit-proposal" not in record["warnings"][0]
    even = evaluate(bundle, dataset, samples=400, measures=["likelihood"])
    assert even["iw_ess_median"] > 10
    assert even["warnings"] == []
    assert "warnings" not in evaluate(bundle, dataset, measures=["elbo"])


def test_people_see_how_loose_the_bound_is_and_the_warning(bundle):
    """The three lines stand below the bound."""
    record = evaluate(bundle, tiny_dataset(bundle), samples=9, measures=["likelihood"])
    text = format_evaluation({**record, "words_per_sentence": 6.0})
    assert re.search(r"IW-NLL .*\n +looseness +\d+\.\d\d .*\n +Monte Carlo error", text)
    assert re.search(r"effective samples +\d\.\d  of 9; median \d\.\d", text)
    assert "proposal width" not in text
    assert "warning: the effective sample size of the importance weights is" in text


@pytest.mark.parametrize(
    ("value", "information", "aggregate"),
    [
        (4.0, ": too low, from so few sentences; see the bracket", ": too high, see the bracket"),
        (4.7, "", " (± 0.10)"),
        (7.5, ": at its cap", ": no more than KL - ln N, see the bracket"),
    ],
)
def test_people_see_an_information_outside_its_bracket(value, information, aggregate):
    """The bracket has more sentences, so it is the one to trust; a value at its cap says so itself."""
    record = {
        "mi_full": value,
        "mi_full_cap": 8.0,
        "mi_lower": 4.5,
        "mi_upper": 7.9,
        "aggregate_kl": 1.2,
        "aggregate_kl_stderr": 0.1,
        "aggregate_sentences": 4200,
    }
    lines = format_evaluation({**record, "sentences": 200, "words_per_sentence": 6.0}).splitlines()
    (shown,) = [line for line in lines if line.startswith("mutual information")]
    assert shown.endswith(f"nats, at most 8.00{information}")
    (shown,) = [line for line in lines if line.startswith("aggregate KL")]
    assert shown.endswith(f"to the prior{aggregate}")


def test_the_likelihood_of_a_language_model_is_exact_with_a_single_draw():
    """It is not loose, has no error, and needs no warning and no proposal."""
    tokenizer = tiny_vae().tokenizer
    bundle = Bundle(tiny_model(conditioning=[], latent=0, vocab=len(tokenizer)), tokenizer)
    settings = MeasureSettings(fit_proposal=True)
    record = evaluate(
        bundle, tiny_dataset(bundle), samples=1, measures=["likelihood"], settings=settings
    )
    assert (record["iw_looseness"], record["iw_mc_stderr"], record["warnings"]) == (0, 0, [])
    assert record["iw_width"] == 1


def test_the_counts_are_those_of_the_sentences_with_their_ends(inputs):
    """Words are split at white space, and the end counts as a word and as a token."""
    record = MEASURES["elbo"](inputs)
    words = sum(len(text.split()) + 1 for text in SENTENCES) / len(SENTENCES)
    assert record["words_per_sentence"] == pytest.approx(words)
    # This tokenizer's tokens are the words.
    assert record["tokens_per_sentence"] == pytest.approx(words)


def test_measures_do_not_depend_on_how_sentences_share_batches(inputs):
    """Each sentence alone, decoded from the same latent, has the same reconstruction term."""
    bundle = inputs.bundle
    dataset = inputs.dataset
    for row in range(len(dataset)):
        batch = bundle.make_batch([dataset[row]["input_ids"]])
        tensors = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        with torch.no_grad():
            output = bundle.model(**tensors, latent=inputs.outputs.latent[row : row + 1])
        torch.testing.assert_close(
            output.sentence_reconstruction[0], inputs.outputs.reconstruction[row]
        )


def test_dropout_is_off_during_evaluation(bundle):
    """It is off even if the model was in training mode."""
    dataset = tiny_dataset(bundle)
    expected = evaluate(bundle, dataset, measures=QUICK_MEASURES)
    training = Bundle(bundle.model.train(), bundle.tokenizer)
    assert evaluate(training, dataset, measures=QUICK_MEASURES) == expected


@pytest.mark.parametrize("name", sorted(TRAINING_TEXT_MEASURES))
def test_a_measure_that_needs_the_training_text_says_so(name, bundle):
    """The message says how to pass it."""
    without = replace(make_inputs(bundle, tiny_dataset(bundle)), training=None)
    with pytest.raises(
        DataError, match=r"need the training text.*evaluate\(\.\.\., training=texts\)"
    ):
        MEASURES[name](without)


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - TRAINING_TEXT_MEASURES))
def test_no_other_measure_needs_the_training_text(name, bundle):
    """A measure that needs it is refused before the first measure."""
    check(MEASURES[name](replace(make_inputs(bundle, tiny_dataset(bundle)), training=None)))
    with pytest.raises(DataError, match="need the training text"):
        evaluate(bundle, tiny_dataset(bundle).select([]), measures=[name, "novelty"])


def test_measures_are_selected_by_group_and_by_name(bundle):
    """Each measure runs once, and without all quick measures there is no verdict."""
    assert list(select_measures(["elbo", "quick", "mauve"])) == [*QUICK_MEASURES, "mauve"]
    record = evaluate(bundle, tiny_dataset(bundle), measures=["elbo", "active_units"])
    assert {"elbo", "active_units", "sentences"} <= record.keys()
    assert not {"verdict", "bleu"} & record.keys()
    with pytest.raises(ConfigError, match="measures = 'smples' is unknown: did you mean 'samples'"):
        evaluate(bundle, tiny_dataset(bundle), measures=["smples"])


def test_every_measure_is_in_a_group_unless_it_needs_an_optional_package():
    """No group may fail because a package is missing."""
    grouped = {name for group in MEASURE_GROUPS.values() for name in group}
    assert MEASURES.keys() - grouped == {"mauve"}


def test_token_accuracy_equals_a_slow_count(inputs):
    """The slow count takes one sentence and one token at a time."""
    right = 0
    total = 0
    for row, mean in zip(inputs.dataset["input_ids"], inputs.outputs.mean, strict=True):
        batch = inputs.bundle.make_batch([row])
        with torch.no_grad():
            logits = inputs.bundle.model(batch["input_ids"], latent=mean.unsqueeze(0)).logits[0]
        labels = [*row, inputs.bundle.tokenizer.eos_token_id]
        for token_logits, label in zip(logits, labels, strict=True):
            right += int(token_logits.argmax() == label)
            total += 1
    assert MEASURES["token_accuracy"](inputs)["token_accuracy"] == pytest.approx(right / total)


def test_samples_are_decoded_once_however_many_measures_use_them(bundle, monkeypatch):
    """All measures of the group share the samples from the prior."""
    inputs = make_inputs(bundle, tiny_dataset(bundle))
    calls = []
    module = sys.modules["textvae.evaluation.measures.inputs"]
    generate = module.generate

    def count_calls(*args, **options):
        calls.append(1)
        return generate(*args, **options)

    monkeypatch.setattr(module, "generate", count_calls)
    for measure in MEASURE_GROUPS["samples"].values():
        measure(inputs)
    assert calls == [1]


def test_a_perfect_reconstruction_has_a_bleu_of_a_hundred(inputs, monkeypatch):
    """Without a common word, BLEU is 0. Only the exact match depends on letter case."""
    module = sys.modules["textvae.evaluation.measures.inputs"]
    for written, score, share in (
        (inputs.texts.detokenized, 100, 1),
        ([text.upper() for text in SENTENCES], 100, 0),
        (["zzz"] * len(SENTENCES), 0, 0),
    ):
        monkeypatch.setattr(module, "decode_latents", lambda *_, texts=written, **__: texts)
        record = MEASURES["bleu"](replace(inputs))
        assert record["bleu"] == pytest.approx(score)
        assert record["exact_match"] == share


def test_what_a_language_model_lacks_is_refused_before_anything_is_computed(monkeypatch):
    """Measures that took hours would be lost."""
    tokenizer = tiny_vae().tokenizer
    bundle = Bundle(tiny_model(conditioning=[], latent=0, vocab=len(tokenizer)), tokenizer)
    monkeypatch.setattr("textvae.evaluation.evaluate.run_model", None)
    with pytest.raises(DataError, match="no latent to interpolate in"):
        evaluate(bundle, tiny_dataset(bundle), measures=["standard", "smoothness"])


def test_a_verdict_that_is_saved_knows_all_saved_measures(tiny_run, tmp_path):
    """A shorter evaluation does not forget what is wrong with the texts."""
    shutil.copytree(tiny_run, tmp_path / "run")
    vae = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    vae.evaluate(samples=2)
    before = json.loads((tmp_path / "run" / "measures.json").read_text())
    vae.evaluate(measures=["quick"])
    after = json.loads((tmp_path / "run" / "measures.json").read_text())
    assert before["findings"]
    assert after["findings"] == before["findings"]
    assert after["verdict"] == before["verdict"]


def test_measures_do_not_depend_on_the_generation_config():
    """They are defined by greedy texts and by samples at temperature 1."""
    names = ["bleu", "diversity", "empty_texts"]
    settings = MeasureSettings(prior_samples=20)
    records = []
    for options in ({}, {"top_k": 1, "num_beams": 3, "repetition_penalty": 5.0}):
        bundle = tiny_vae().bundle
        bundle.model.generation_config.update(max_new_tokens=8, **options)
        configured = bundle.model.generation_config
        dataset = tiny_dataset(bundle)
        records.append(evaluate(bundle, dataset, measures=names, settings=settings))
        assert bundle.model.generation_config is configured
    assert records[0] == records[1]
