"""The doctor: it says whether the decoder uses the latent, and what to change if not.

A latent is collapsed when the decoder ignores it: there is no KL, z holds no
information about x, and shuffling latents between sentences does no harm. It is
weak when its information is crowded into a few units, when the KL is far from its
target, or when the decoder writes texts that nobody can use. A refit of the posterior
lowers the KL, so then the KL before the refit is compared with the target. Units that
carry only what a floor such as `unit_floor` forces on them do not change the verdict.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

_MIN_KL_NATS = 0.5
_MIN_SHUFFLED_INCREASE_NATS = 0.5  # of the reconstruction, when latents are shuffled
_MIN_UNIT_SHARE = 0.5  # of the dimensions of z
_MAX_NATS_PER_UNIT = 2.0  # on average; with more, a few units hold almost exact values
_MIN_MUTUAL_INFORMATION_NATS = 1.0
KL_TARGET_TOLERANCE = 0.2  # relative distance of the KL from its target
_MAX_EMPTY_SHARE = 0.5  # of the texts that the model writes
_MIN_BLEU = 0.005  # on a scale of 0 to 100; a lower BLEU is printed as 0.00


@dataclass(frozen=True)
class _Diagnosis:
    """A verdict (healthy, weak, collapsed or language model), the findings, and what to change."""

    verdict: str
    findings: list[str]
    advice: list[str]


def diagnose(measures: Mapping[str, Any], kl_target: float | None = None) -> _Diagnosis:
    """Judge a model by its measures.

    Args:
        measures: `latent_dim`, and for a model with a latent `kl`, `mi_full`, `mi_full_cap`,
            `active_units`, `active_units_strict`, `effective_units` and
            `shuffled_latent_increase`. `kl`, `mi_full` and `effective_units` may be None or
            missing, because not every posterior has them. `bleu`, `empty_reconstructions`,
            `empty_samples` and `kl_before_refit` are optional.
        kl_target: the KL that training aims at, in nats, if any.
    """
    if not measures["latent_dim"]:
        empty = list(_find_empty_texts(measures))
        findings = ["the model has no latent, as configured", *(text for text, _ in empty)]
        return _Diagnosis("language model", findings, _list_advice(empty))
    collapse = list(_find_collapse(measures, kl_target))
    weakness = [*_find_weakness(measures, kl_target), *_find_useless_texts(measures)]
    verdict = "healthy"
    if weakness:
        verdict = "weak"
    if collapse:
        verdict = "collapsed"
    signs = collapse + weakness
    return _Diagnosis(verdict, [text for text, _ in signs], _list_advice(signs))


def _list_advice(signs: list[tuple[str, str]]) -> list[str]:
    """Return the advice for these signs, each piece once, in order."""
    return list(dict.fromkeys(advice for _, advice in signs))


def _find_collapse(
    measures: Mapping[str, Any], kl_target: float | None
) -> Iterator[tuple[str, str]]:
    """Yield each sign that the decoder ignores the latent, with advice."""
    kl = measures.get("kl")
    remedy = "Train with objective.techniques.target_kl and unit_floor (both are on by default)."
    if kl_target:
        remedy = "Train longer: the KL has not reached its target yet."
    if kl is None:
        remedy = "Train longer: this model has no KL term that could collapse the latent."
    if kl is not None and kl < _MIN_KL_NATS:
        yield f"the KL is {kl:.2f} nats: the posterior is close to the prior", remedy
    for name, title in (("kl", "the KL"), ("shuffled_latent_increase", "the cost of shuffling")):
        # NaN is neither below a threshold nor above it, so every comparison would miss it.
        if isnan(measures.get(name) or 0.0):
            yield f"{title} is not a number", "Train again, with a lower training.learning_rate."
    if measures["active_units"] == 0:
        yield "no unit is active", remedy
    increase = measures["shuffled_latent_increase"]
    if increase < _MIN_SHUFFLED_INCREASE_NATS:
        yield (
            f"shuffled latents cost only {increase:.2f} nats: the decoder ignores z",
            "Add word_dropout (rate 0.2) or conditioning at every step, "
            "so that the decoder needs z.",
        )


def _find_weakness(
    measures: Mapping[str, Any], kl_target: float | None
) -> Iterator[tuple[str, str]]:
    """Yield each sign that the latent is used too little or misses its target, with advice."""
    yield from _find_crowding(measures)
    information = measures.get("mi_full")
    cap = measures["mi_full_cap"]
    # With few sentences, the information cannot reach 1 nat: its cap is the log of their number.
    if information is not None and information < min(_MIN_MUTUAL_INFORMATION_NATS, 0.5 * cap):
        yield (
            f"z and x share {information:.2f} nats of at most {cap:.2f}",
            "Raise the KL target (objective.techniques.target_kl.nats).",
        )
    kl = measures.get("kl_before_refit")
    subject = "the KL before the refit was"
    if kl is None:
        kl = measures.get("kl")
        subject = "the KL is"
    if kl_target and kl is not None and abs(kl / kl_target - 1) > KL_TARGET_TOLERANCE:
        yield (
            f"{subject} {kl:.2f} nats, its target {kl_target:.2f}",
            "Train longer: the controller has not settled. If the KL stays there, "
            "set a target that is closer to it.",
        )


def _find_crowding(measures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield that too few units carry the information, with advice."""
    latent = measures["latent_dim"]
    strict = measures["active_units_strict"]
    effective = measures.get("effective_units")
    kl = measures.get("kl")
    needed = _MIN_UNIT_SHARE * latent
    advice = "Use a smaller model.latent_dim."
    if kl is not None:
        # A small KL does not need many units, however large the latent is.
        needed = min(needed, kl / _MAX_NATS_PER_UNIT)
        advice = "Raise objective.techniques.unit_floor.floor, or use a smaller model.latent_dim."
    needed = max(1.0, needed)
    if strict < needed:
        yield (
            f"{strict} of {latent} units are active at a variance of 0.1, "
            f"expected at least {needed:.1f}",
            advice,
        )
    elif effective is not None and effective < needed:
        yield (
            f"the effective number of units is {effective:.1f} of {latent}, "
            f"expected at least {needed:.1f}",
            advice,
        )


def _find_useless_texts(measures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each sign that the texts of the decoder are useless, with advice."""
    yield from _find_empty_texts(measures)
    if measures.get("bleu") is not None and measures["bleu"] < _MIN_BLEU:
        yield (
            "the reconstructions share no words with their sentences: BLEU is 0.00",
            "Train longer, or raise the KL target (objective.techniques.target_kl.nats).",
        )


def _find_empty_texts(measures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield which kinds of texts are mostly empty, with advice."""
    for kind in ("reconstructions", "samples"):
        share = measures.get(f"empty_{kind}") or 0.0
        if share >= _MAX_EMPTY_SHARE:
            yield (
                f"{share:.0%} of the {kind} are empty texts",
                "Train longer. If texts stay empty, make sure that the tokenizer's start, end "
                "and unknown tokens are different ones, and train again.",
            )
