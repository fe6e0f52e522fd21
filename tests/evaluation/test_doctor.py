"""The doctor: its verdicts, its findings and its advice."""

import pytest
import torch

from textvae.evaluation.doctor import diagnose
from textvae.evaluation.evaluate import evaluate, evaluate_quick
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run

HEALTHY = {
    "kl": 12.0,
    "mi_full": 6.0,
    "mi_full_cap": 8.5,
    "active_units": 30,
    "active_units_strict": 28,
    "effective_units": 20.0,
    "latent_dim": 32,
    "shuffled_latent_increase": 10.0,
}


def test_a_latent_that_is_used_is_healthy():
    """There are no findings and no advice, with a KL target or without."""
    for target in (None, 12.0, 13.0):
        diagnosis = diagnose(HEALTHY, target)
        assert (diagnosis.verdict, diagnosis.findings, diagnosis.advice) == ("healthy", [], [])


@pytest.mark.parametrize("kl", [{"kl": None}, {}])
def test_a_target_is_not_compared_with_a_kl_that_does_not_exist(kl):
    """An autoencoder without noise has no KL; its other measures decide."""
    others = {name: value for name, value in HEALTHY.items() if name != "kl"}
    assert diagnose({**others, **kl}, kl_target=12.0).verdict == "healthy"


COLLAPSES = [
    ({"kl": 0.03}, "the KL is 0.03 nats: the posterior is close to the prior", "target_kl"),
    ({"active_units": 0}, "no unit is active", "target_kl"),
    (
        {"shuffled_latent_increase": 0.1},
        "shuffled latents cost only 0.10 nats",
        "word_dropout",
    ),
]


@pytest.mark.parametrize("name", ["kl", "shuffled_latent_increase"])
def test_a_measure_that_is_not_a_number_is_not_healthy(name):
    """NaN is neither above a threshold nor below it."""
    diagnosis = diagnose({**HEALTHY, name: float("nan")})
    assert diagnosis.verdict == "collapsed"
    assert "is not a number" in diagnosis.findings[0]


@pytest.mark.parametrize(("changes", "words", "advice"), COLLAPSES)
def test_a_latent_that_the_decoder_ignores_is_collapsed(changes, words, advice):
    """One sign is enough; the finding names it, and the advice says what to change."""
    diagnosis = diagnose({**HEALTHY, **changes})
    assert diagnosis.verdict == "collapsed"
    assert words in diagnosis.findings[0]
    assert advice in diagnosis.advice[0]


@pytest.mark.parametrize(
    ("changes", "advice"),
    [({"kl": 2.0}, "Train longer"), ({"kl": 12.0}, "unit_floor"), ({"kl": 7.0}, "unit_floor")],
    ids=["before the target", "at the target", "refitted below it"],
)
def test_more_training_is_advised_only_while_the_kl_is_below_its_target(changes, advice):
    """A KL at its target that activates no unit is that of noise."""
    before = 12.5 if changes["kl"] == 7 else None
    measures = {**HEALTHY, "active_units": 0, "kl_before_refit": before, **changes}
    assert advice in diagnose(measures, kl_target=12.0).advice[0]


WEAKNESSES = [
    (
        {"active_units_strict": 5},
        None,
        "5 of 32 units are active at a variance of 0.1, expected at least 6.0",
        "unit_floor.floor",
    ),
    (
        {"active_units_strict": 10, "kl": None},
        None,
        "10 of 32 units are active at a variance of 0.1, expected at least 16.0",
        "Use a smaller model.latent_dim",
    ),
    (
        {"effective_units": 3.2},
        None,
        "the effective number of units is 3.2 of 32, expected at least 6.0",
        "unit_floor.floor",
    ),
    ({"mi_full": 0.6}, None, "z and x share 0.60 nats of at most 8.50", "target_kl.nats"),
    ({}, 20.0, "the KL is 12.00 nats, its target 20.00", "Train longer"),
    ({}, 6.0, "the KL is 12.00 nats, its target 6.00", "Train longer"),
]


@pytest.mark.parametrize(("changes", "target", "words", "advice"), WEAKNESSES)
def test_a_latent_that_is_used_too_little_or_misses_its_target_is_weak(
    changes, target, words, advice
):
    """One sign is enough."""
    diagnosis = diagnose({**HEALTHY, **changes}, target)
    assert diagnosis.verdict == "weak"
    assert diagnosis.findings == [words]
    assert advice in diagnosis.advice[0]


def test_after_a_refit_the_kl_before_it_is_compared_with_the_target():
    """The refit lowers the KL of a healthy model below its target."""
    assert diagnose({**HEALTHY, "kl_before_refit": 12.5}, kl_target=12.0).verdict == "healthy"
    assert diagnose({**HEALTHY, "kl": 7.0, "kl_before_refit": 12.5}, 12.0).verdict == "healthy"
    missed = diagnose({**HEALTHY, "kl_before_refit": 7.0}, kl_target=12.0)
    assert missed.verdict == "weak"
    assert missed.findings == ["the KL before the refit was 7.00 nats, its target 12.00"]


def test_after_a_refit_the_kl_must_not_be_above_the_target():
    """The refit should have lowered it."""
    sharp = diagnose({**HEALTHY, "kl": 30.0, "kl_before_refit": 12.5}, kl_target=12.0)
    assert sharp.verdict == "weak"
    assert "the posterior is too sharp" in sharp.findings[0]


def test_units_that_a_floor_lifts_over_the_usual_threshold_do_not_change_the_verdict():
    """The verdict is the same with 32 units at a variance of 0.01 as with 5 of them."""
    for crowded in (5, 28):
        few = {**HEALTHY, "active_units_strict": crowded, "active_units": crowded}
        assert diagnose(few) == diagnose({**few, "active_units": 32})


def test_a_small_kl_needs_few_units():
    """Six units of a nat each are enough for a KL of six nats, however large the latent is."""
    six = {**HEALTHY, "kl": 6.1, "active_units_strict": 6, "effective_units": 6.4}
    assert diagnose(six, 6.5).verdict == "healthy"
    assert diagnose({**six, "latent_dim": 256}, 6.5).verdict == "healthy"


def test_a_collapsed_model_is_not_also_called_weak():
    """All findings are listed, the signs of collapse first, and no advice comes twice."""
    record = {
        **HEALTHY,
        "kl": 0.0,
        "mi_full": 0.0,
        "active_units": 0,
        "active_units_strict": 0,
        "effective_units": 0.0,
        "shuffled_latent_increase": 0.0,
    }
    diagnosis = diagnose(record, 12.0)
    assert diagnosis.verdict == "collapsed"
    assert diagnosis.findings[0].startswith("the KL is 0.00 nats")
    assert len(diagnosis.findings) == 6
    assert len(diagnosis.advice) == len(set(diagnosis.advice)) == 5


def test_few_sentences_do_not_make_the_information_look_weak():
    """Where ln N caps the information below 1 nat, half of the cap is enough."""
    assert diagnose({**HEALTHY, "mi_full": 0.69, "mi_full_cap": 0.69}).verdict == "healthy"


USELESS_TEXTS = [
    ({"bleu": 0.0}, "BLEU is 0.00", "Train longer, or raise the KL target"),
    ({"bleu": 0.004}, "BLEU is 0.00", "Train longer, or raise the KL target"),
    (
        {"empty_reconstructions": 1.0},
        "100% of the reconstructions are empty texts",
        "start, end and unknown tokens",
    ),
    ({"empty_samples": 0.5}, "50% of the samples are empty texts", "start, end and unknown tokens"),
]


@pytest.mark.parametrize(("changes", "words", "advice"), USELESS_TEXTS)
def test_a_model_whose_texts_are_useless_is_not_healthy(changes, words, advice):
    """It is weak even if its latent is used well."""
    diagnosis = diagnose({**HEALTHY, **changes})
    assert diagnosis.verdict == "weak"
    assert words in diagnosis.findings[0]
    assert advice in diagnosis.advice[0]


def test_a_model_with_a_few_empty_texts_and_a_low_bleu_is_healthy():
    """A few empty texts are normal, and a low BLEU is not a BLEU of 0."""
    texts = {"bleu": 0.4, "empty_reconstructions": 0.0, "empty_samples": 0.1}
    assert diagnose({**HEALTHY, **texts}, 12.0).verdict == "healthy"


def test_a_language_model_that_writes_nothing_gets_a_finding():
    """Its verdict is the same as that of other language models."""
    diagnosis = diagnose({"latent_dim": 0, "bleu": 0.0, "empty_samples": 1.0})
    assert diagnosis.verdict == "language model"
    assert "100% of the samples are empty texts" in diagnosis.findings
    assert len(diagnosis.advice) == 1


def test_the_doctor_sees_that_every_text_ends_at_once(tiny_run):
    """The quick evaluation and the standard measures decode a few texts."""
    run = Run(tiny_run)
    bundle = load_bundle(tiny_run, "cpu")
    with torch.no_grad():
        bundle.model.decoder.bias[bundle.tokenizer.eos_token_id] = 100.0
    for record in (
        evaluate_quick(run, bundle),
        evaluate(bundle, run.open_split("test"), samples=2),
    ):
        assert record["verdict"] != "healthy"
        assert "100% of the reconstructions are empty texts" in record["findings"]
        assert "100% of the samples are empty texts" in record["findings"]


WHOLE = {"kl": 40.0, "reconstruction": 9.0, "model_nll": 49.0, "model_nll_stderr": 0.5}


@pytest.mark.parametrize(
    ("change", "kl_target", "verdict"),
    [
        ({}, 60.0, "healthy"),  # the user asked for a latent that holds every word, and it does
        ({"reconstruction": 30.0, "model_nll": 70.0}, 60.0, "weak"),  # it does not
        ({}, 16.0, "weak"),  # nobody asked for so many nats
        ({}, None, "weak"),
    ],
)
def test_a_latent_that_is_meant_to_hold_whole_sentences_may_cost_likelihood(
    change, kl_target, verdict
):
    """The bound of such a model is loose, and a trigram model beats it."""
    measures = {**HEALTHY, **WHOLE, "trigram_nll": 37.0, "kl_before_refit": kl_target, **change}
    assert diagnose(measures, kl_target).verdict == verdict
