"""The doctor: it says whether a model is of use, and what to change if it is not.

A latent is collapsed when the decoder ignores it: there is no KL, z holds no
information about x, and shuffling latents between sentences does no harm. A model is
weak when the information is crowded into a few units of the latent, when the KL is far from
its target, when the decoder writes texts that nobody can use, or when the model predicts
sentences worse than a trigram model, learns its training sentences by heart, or was
trained on a corpus that is mostly cut, unknown or repeated. A refit of the posterior
lowers the KL, so then the KL before the refit is compared with the target. Units that
carry only what a floor such as `unit_floor` forces on them do not change the verdict.

What is wrong with the corpus comes first, and then only that is advised: no setting of
the objective helps a model that cannot read its corpus.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

_MIN_KL_NATS = 0.5
_MIN_SHUFFLED_INCREASE_NATS = 0.5  # of the reconstruction, when latents are shuffled
_MIN_UNIT_SHARE = 0.5  # of the dimensions of z
_MAX_NATS_PER_UNIT = 2.0  # on average; with more, a few units hold almost exact values
_MAX_DEAD_SHARE = 0.5  # of the dimensions of z
_MIN_NATS_FOR_ALL_UNITS = 0.1  # of KL per dimension; with less, most units may be dead
_MIN_MUTUAL_INFORMATION_NATS = 1.0
KL_TARGET_TOLERANCE = 0.2  # relative distance of the KL from its target
_MIN_BLEU = 0.005  # on a scale of 0 to 100; a lower BLEU is printed as 0.00

# Shares of the texts that the model writes.
_MAX_EMPTY_SHARE = 0.5
_MAX_IDENTICAL_SHARE = 0.5
_MAX_REPETITIVE_SHARE = 0.5
_MAX_ENDLESS_SHARE = 0.5

# Of the corpus.
_MIN_TRAINING_SENTENCES = 50
_MAX_UNKNOWN_SHARE = 0.2
_MAX_CUT_SHARE = 0.5
_MAX_MOST_COPIED_SHARE = 0.3
_MAX_SHARED_SHARE = 0.5
_MAX_RETOKENIZED_SHARE = 0.5

# Of the likelihood.
_MIN_OVERFITTING_RATIO = 1.5  # of the cost of held-out sentences to that of training sentences
_MIN_OVERFITTING_NATS = 2.0
_MAX_ELBO_CHANGE = 0.1  # relative
_MIN_ELBO_CHANGE_NATS = 1.0
_MAX_SAMPLE_COST_RATIO = 2.0  # of the cost of a token of a sample to that of a real sentence
_MIN_SAMPLE_COST_NATS = 2.0
_MAX_PRIOR_GAP_NATS = 3.0
# Of the cost of a sentence under a trigram model: from this KL target on, the latent is meant to
# hold the whole sentence; and up to this cost of the reconstruction, it does.
_MIN_WHOLE_SENTENCE_SHARE = 0.8
_MAX_RECOVERED_SHARE = 0.5
_MAX_PRIOR_GAP_PER_UNIT = 0.1

_Sign = tuple[str, str]  # a finding, and what to change


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
            missing, because not every posterior has them. `bleu`, `kl_before_refit`, the shares
            of useless texts (`measures.written_texts`) and the checks of usefulness
            (`evaluation.usefulness`) are optional.
        kl_target: the KL that training aims at, in nats, if any.
    """
    causes = list(_find_unsuitable_corpus(measures))
    collapse: list[_Sign] = []
    weakness: list[_Sign] = []
    if measures["latent_dim"]:
        collapse += _find_collapse(measures, kl_target)
        weakness += _find_weakness(measures, kl_target)
    weakness += _find_useless_texts(measures)
    weakness += _find_bad_likelihood(measures, kl_target)
    signs = [*causes, *collapse, *weakness]
    findings = [finding for finding, _ in signs]
    advice = _list_advice(causes or signs)
    if not measures["latent_dim"]:
        return _Diagnosis(
            "language model", ["the model has no latent, as configured", *findings], advice
        )
    verdict = "weak" if signs else "healthy"
    if collapse:
        verdict = "collapsed"
    return _Diagnosis(verdict, findings, advice)


def format_diagnosis(record: Mapping[str, Any]) -> str:
    """Return the doctor's verdict in a record of measures, its findings, and what to change."""
    remark = ", but from too few sentences" if "verdict" in record.get("unreliable", ()) else ""
    lines = [f"verdict: {record['verdict']}{remark}"]
    lines += [f"  - {finding}" for finding in record["findings"]]
    if not record["findings"]:
        lines += _describe_health(record)
    lines += [f"  what to change: {advice}" for advice in record["advice"]]
    return "\n".join(lines)


def format_latent_verdict(
    measures: Mapping[str, Any], kl_target: float | None, elbo_fall: float | None = None
) -> str:
    """Return what an evaluation during training can tell: whether the latent is used.

    It is not called a verdict, because the rest is checked only at the end.

    Args:
        elbo_fall: how far the validation ELBO is below its best value, in nats, if that counts.
    """
    verdict = diagnose(measures, kl_target).verdict
    text = {"healthy": "the latent is used", "weak": "the latent is weak"}.get(verdict, verdict)
    if elbo_fall is not None and _is_large_change(elbo_fall, measures["elbo"] + elbo_fall):
        text += f", but the ELBO has fallen by {elbo_fall:.2f} nats from its best"
    return text


def _describe_health(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a model does well."""
    kl = "not defined" if record["kl"] is None else f"{record['kl']:.2f} nats"
    spread = ""
    if "effective_units" in record:
        spread = f", effective number {record['effective_units']:.1f}"
    yield (
        f"  the latent is used: {record['active_units_strict']}/{record['latent_dim']} units "
        f"active at a variance of 0.1{spread}, KL {kl}, "
        f"and shuffled latents cost {record['shuffled_latent_increase']:.2f} nats"
    )
    if "trigram_nll" in record:
        yield (
            f"  a sentence costs {record['model_nll']:.2f} nats, and a trigram model of the same "
            f"tokens {record['trigram_nll']:.2f}"
        )


def _list_advice(signs: Iterable[_Sign]) -> list[str]:
    """Return the advice for these signs, each piece once, in order.

    Advice that another piece begins with, as "Train longer.", is left out.
    """
    pieces = dict.fromkeys(advice for _, advice in signs)
    return [
        piece
        for piece in pieces
        if not any(other != piece and other.startswith(piece) for other in pieces)
    ]


def _find_unsuitable_corpus(measures: Mapping[str, Any]) -> Iterator[_Sign]:
    """Yield each sign that the corpus is not what a model can learn from, with advice."""
    if measures.get("unknown_share", 0.0) >= _MAX_UNKNOWN_SHARE:
        yield (
            f"{measures['unknown_share']:.0%} of the tokens are unknown",
            "Use tokenizer.kind=bpe, which knows every character, and train again.",
        )
    if measures.get("cut_share", 0.0) >= _MAX_CUT_SHARE:
        yield (
            f"{measures['cut_share']:.0%} of the sentences are cut",
            "Raise data.max_tokens, or split the texts into sentences, and train again.",
        )
    if measures.get("most_copied_share", 0.0) >= _MAX_MOST_COPIED_SHARE:
        yield (
            f"{measures['most_copied_share']:.0%} of the training sentences are one and the same",
            "Set data.drop_duplicates=true, or give different sentences, and train again.",
        )
    if measures.get("shared_share", 0.0) >= _MAX_SHARED_SHARE:
        yield (
            f"{measures['shared_share']:.0%} of a held-out split are training sentences, so its "
            "measures do not show how the model does on other sentences",
            "Give the splits different sentences, or set data.drop_duplicates=true, and train again.",
        )
    sentences = measures.get("training_sentences", _MIN_TRAINING_SENTENCES)
    if sentences < _MIN_TRAINING_SENTENCES:
        yield (
            f"there are {sentences:,} training sentences, too few to learn from or to judge by",
            "Give more sentences: at least some hundreds, better many thousands.",
        )
    if measures.get("retokenized_share", 0.0) >= _MAX_RETOKENIZED_SHARE:
        yield (
            f"{measures['retokenized_share']:.0%} of the sentences have other tokens than those "
            "that the model was trained on",
            "The tokenizer in the folder is not that of the model: copy the whole run again.",
        )


def _find_bad_likelihood(measures: Mapping[str, Any], kl_target: float | None) -> Iterator[_Sign]:
    """Yield each sign that the model predicts sentences badly, with advice."""
    overfitting = list(_find_overfitting(measures))
    yield from overfitting
    yield from _find_changed_weights(measures)
    trigram = measures.get("trigram_nll")
    if trigram is not None and _recovers_as_planned(measures, kl_target, trigram):
        return
    yield from _find_prior_mismatch(measures)
    remedy = (
        "Train longer, and on more sentences. If this model was trained from scratch, start from "
        "pretrained models (--preset pretrained)."
    )
    if overfitting:
        remedy = overfitting[0][1]
    if trigram is not None:
        yield from _find_worse_than_trigrams(measures, trigram, remedy)
    cost = measures.get("sample_token_nll", 0.0)
    real = measures.get("real_token_nll", 0.0)
    if cost > max(_MAX_SAMPLE_COST_RATIO * real, real + _MIN_SAMPLE_COST_NATS):
        yield (
            f"the samples are unlike the corpus: {cost:.2f} nats per token under a trigram model, "
            f"and {real:.2f} for real sentences",
            remedy,
        )


def _find_worse_than_trigrams(
    measures: Mapping[str, Any], trigram: float, remedy: str
) -> Iterator[_Sign]:
    """Yield each sign that a trigram model predicts sentences better, with advice.

    Args:
        trigram: nats per sentence.
        remedy: the advice for a model that predicts sentences badly.
    """
    kl = measures.get("kl")
    if kl is not None and kl > trigram and measures["model_nll"] > trigram:
        yield (
            f"the KL is {kl:.2f} nats, more than a trigram model needs for a whole sentence "
            f"({trigram:.2f})",
            "Hold the KL at a target (objective.techniques.target_kl.nats) that is well below.",
        )
    # NaN would pass a test of `worse than`.
    if not measures["model_nll"] - measures["model_nll_stderr"] <= trigram:
        yield (
            f"a sentence costs the model {measures['model_nll']:.2f} nats, and a trigram model of "
            f"the same tokens {trigram:.2f}",
            remedy,
        )


def _recovers_as_planned(
    measures: Mapping[str, Any], kl_target: float | None, trigram: float
) -> bool:
    """Return whether the latent is meant to hold whole sentences, and does.

    Such a model pays for its latents: its bound on the likelihood is loose, and samples from
    the prior are rarely near the latent of a sentence. A user who sets a KL target that high
    wants the sentences back.
    """
    if kl_target is None or kl_target < _MIN_WHOLE_SENTENCE_SHARE * trigram:
        return False
    cost = measures.get("reconstruction")
    return cost is not None and cost <= _MAX_RECOVERED_SHARE * trigram


def _find_overfitting(measures: Mapping[str, Any]) -> Iterator[_Sign]:
    """Yield each sign that the training sentences were learned by heart, with advice."""
    amount = ""
    if "training_sentences" in measures:
        amount = f" (there are {measures['training_sentences']:,})"
    remedy = (
        f"Give more training sentences{amount}, train for a shorter time, or use a smaller model "
        "or more dropout. If this model was trained from scratch, start from pretrained models "
        "(--preset pretrained)."
    )
    train = measures.get("training_cost")
    held_out = measures.get("held_out_cost")
    if train is not None and held_out is not None:
        gap = held_out - train
        if gap > max(_MIN_OVERFITTING_NATS, (_MIN_OVERFITTING_RATIO - 1) * train):
            yield (
                f"a held-out sentence costs {held_out:.2f} nats, a training sentence {train:.2f}: "
                "the model has learned its training sentences by heart",
                remedy,
            )
    fall = measures.get("elbo_fall", 0.0)
    elbo = measures.get("elbo")
    if elbo is not None and _is_large_change(fall, elbo + fall):
        yield (
            f"the validation ELBO fell by {fall:.2f} nats from its best value in training",
            remedy,
        )


def _find_changed_weights(measures: Mapping[str, Any]) -> Iterator[_Sign]:
    """Yield that the model is not the one that training saved, with advice."""
    change = measures.get("elbo_change", 0.0)
    elbo = measures.get("elbo")
    if elbo is not None and _is_large_change(-change, elbo - change):
        yield (
            f"the validation ELBO is {elbo:.2f}, and was {elbo - change:.2f} when training saved "
            "the model: the weights or the corpus in the folder have changed",
            "Copy the whole run again, or train again.",
        )


def _find_prior_mismatch(measures: Mapping[str, Any]) -> Iterator[_Sign]:
    """Yield that the latents of sentences are not where the prior is, with advice."""
    gap = measures.get("prior_gap", 0.0)
    if gap > _MAX_PRIOR_GAP_NATS + _MAX_PRIOR_GAP_PER_UNIT * measures["latent_dim"]:
        yield (
            f"the latents of sentences are {gap:.2f} nats or more away from the prior, so samples "
            "come from where no sentence is",
            "Lower the KL target (objective.techniques.target_kl.nats), or, if the model has no "
            "labels, sample from a fitted prior: textvae prior fit RUN.",
        )


def _is_large_change(fall: float, before: float) -> bool:
    """Return whether an ELBO fell by much, in nats and compared with its value before."""
    return fall > max(_MIN_ELBO_CHANGE_NATS, _MAX_ELBO_CHANGE * abs(before))


def _find_collapse(measures: Mapping[str, Any], kl_target: float | None) -> Iterator[_Sign]:
    """Yield each sign that the decoder ignores the latent, with advice."""
    kl = measures.get("kl")
    remedy = "Train with objective.techniques.target_kl and unit_floor (both are on by default)."
    before = measures.get("kl_before_refit")
    reached = kl if before is None else before
    if kl_target and reached is not None:
        remedy = "Train longer: the KL has not reached its target yet."
        if reached > (1 - KL_TARGET_TOLERANCE) * kl_target:
            remedy = "Train with objective.techniques.unit_floor, or raise its floor."
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


def _find_weakness(measures: Mapping[str, Any], kl_target: float | None) -> Iterator[_Sign]:
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
    if kl_target:
        yield from _find_missed_target(measures, kl_target)


def _find_missed_target(measures: Mapping[str, Any], kl_target: float) -> Iterator[_Sign]:
    """Yield that the KL is not near its target, with advice."""
    kl = measures.get("kl")
    before = measures.get("kl_before_refit")
    measured = kl if before is None else before
    subject = "the KL is" if before is None else "the KL before the refit was"
    if measured is not None and abs(measured / kl_target - 1) > KL_TARGET_TOLERANCE:
        yield (
            f"{subject} {measured:.2f} nats, its target {kl_target:.2f}",
            "Train longer: the controller has not settled. If the KL stays there, "
            "set a target that is closer to it.",
        )
    # A refit lowers the KL, so only a KL above the target is a sign then.
    if before is not None and kl is not None and kl > (1 + KL_TARGET_TOLERANCE) * kl_target:
        yield (
            f"the KL after the refit is {kl:.2f} nats, its target {kl_target:.2f}: the "
            "posterior is too sharp",
            "Train again, and longer; the refit of the posterior should lower the KL.",
        )


def _find_crowding(measures: Mapping[str, Any]) -> Iterator[_Sign]:
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
    elif kl is not None and kl >= _MIN_NATS_FOR_ALL_UNITS * latent:
        dead = latent - measures["active_units"]
        if dead >= _MAX_DEAD_SHARE * latent:
            yield f"{dead} of {latent} units are dead: their variance is below 0.01", advice


def _find_useless_texts(measures: Mapping[str, Any]) -> Iterator[_Sign]:
    """Yield each sign that the texts of the decoder are useless, with advice."""
    for kind in ("reconstructions", "samples"):
        yield from _find_useless_kind(measures, kind)
    bleu = measures.get("bleu")
    if measures["latent_dim"] and bleu is not None and bleu < _MIN_BLEU:
        yield (
            "the reconstructions share no words with their sentences: BLEU is 0.00",
            "Train longer, or raise the KL target (objective.techniques.target_kl.nats).",
        )


def _find_useless_kind(measures: Mapping[str, Any], kind: str) -> Iterator[_Sign]:
    """Yield what is wrong with most texts of one kind, with advice."""
    empty = measures.get(f"empty_{kind}") or 0.0
    if empty >= _MAX_EMPTY_SHARE:
        yield (
            f"{empty:.0%} of the {kind} are empty texts",
            "Train longer. If texts stay empty, make sure that the tokenizer's start, end "
            "and unknown tokens are different ones, and train again.",
        )
        return  # empty texts are also all alike
    identical = measures.get(f"identical_{kind}", 0.0)
    # A corpus may consist of a few different sentences.
    if identical >= max(_MAX_IDENTICAL_SHARE, 2 * measures.get("identical_originals", 0.0)):
        yield (
            f"{identical:.0%} of the {kind} are the same text",
            "Train longer. If texts stay the same, the decoder does not use z.",
        )
    repetitive = measures.get(f"repetitive_{kind}", 0.0)
    if repetitive >= max(_MAX_REPETITIVE_SHARE, 2 * measures.get("repetitive_originals", 0.0)):
        yield f"{repetitive:.0%} of the {kind} repeat the same tokens", "Train longer."
    endless = measures.get(f"endless_{kind}", 0.0)
    if endless >= _MAX_ENDLESS_SHARE:
        yield (
            f"{endless:.0%} of the {kind} do not end before the longest sentence would",
            "Train longer. If texts still do not end, make sure that the tokenizer has an end "
            "token of its own, and train again.",
        )
