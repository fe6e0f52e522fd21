"""The doctor: is the latent used, and if not, what to change.

A latent is collapsed when the decoder ignores it: no KL, no information, no
harm when latents are shuffled between sentences. It is weak when some of it is
used, or when the KL has not come to its target, or when nothing that can be
read comes out of the decoder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

_MIN_KL_NATS = 0.5  # nats


_MIN_SHUFFLED_INCREASE_NATS = 0.5  # nats, when latents are shuffled


_MIN_ACTIVE_SHARE = 0.5


_MIN_MUTUAL_INFORMATION_NATS = 1.0  # nats


KL_TARGET_TOLERANCE = 0.2  # relative distance of the KL from its target


_MOST_EMPTY = 0.5  # share of written texts


_LEAST_BLEU = 0.005  # of 100: what is less is printed as 0.00


@dataclass(frozen=True)
class _Diagnosis:
    """A verdict, healthy, weak or collapsed, with what was seen and what to change next."""

    verdict: str
    findings: list[str]
    advice: list[str]


def diagnose(measures: Mapping[str, Any], kl_target: float | None = None) -> _Diagnosis:
    """Judge a model by its `kl`, `mi_full`, `active_units`, `latent_dim` and `shuffled_latent_increase`.

    The first two may be None or missing: an autoencoder without noise has none. Where they were measured, `bleu`
    and the shares `empty_reconstructions` and `empty_samples` count as well.
    """
    if not measures["latent_dim"]:
        empty = list(_empty_findings(measures))
        findings = ["it has no latent, as it was asked to", *(text for text, _ in empty)]
        return _Diagnosis(
            "language model", findings, list(dict.fromkeys(advice for _, advice in empty))
        )
    grave = list(_find_collapse(measures, kl_target))
    slight = [*_find_weakness(measures, kl_target), *_text_findings(measures)]
    verdict = "collapsed" if grave else "weak" if slight else "healthy"
    return _Diagnosis(
        verdict,
        [text for text, _ in grave + slight],
        list(dict.fromkeys(mend for _, mend in grave + slight)),
    )


def _find_collapse(
    measures: Mapping[str, Any], kl_target: float | None
) -> Iterator[tuple[str, str]]:
    """Yield what shows that the latent is ignored, each with its mend."""
    remedy = (
        "Train with objective.techniques.target_kl (the default) and unit_floor (both default)."
    )
    if kl_target:
        remedy = "Train longer: the KL has not come to its target yet."
    if measures.get("kl") is None:
        remedy = "Train longer: there is no KL that could have pushed the latent aside."
    if measures.get("kl") is not None and measures["kl"] < _MIN_KL_NATS:
        yield f"the KL is {measures['kl']:.2f} nats: the posterior is the prior", remedy
    for name, what in (
        ("kl", "the KL"),
        ("shuffled_latent_increase", "the cost of another sentence's latent"),
    ):
        if isnan(measures.get(name) or 0.0):  # which is neither above a bound nor below it
            yield f"{what} is not a number", "Train again, with a lower training.learning_rate."
    if measures["active_units"] == 0:
        yield "no unit is active", remedy
    if measures["shuffled_latent_increase"] < _MIN_SHUFFLED_INCREASE_NATS:
        rise = measures["shuffled_latent_increase"]
        mend = "Add word_dropout (rate 0.2) or conditioning at every step, so that the decoder must listen."
        yield (
            f"another sentence's latent costs only {rise:.2f} nats: the decoder does not listen",
            mend,
        )


def _find_weakness(
    measures: Mapping[str, Any], kl_target: float | None
) -> Iterator[tuple[str, str]]:
    """Yield what shows that the latent is used too little, or not as wanted, each with its mend."""
    active, latent = measures["active_units"], measures["latent_dim"]
    if active < _MIN_ACTIVE_SHARE * latent:
        has_noise = measures.get("kl") is not None
        raised = "Raise objective.techniques.unit_floor.floor, or take" if has_noise else "Take"
        yield f"{active} of {latent} units are active", f"{raised} a smaller model.latent_dim."
    least = min(_MIN_MUTUAL_INFORMATION_NATS, 0.5 * measures["mi_full_cap"])
    if measures.get("mi_full") is not None and measures["mi_full"] < least:
        yield (
            f"z and x share {measures['mi_full']:.2f} nats of at most {measures['mi_full_cap']:.2f}",
            "Raise the KL target (objective.techniques.target_kl.nats).",
        )
    if kl_target and abs(measures["kl"] / kl_target - 1) > KL_TARGET_TOLERANCE:
        yield (
            f"the KL is {measures['kl']:.2f} nats, its target {kl_target:.2f}",
            "Train longer: the controller has not settled. If it stays so, set a target nearer to it.",
        )


def _text_findings(measures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what shows that the texts written are of no use, each with its advice."""
    yield from _empty_findings(measures)
    if measures.get("bleu") is not None and measures["bleu"] < _LEAST_BLEU:
        yield (
            "no words of the sentences come back in their reconstructions: BLEU is 0.00",
            "Train longer, or raise the KL target (objective.techniques.target_kl.nats).",
        )


def _empty_findings(measures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield which texts are mostly empty, with advice."""
    for kind in ("reconstructions", "samples"):
        share = measures.get(f"empty_{kind}") or 0.0
        if share >= _MOST_EMPTY:
            yield (
                f"{share:.0%} of the {kind} are empty texts",
                "Train longer. If texts stay empty, make sure that the tokenizer's start, end and unknown tokens are "
                "different ones, and train again.",
            )
