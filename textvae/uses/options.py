"""The keyword arguments of `TextVAE`'s methods, typed for `Unpack`.

Each class here has the fields of one settings class, which defines their defaults,
bounds and descriptions; a test compares the two. An option that is left out has the
default of its settings class.
"""

from collections.abc import Sequence
from typing import TypedDict

from textvae.uses.settings import AnomalyScore, DeviationUnit, InfillMethod


class DecodingOptions(TypedDict, total=False):
    """How text is decoded from z: fields of `DecodingSettings`, named as in `GenerationConfig`."""

    do_sample: bool | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    num_beams: int | None
    max_new_tokens: int | None
    seed: int


class InfillOptions(TypedDict, total=False):
    """How fills are searched for: fields of `InfillSettings`."""

    n: int
    method: InfillMethod
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
    unit: DeviationUnit


class TraverseAndDecodingOptions(TraverseOptions, DecodingOptions, total=False):
    """The options of `traverse`: where to step, and how to decode each step."""


class AugmentOptions(TypedDict, total=False):
    """How many texts are generated, and which are accepted: fields of `AugmentSettings`."""

    n: int
    spread: float
    interpolated: float
    temperature: float
    quantile: float
    rounds: int
    seed: int


class AnomalyOptions(TypedDict, total=False):
    """How sentences are scored for anomalies: fields of `AnomalySettings`."""

    score: AnomalyScore
    draws: int
    seed: int


class ScoreOptions(TypedDict, total=False):
    """How many samples sentences are scored with: fields of `ScoreSettings`."""

    samples: int
    seed: int


class UncertaintyOptions(TypedDict, total=False):
    """How many samples uncertainty is estimated with: fields of `UncertaintySettings`."""

    draws: int
    seed: int


class CardOptions(TypedDict, total=False):
    """What a model card says: fields of `CardSettings`."""

    license: str | None
    language: str | None
    samples: bool


class BulkOptions(DecodingOptions, total=False):
    """The options of `textvae.bulk.run`: of `generate`, how to decode; of `score`, its samples.

    Fields of `DecodingSettings` and `ScoreSettings`. `encode` has no options.
    """

    samples: int
