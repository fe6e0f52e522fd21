"""The settings of the verbs: their types, bounds, defaults and descriptions.

The command line takes its options and help texts from these classes, so this module
imports neither torch nor anything else that is slow to import.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from textvae.errors import ConfigError
from textvae.inference.settings import (
    DecodingChoices,
    NonEmptyText,
    TokenIds,
)
from textvae.schema import MAX_COUNT, MAX_TEMPERATURE, MIN_TEMPERATURE, Count, Seed, StrictSettings

AnomalyScore = Literal["reconstruction", "elbo", "iw_nll"]
IndexedVectors = Literal["mean", "states"]
InfillMethod = Literal["resampling", "sampling", "beam_search", "conditional_modes"]
InterpolationPath = Literal["linear", "spherical", "density"]
PriorKind = Literal["gaussian_mixture", "flow", "diffusion"]
ExportFormat = Literal["onnx", "page"]
FeatureKind = Literal["states", "mean", "gaussian"]
DeviationUnit = Literal["aggregate", "prior"]
SpreadUnit = Literal["posterior", "prior"]

_MAX_DEVIATIONS = 100  # farther away, a latent may overflow in the decoder
_Deviations = Annotated[float, Field(ge=-_MAX_DEVIATIONS, le=_MAX_DEVIATIONS)]


class AnomalySettings(StrictSettings):
    """How sentences are scored."""

    score: AnomalyScore = Field(
        "reconstruction",
        description="measure of how anomalous a sentence is, in nats per token; "
        "see `textvae docs uses/anomaly`",
    )
    draws: Count = Field(4, description="number of samples of z per sentence")
    seed: Seed = 0


class AugmentSettings(DecodingChoices):
    """How many texts are generated, from which latents, how, and which are accepted.

    The defaults were chosen on validation data.
    """

    n: Count = Field(5, description="maximum number of new texts per input text")
    spread: float = Field(
        1.0,
        ge=0,
        le=100,
        description="standard deviation of the samples of z, relative to the posterior's",
    )
    interpolated: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the candidates, 0 to 1, that are decoded from points between two "
        "texts of a label; the others are decoded from samples close to one text",
    )
    temperature: float = Field(
        0.7,
        ge=MIN_TEMPERATURE,
        le=MAX_TEMPERATURE,
        description="sampling temperature of the tokens, above 0; "
        "near 0, the most likely tokens are taken",
    )
    quantile: float = Field(
        1.0,
        gt=0,
        le=1,
        description="reject candidates that cost more nats per token than this quantile of the "
        "input texts with their label, above 0 and up to 1",
    )
    rounds: Count = Field(
        4, description="maximum number of rounds, each of which replaces rejected candidates"
    )
    seed: Seed = 0


class CompleteSettings(StrictSettings):
    """How many sentences are written."""

    n: Count = Field(5, description="number of sentences to write")


class DecodeEmbeddingsSettings(StrictSettings):
    """Among how many texts the nearest to an embedding is chosen."""

    candidates: Count = Field(1, description="number of texts to choose from")


class RefineSettings(StrictSettings):
    """How much work is done to find the latent of a text."""

    refine: int = Field(
        0,
        ge=0,
        le=10_000,
        description="gradient steps with which each text's own words refine its latent; 30 are "
        "often enough to recover words that the encoder has missed, and take as long as some "
        "thirty decodings of the text",
    )


class EditSettings(RefineSettings):
    """How far a text is moved, and how much of it is kept, by `edit` or `analogy`."""

    strength: float = Field(
        1.0,
        ge=-1000,
        le=1000,
        description="how far to move the latent; 1 is the whole distance between the two labels "
        "or texts, and negative values go the other way",
    )
    keep: float = Field(
        0.0,
        ge=0,
        le=100,
        description="nats by which the words of the text itself are preferred in its edit; 1 to 3 "
        "keep more of the sentence, and the same change then takes a larger strength",
    )


class ExportSettings(StrictSettings):
    """What is exported."""

    format: ExportFormat = Field(
        "onnx",
        description="onnx: encoder and decoder as ONNX files, with runners in Python and "
        "JavaScript; page: the same files as a web page that needs no server of its own",
    )
    int8: bool = Field(
        False, description="store the large matrices in 8 bits, about a third of the size"
    )
    overwrite: bool = Field(False, description="replace an earlier export in the same folder")


class FeaturesSettings(StrictSettings):
    """Which features of a text are computed."""

    kind: FeatureKind = Field(
        "states",
        description="kind of the features: the encoder's pooled states, the posterior mean, or the "
        "posterior's mean and log-variance",
    )


class FitPriorSettings(StrictSettings):
    """Which prior is fitted."""

    kind: PriorKind = Field("gaussian_mixture", description="kind of the prior")
    seed: Seed = 0


class GenerateSettings(StrictSettings):
    """How many sentences are sampled."""

    n: Count = Field(10, description="number of sentences to write")


class IndexSettings(StrictSettings):
    """How sentences are indexed."""

    factory: str = Field(
        "Flat",
        description="kind of index, as FAISS's index_factory names it; Flat is exact, "
        "HNSW32 is fast for millions of sentences",
    )
    vectors: IndexedVectors = Field(
        "mean",
        description="what is compared: the posterior mean, or the wider states of the encoder, "
        "which find more sentences on the same subject",
    )


# Options of infill that only the method `sampling` has.
INFILL_SAMPLING_OPTIONS = ("temperature", "top_p", "top_k", "min_p", "typical_p")


class InfillSettings(StrictSettings):
    """How fills are found, and how thoroughly."""

    n: Count = Field(5, description="maximum number of sentences to return")
    method: InfillMethod = Field(
        "resampling", description="how fills are found; see `textvae docs uses/infill`"
    )
    most_tokens: Count = Field(4, description="maximum number of tokens per blank")
    latents: Count = Field(
        8, description="number of samples of z with which fills are searched or sampled"
    )
    temperature: float = Field(
        0.7,
        ge=MIN_TEMPERATURE,
        le=MAX_TEMPERATURE,
        description="sampling temperature of the tokens, above 0, for the method `sampling`",
    )
    beams: int = Field(
        6,
        ge=2,
        le=1000,
        description="number of beams, 2 or more, for the methods that search",
    )
    bad_words: Annotated[Sequence[NonEmptyText], Field(min_length=1)] | None = Field(
        None,
        description="never write the tokens of this word or phrase into a blank; on the command "
        "line, may be repeated; by default, all words are allowed",
    )
    bad_words_ids: Annotated[Sequence[TokenIds], Field(min_length=1)] | None = Field(
        None,
        description="the same, as lists of token ids, such as [[17], [5, 6]]; by default, none",
    )
    repetition_penalty: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="penalty on tokens that the sentence has already before the blank, above 0; "
        "above 1 they become less likely; by default 1, which means none",
    )
    no_repeat_ngram_size: int | None = Field(
        None,
        ge=0,
        le=65_536,
        description="forbid that a fill completes a run of this many tokens that occurred before; "
        "by default 0, which forbids none",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="for the method `sampling`: sample from the most likely tokens whose "
        "probabilities sum to this, above 0 and up to 1; by default, from all tokens",
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=MAX_COUNT,
        description="for the method `sampling`: sample from this many of the most likely tokens; "
        "by default, from all tokens",
    )
    min_p: float | None = Field(
        None,
        ge=0,
        le=1,
        description="for the method `sampling`: sample from the tokens whose probability is at "
        "least this share of the highest one, 0 to 1; by default, from all tokens",
    )
    typical_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="for the method `sampling`: sample from the tokens of most typical information "
        "whose probabilities sum to this, above 0 and up to 1; by default, from all tokens",
    )
    seed: Seed = 0


class InterpolateSettings(StrictSettings):
    """Which path is taken, and how many sentences are on it."""

    steps: int = Field(
        7,
        ge=2,
        le=MAX_COUNT,
        description="number of sentences from each given sentence to the next, 2 or more, both "
        "ends included",
    )
    path: InterpolationPath = Field(
        "linear",
        description="shape of the path; density bends it towards regions with many sentences",
    )


class NeighborsSettings(StrictSettings):
    """How many neighbors are found."""

    k: Count = Field(5, description="number of neighbors per text")


class ScoreSettings(StrictSettings):
    """How many samples the scores are computed with."""

    samples: int = Field(
        50, ge=2, le=MAX_COUNT, description="importance samples per sentence, 2 or more"
    )
    seed: Seed = 0


class TraverseSettings(StrictSettings):
    """Which steps a traversal takes."""

    steps: int = Field(
        7,
        ge=2,
        le=MAX_COUNT,
        description="number of texts, at evenly spaced changes from -reach to reach",
    )
    reach: float = Field(
        3.0,
        gt=0,
        le=_MAX_DEVIATIONS,
        description="largest change of the dimension, in standard deviations",
    )
    values: tuple[_Deviations, ...] | None = Field(
        None,
        min_length=1,
        description="the changes of the dimension, in standard deviations, instead of `steps` and "
        "`reach`; by default, `steps` evenly spaced ones",
    )
    unit: DeviationUnit = Field(
        "aggregate",
        description="distribution whose standard deviation is used: "
        "the aggregate posterior or the prior",
    )

    @model_validator(mode="after")
    def check_values(self) -> Self:
        """Refuse a number of steps, or a reach, next to the values themselves.

        Raises:
            ConfigError: both were named.
        """
        if self.values is None:
            return self
        for name in ("steps", "reach"):
            if name in self.model_fields_set:
                raise ConfigError(
                    f"traverse.{name} = {getattr(self, name)!r} has no effect with values, which "
                    "say where each step is. Leave one of the two out."
                )
        return self

    @property
    def offsets(self) -> list[float]:
        """The change of the dimension at each step, in standard deviations."""
        if self.values is not None:
            return list(self.values)
        return [self.reach * (2 * step / (self.steps - 1) - 1) for step in range(self.steps)]


class UncertaintySettings(StrictSettings):
    """How many samples uncertainty is estimated with."""

    draws: int = Field(
        8,
        ge=2,
        le=MAX_COUNT,
        description="number of samples of z per sentence, 2 or more, each of which is decoded",
    )
    seed: Seed = 0


class VarySettings(StrictSettings):
    """How many sentences near a sentence are written, and how near."""

    n: Count = Field(5, description="maximum number of sentences to return")
    spread: float = Field(
        0.5,
        gt=0,
        le=100,
        description="how far to move from the latent of the sentence, in standard deviations",
    )
    unit: SpreadUnit = Field(
        "posterior",
        description="distribution whose standard deviation is used: the sentence's own posterior "
        "or the prior",
    )
    rounds: Count = Field(
        8, description="maximum number of rounds, each of which replaces sentences found before"
    )
