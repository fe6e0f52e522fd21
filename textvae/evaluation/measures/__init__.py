"""Measures of a trained model: each is a function of an `EvaluationInput`.

`MEASURE_GROUPS` names sets of measures that are usually wanted together; `standard` is
the default. docs/measures.md defines all measures.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textvae.errors import ConfigError
from textvae.evaluation.measures.active_units import active_units
from textvae.evaluation.measures.aggregate_posterior import aggregate
from textvae.evaluation.measures.bleu import bleu
from textvae.evaluation.measures.elbo import elbo
from textvae.evaluation.measures.inputs import EvaluationInput
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
from textvae.evaluation.measures.shuffled_latent import shuffled_latent
from textvae.evaluation.measures.token_accuracy import token_accuracy
from textvae.evaluation.measures.written_texts import check_written_texts
from textvae.evaluation.settings import MeasureSettings
from textvae.schema import choose
from textvae.terminal import quote_value

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
    "empty_texts": check_written_texts,
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

# Measures that need the training text; a streamed run does not keep it.
TRAINING_TEXT_MEASURES = {"forward_reverse", "novelty", "fluency"}


def select_measures(names: Sequence[str]) -> Mapping[str, Measure]:
    """Return the measures with these names, where a name may also be that of a group.

    Raises:
        ConfigError: no measure and no group has this name, or there are no names.
    """
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, Sequence) or not names:
        raise ConfigError(
            f"measures = {quote_value(names)}: expected a list of names, such as ['standard']."
        )
    table = {name: {name: measure} for name, measure in MEASURES.items()} | MEASURE_GROUPS
    selected: dict[str, Measure] = {}
    for name in names:
        selected.update(choose(table, name, "measures"))
    return selected


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
