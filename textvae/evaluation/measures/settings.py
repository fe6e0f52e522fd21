"""What the measures of written text can be told: how much is written, and what it is held against."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from textvae.errors import DataError
from textvae.schema import StrictSettings


class MeasureSettings(StrictSettings):
    """Amounts, and what a user may put in place of the model's own features and vectors."""

    adaptive: bool = Field(
        False, description="spread the importance samples by what each sentence's weights call for"
    )
    prior_samples: int = Field(1000, ge=2, description="sentences written from the prior")
    greedy: bool = Field(
        False, description="write them greedily; by default tokens are drawn, temperature 1"
    )
    self_bleu_samples: int = Field(200, ge=2, description="of them, each held against the others")
    training_sentences: int = Field(
        200_000, ge=1, description="that n-grams are learned from, evenly spaced"
    )
    pairs: int = Field(50, ge=1, description="of sentences to interpolate between")
    steps: int = Field(11, ge=3, description="sentences on the way, ends included")
    word_vectors: str | None = Field(
        None, description="a word2vec text file; by default the decoder's embedding"
    )
    features: Callable[[Sequence[str]], Any] | None = Field(
        None, description="texts to (n, features), for MAUVE; by default the posterior means"
    )

    @field_validator("word_vectors")
    @classmethod
    def check(cls, file: str | None) -> str | None:
        """Refuse a file that is not there, before anything is measured."""
        if file is not None and not Path(file).is_file():
            raise DataError(
                f"{file}: there is no such file; wanted are word vectors in word2vec's text format."
            )
        return file


DEFAULT_MEASURE_SETTINGS = MeasureSettings()
