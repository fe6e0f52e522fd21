"""The doctor: verdicts, and the words in which it gives them."""

import pytest

from textvae.doctor import diagnose

HEALTHY = {
    "kl": 12.0,
    "mi_full": 6.0,
    "mi_full_cap": 8.5,
    "active_units": 30,
    "latent_dim": 32,
    "shuffled_latent_increase": 10.0,
}


def test_a_latent_that_is_used_is_healthy():
    """Nothing is found and nothing advised, with a target or without."""
    for target in (None, 12.0, 13.0):
        diagnosis = diagnose(HEALTHY, target)
        assert (diagnosis.verdict, diagnosis.findings, diagnosis.advice) == ("healthy", [], [])


GRAVE = [
    ({"kl": 0.03}, "the KL is 0.03 nats: the posterior is the prior", "target_kl"),
    ({"active_units": 0}, "no unit is active", "target_kl"),
    ({"shuffled_latent_increase": 0.1}, "another sentence's latent costs only 0.10 nats", "word_dropout"),
]


@pytest.mark.parametrize(("seen", "words", "mend"), GRAVE)
def test_a_latent_the_decoder_ignores_is_collapsed(seen, words, mend):
    """By any one sign; the finding says which, the advice what to change."""
    diagnosis = diagnose({**HEALTHY, **seen})
    assert diagnosis.verdict == "collapsed"
    assert words in diagnosis.findings[0]
    assert mend in diagnosis.advice[0]


SLIGHT = [
    ({"active_units": 10}, None, "10 of 32 units are active", "unit_floor.floor"),
    ({"active_units": 10, "kl": None}, None, "10 of 32 units are active", "Take a smaller model.latent_dim"),
    ({"mi_full": 0.6}, None, "z and x share 0.60 nats of at most 8.50", "target_kl.nats"),
    ({}, 20.0, "the KL is 12.00 nats, its target 20.00", "Train longer"),
    ({}, 6.0, "the KL is 12.00 nats, its target 6.00", "Train longer"),
]


@pytest.mark.parametrize(("seen", "target", "words", "mend"), SLIGHT)
def test_a_latent_used_too_little_or_not_as_wanted_is_weak(seen, target, words, mend):
    """By any one sign."""
    diagnosis = diagnose({**HEALTHY, **seen}, target)
    assert diagnosis.verdict == "weak"
    assert diagnosis.findings == [words]
    assert mend in diagnosis.advice[0]


def test_a_collapsed_model_is_not_also_called_weak():
    """All that was seen is listed, the grave first, and no advice twice."""
    record = {**HEALTHY, "kl": 0.0, "mi_full": 0.0, "active_units": 0, "shuffled_latent_increase": 0.0}
    diagnosis = diagnose(record, 12.0)
    assert diagnosis.verdict == "collapsed"
    assert diagnosis.findings[0].startswith("the KL is 0.00 nats")
    assert len(diagnosis.findings) == 6
    assert len(diagnosis.advice) == len(set(diagnosis.advice)) == 5


def test_few_sentences_are_not_held_against_the_information():
    """Where ln N caps it below a nat, half of the cap is enough."""
    assert diagnose({**HEALTHY, "mi_full": 0.69, "mi_full_cap": 0.69}).verdict == "healthy"
