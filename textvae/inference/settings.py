"""The decoding options, named as in transformers' `GenerationConfig`.

The command line takes its options and help texts from this class, so this module
imports neither torch nor anything else that is slow to import.
"""

import secrets

from pydantic import Field

from textvae.schema import MAX_COUNT, MAX_TEMPERATURE, MIN_TEMPERATURE, Seed, StrictSettings

# Of the temperatures that were measured, this one gives samples whose words follow each other
# about as predictably as those of real sentences, with no loss of coverage; see docs/recipe.md.
# Measures of a model sample at temperature 1, which is the model's own distribution.
DEFAULT_TEMPERATURE = 0.85


def draw_seed() -> int:
    """Return a new seed, below 2^31, that does not depend on any earlier one."""
    return secrets.randbelow(2**31)


class DecodingSettings(StrictSettings):
    """Decoding options; for an option that is None, `generation_config.json` has the value.

    An exception is `do_sample`, whose default is that of the function that decodes.
    """

    do_sample: bool | None = Field(
        None,
        description="sample each token instead of taking the most likely one; "
        "by default, this depends on the verb and the other options",
    )
    temperature: float | None = Field(
        None,
        ge=MIN_TEMPERATURE,
        le=MAX_TEMPERATURE,
        description="sampling temperature of the tokens, above 0; lower is closer to greedy; "
        f"by default {DEFAULT_TEMPERATURE}",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="sample from the most likely tokens whose probabilities sum to this, "
        "above 0 and up to 1; by default, from all tokens",
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=MAX_COUNT,
        description="sample from this many of the most likely tokens; by default, from all tokens",
    )
    num_beams: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="number of beams of a beam search; by default 1, which means no search",
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="maximum length of a text in tokens; "
        "by default, enough for the longest sentence of the training data",
    )
    seed: int = Field(
        default_factory=draw_seed,
        ge=0,
        lt=2**63,
        description="seed of the random numbers; the same seed gives the same result; "
        "by default, a new one in each call, and 0 in shards",
    )


class BulkDecodingSettings(DecodingSettings):
    """Decoding options of a bulk job, which must continue after an interruption."""

    seed: Seed = 0
