"""The options of the verbs, typed for `Unpack`: each is a field of the verb's settings class.

Defaults, bounds and descriptions are in those classes, and a test holds the two
together. An option that is left out has the default of its settings class.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict


class DecodingOptions(TypedDict, total=False):
    """How text is written from z: fields of `DecodingSettings`, named as in transformers' `GenerationConfig`."""

    do_sample: bool | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    num_beams: int | None
    max_new_tokens: int | None
    seed: int


class InfillOptions(TypedDict, total=False):
    """How thoroughly blanks are filled: fields of `InfillSettings`."""

    n: int
    method: str
    most_tokens: int
    latents: int
    temperature: float
    beams: int
    seed: int


class TraverseOptions(TypedDict, total=False):
    """Where to step: fields of `TraverseSettings`."""

    steps: int
    reach: float
    values: Sequence[float] | None
    unit: Literal["aggregate", "prior"]


class TraverseAndDecodingOptions(TraverseOptions, DecodingOptions, total=False):
    """The options of `traverse`: where to step, and how to write what is there."""


class AugmentOptions(TypedDict, total=False):
    """How many texts are written, from where, and which are kept: fields of `AugmentSettings`."""

    n: int
    spread: float
    interpolated: float
    temperature: float
    quantile: float
    rounds: int
    seed: int


class AnomalyOptions(TypedDict, total=False):
    """How sentences are scored for anomalies: fields of `AnomalySettings`."""

    score: str
    draws: int
    seed: int


class ScoreOptions(TypedDict, total=False):
    """How thoroughly sentences are scored: fields of `ScoreSettings`."""

    samples: int
    seed: int


class UncertaintyOptions(TypedDict, total=False):
    """How thoroughly uncertainty is measured: fields of `UncertaintySettings`."""

    draws: int
    seed: int
