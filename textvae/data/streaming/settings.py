"""The settings of a streamed corpus."""

from typing import Literal

from pydantic import Field

from textvae.schema import StrictSettings


class StreamSettings(StrictSettings):
    """The settings of a corpus that may be read during training."""

    streaming: bool | Literal["auto"] = Field(
        "auto",
        description="read the corpus during training; auto: only if it is a URL or a pattern",
    )
    buffer: int = Field(20_000, ge=1, description="sentences that a stream shuffles together")
    sample: int = Field(
        100_000,
        ge=100,
        description="sentences from which a stream's tokenizer and held-out splits are made",
    )
    on_corrupt: Literal["stop", "skip"] = Field(
        "stop", description="what a stream does at damaged rows and files"
    )
