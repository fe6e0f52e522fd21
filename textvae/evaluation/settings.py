"""Settings of the measures: how many texts to write, and what to compare them with."""

from collections.abc import Callable, Sequence

from pydantic import Field, field_validator

from textvae.errors import DataError
from textvae.runtime.paths import require_path
from textvae.schema import MAX_COUNT, MAX_PROCESSES, Count, StrictSettings

DEFAULT_IMPORTANCE_SAMPLES = 500  # per sentence, as in most papers


class EvaluateSettings(StrictSettings):
    """How thoroughly, and on how many sentences, a run is evaluated."""

    samples: Count = Field(
        DEFAULT_IMPORTANCE_SAMPLES,
        description="importance samples per sentence, for the likelihood",
    )
    limit: int | None = Field(
        None, ge=1, description="measure on the first N sentences; by default, on all"
    )


class CompareSettings(EvaluateSettings):
    """How many runs a comparison has, and how they are evaluated."""

    seeds: int = Field(
        3, ge=1, le=1_000, description="number of runs of each config, each with its own seed"
    )
    jobs: int = Field(
        1, ge=1, le=MAX_PROCESSES, description="number of runs to train at the same time"
    )
    equal_steps: bool = Field(
        False,
        description="train every other config for as many steps as the run of the first config "
        "with the same corpus and seed, over a schedule of its own that ends there",
    )


class MeasureSettings(StrictSettings):
    """Settings of the measures; `features` and `word_vectors` replace the model's own."""

    adaptive: bool = Field(
        False,
        description="give more importance samples to sentences with uneven weights: until "
        "the error is that of `samples` for each sentence, in multiples of 50",
    )
    fit_proposal: bool = Field(
        False,
        description="for a tighter likelihood, sample z from a Gaussian whose width is fitted on "
        "100 validation sentences",
    )
    prior_samples: int = Field(
        1000,
        ge=2,
        le=MAX_COUNT,
        description="number of sentences to sample from the prior, for the group `samples`",
    )
    greedy: bool = Field(
        False,
        description="decode samples from the prior greedily instead of sampling at temperature 1",
    )
    self_bleu_samples: int = Field(
        200,
        ge=2,
        le=MAX_COUNT,
        description="number of these sentences that self-BLEU compares with each other",
    )
    training_sentences: int = Field(
        200_000,
        ge=1,
        description="training sentences, evenly spaced, from which to learn the n-gram model",
    )
    aggregate_sentences: int | None = Field(
        None,
        ge=0,
        description="training sentences, evenly spaced, that bracket the aggregate KL together "
        "with the evaluated ones (default: 30,000, and none for the sentences of a file, which may "
        "be unlike them)",
    )
    pairs: Count = Field(50, description="pairs of sentences to interpolate between")
    steps: int = Field(
        11, ge=3, le=MAX_COUNT, description="sentences on each interpolation, ends included"
    )
    word_vectors: str | None = Field(
        None,
        description="text file of word vectors, as GloVe, word2vec and fastText write them, for the "
        "group `interpolation`; by default, the decoder's embedding",
    )
    features: Callable[[Sequence[str]], object] | None = Field(
        None,
        description="a function from texts to (n, features), for MAUVE; "
        "by default, the posterior means",
    )

    @field_validator("word_vectors")
    @classmethod
    def check_word_vectors(cls, file: str | None) -> str | None:
        """Refuse a missing file here, before the first measure, rather than hours later."""
        if file is None:
            return None
        path = require_path(file, "word_vectors")
        if not path.is_file():
            raise DataError(
                f"{file}: there is no such file; expected a text file of word vectors, as GloVe, "
                "word2vec and fastText write them."
            )
        return str(path)


DEFAULT_MEASURE_SETTINGS = MeasureSettings()
