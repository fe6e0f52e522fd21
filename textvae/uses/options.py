"""The keyword arguments of `TextVAE`'s methods, typed for `Unpack`.

Each class here has the fields of one settings class, which defines their defaults,
bounds and descriptions; a test compares the two. An option that is left out has the
default of its settings class.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from textvae.uses.settings import AnomalyScore, DeviationUnit, InfillMethod, SpreadUnit


class DecodingChoiceOptions(TypedDict, total=False):
    """How tokens are chosen: fields of `DecodingChoices`, named as in `GenerationConfig`."""

    do_sample: bool | None
    top_p: float | None
    top_k: int | None
    num_beams: int | None
    max_new_tokens: int | None
    min_new_tokens: int | None
    min_p: float | None
    typical_p: float | None
    top_h: float | None
    epsilon_cutoff: float | None
    eta_cutoff: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    length_penalty: float | None
    early_stopping: bool | Literal["never"] | None
    exponential_decay_length_penalty: tuple[int, float] | None
    max_time: float | None
    stop_strings: Sequence[str] | None
    bad_words: Sequence[str] | None
    bad_words_ids: Sequence[Sequence[int]] | None
    suppress_tokens: Sequence[int] | None
    begin_suppress_tokens: Sequence[int] | None
    sequence_bias: Sequence[tuple[Sequence[int], float]] | None
    renormalize_logits: bool | None
    remove_invalid_values: bool | None
    watermarking_config: Mapping[str, int | float | str] | None


class SingleDecodingOptions(DecodingChoiceOptions, total=False):
    """How one text is decoded from each z: fields of `SingleDecodingSettings`."""

    temperature: float | None
    seed: int


class DecodingOptions(SingleDecodingOptions, total=False):
    """How texts are decoded from z: fields of `DecodingSettings`, named as in `GenerationConfig`."""

    num_return_sequences: int | None


class InfillOptions(TypedDict, total=False):
    """How fills are searched for: fields of `InfillSettings`."""

    n: int
    method: InfillMethod
    most_tokens: int
    latents: int
    temperature: float
    beams: int
    bad_words: Sequence[str] | None
    bad_words_ids: Sequence[Sequence[int]] | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    typical_p: float | None
    seed: int


class TraverseOptions(TypedDict, total=False):
    """Where to step: fields of `TraverseSettings`."""

    steps: int
    reach: float
    values: Sequence[float] | None
    unit: DeviationUnit


class TraverseAndDecodingOptions(TraverseOptions, DecodingOptions, total=False):
    """The options of `traverse`: where to step, and how to decode each step."""


class VaryOptions(TypedDict, total=False):
    """How many sentences near a sentence are written: fields of `VarySettings`."""

    n: int
    spread: float
    unit: SpreadUnit
    rounds: int


class VaryAndDecodingOptions(VaryOptions, SingleDecodingOptions, total=False):
    """The options of `vary`: which latents, and how to decode each of them."""


class AugmentOptions(DecodingChoiceOptions, total=False):
    """How many texts are generated, how, and which are accepted: fields of `AugmentSettings`."""

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


class BulkOptions(SingleDecodingOptions, total=False):
    """The options of `textvae.bulk.run`: of `generate`, how to decode; of `score`, its samples.

    Fields of `SingleDecodingSettings` and `ScoreSettings`. `encode` has no options.
    """

    samples: int
