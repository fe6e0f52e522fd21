"""Measures: what a trained model is worth, each a function of a `Subject`.

`MEASURE_GROUPS` are what is asked for by one name: `standard` unless something else is.
Definitions: docs/measures.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textvae.evaluation.measures.active_units import active_units
from textvae.evaluation.measures.aggregate_posterior import aggregate
from textvae.evaluation.measures.bleu import bleu
from textvae.evaluation.measures.elbo import elbo
from textvae.evaluation.measures.interpolation import fluency, smoothness
from textvae.evaluation.measures.likelihood import likelihood
from textvae.evaluation.measures.mutual_information import information
from textvae.evaluation.measures.outputs import ModelOutputs, run_model
from textvae.evaluation.measures.samples import (
    diversity,
    forward_reverse,
    mauve,
    novelty,
    self_bleu,
)
from textvae.evaluation.measures.settings import MeasureSettings
from textvae.evaluation.measures.shuffled_latent import shuffled_latent
from textvae.evaluation.measures.subject import EvaluationInput, empty_texts
from textvae.evaluation.measures.token_accuracy import token_accuracy
from textvae.schema import choose

Measure = Callable[[EvaluationInput], dict[str, Any]]


QUICK_MEASURES: dict[str, Measure] = {
    "elbo": elbo,
    "information": information,
    "active_units": active_units,
    "shuffled_latent": shuffled_latent,
}


STANDARD_MEASURES: dict[str, Measure] = {
    **QUICK_MEASURES,
    "aggregate": aggregate,
    "likelihood": likelihood,
    "token_accuracy": token_accuracy,
    "bleu": bleu,
    "empty_texts": empty_texts,
}


SAMPLE_MEASURES: dict[str, Measure] = {
    "diversity": diversity,
    "self_bleu": self_bleu,
    "forward_reverse": forward_reverse,
    "novelty": novelty,
}


INTERPOLATION_MEASURES: dict[str, Measure] = {"smoothness": smoothness, "fluency": fluency}


MEASURE_GROUPS = {
    "quick": QUICK_MEASURES,
    "standard": STANDARD_MEASURES,
    "samples": SAMPLE_MEASURES,
    "interpolation": INTERPOLATION_MEASURES,
}


MEASURES: dict[str, Measure] = {
    **STANDARD_MEASURES,
    **SAMPLE_MEASURES,
    **INTERPOLATION_MEASURES,
    "mauve": mauve,
}


TRAINING_TEXT_MEASURES = {"forward_reverse", "novelty", "fluency"}


def select_measures(names: Sequence[str]) -> Mapping[str, Measure]:
    """Return the measures of these names, each a group's or a measure's own.

    Raises:
        ConfigError: a name is neither.
    """
    table = {**{name: {name: measure} for name, measure in MEASURES.items()}, **MEASURE_GROUPS}
    return {
        key: measure for name in names for key, measure in choose(table, name, "measures").items()
    }


__all__ = [
    "MEASURES",
    "MEASURE_GROUPS",
    "QUICK_MEASURES",
    "STANDARD_MEASURES",
    "TRAINING_TEXT_MEASURES",
    "EvaluationInput",
    "Measure",
    "MeasureSettings",
    "ModelOutputs",
    "run_model",
    "select_measures",
]
