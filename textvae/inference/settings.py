"""The decoding options, named as in transformers' `GenerationConfig`.

Every option of `GenerationConfig` is either a field here or refused by name: see
`textvae.inference.unsupported_options`. The command line takes its options and help texts
from these classes, so this module imports neither torch nor anything else that is slow
to import.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from textvae.schema import MAX_COUNT, MAX_TEMPERATURE, MIN_TEMPERATURE, Seed, StrictSettings

# Of the temperatures that were measured, this one gives samples whose words follow each other
# about as predictably as those of real sentences, with no loss of coverage; see docs/recipe.md.
# Measures of a model sample at temperature 1, which is the model's own distribution.
DEFAULT_TEMPERATURE = 0.85

# Each of these options turns on sampling, unless `do_sample` says otherwise.
SAMPLING_OPTIONS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "top_h",
    "epsilon_cutoff",
    "eta_cutoff",
)

# These have an effect only in a beam search.
BEAM_OPTIONS = ("length_penalty", "early_stopping")

# Strict: True would otherwise be read as the token 1.
TokenId = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
TokenIds = Annotated[Sequence[TokenId], Field(min_length=1)]
NonEmptyText = Annotated[str, Field(min_length=1, max_length=1_000)]


def draw_seed() -> int:
    """Return a new seed, below 2^31, that does not depend on any earlier one."""
    return secrets.randbelow(2**31)


class DecodingChoices(StrictSettings):
    """How tokens are chosen, apart from temperature, seed and the number of texts.

    For an option that is None, `generation_config.json` has the value. An exception is
    `do_sample`, whose default is that of the function that decodes.
    """

    do_sample: bool | None = Field(
        None,
        description="sample each token instead of taking the most likely one; "
        "by default, this depends on the verb and the other options",
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
    min_new_tokens: int | None = Field(
        None,
        ge=0,
        le=65_536,
        description="minimum length of a text in tokens, without its end; by default, none",
    )
    min_p: float | None = Field(
        None,
        ge=0,
        le=1,
        description="sample from the tokens whose probability is at least this share of the "
        "highest one, 0 to 1; by default, from all tokens, or 0.05 for samples of a pretrained "
        "language model if no other option of sampling is given",
    )
    typical_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="sample from the tokens of most typical information whose probabilities sum "
        "to this, above 0 and up to 1 (arXiv:2202.00666); by default, from all tokens",
    )
    top_h: float | None = Field(
        None,
        gt=0,
        le=1,
        description="sample from the most likely tokens whose entropy is at most this share of the "
        "whole entropy, above 0 and up to 1 (arXiv:2509.02510); by default, from all tokens",
    )
    epsilon_cutoff: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="sample from the tokens whose probability is at least this, between 0 and 1 "
        "(arXiv:2210.15191); by default, from all tokens",
    )
    eta_cutoff: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="the same as epsilon_cutoff, with a limit that falls with the entropy, "
        "between 0 and 1 (arXiv:2210.15191); by default, none",
    )
    repetition_penalty: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="penalty on tokens that the text has already, above 0; above 1 they become "
        "less likely (arXiv:1909.05858); by default 1, which means none, or 1.1 for samples of a "
        "pretrained language model if no option of sampling is given",
    )
    no_repeat_ngram_size: int | None = Field(
        None,
        ge=0,
        le=65_536,
        description="forbid that any run of this many tokens occurs twice in a text; "
        "by default 0, which forbids none",
    )
    length_penalty: float | None = Field(
        None,
        ge=-1000,
        le=1000,
        description="exponent of the length by which a beam's score is divided: above 0 favors "
        "long texts, below 0 short ones; by default 1",
    )
    early_stopping: bool | Literal["never"] | None = Field(
        None,
        description="when a beam search ends: true, with as many finished texts as beams; false, "
        "when better ones are unlikely; never, when they are impossible; by default false",
    )
    exponential_decay_length_penalty: tuple[Annotated[int, Field(ge=0)], float] | None = Field(
        None,
        description="a number of tokens, after which the end becomes likelier with every token, "
        "and the factor, such as [5, 1.2]; by default, none",
    )
    max_time: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="seconds after which the texts of a batch are cut, so that results depend on "
        "the machine; by default, no limit",
    )
    stop_strings: Annotated[Sequence[NonEmptyText], Field(min_length=1)] | None = Field(
        None,
        description="end a text with the token that completes this string; on the command line, "
        "may be repeated; by default, only at the end token",
    )
    bad_words: Annotated[Sequence[NonEmptyText], Field(min_length=1)] | None = Field(
        None,
        description="never write this word or phrase in its usual tokens; pieces of words can "
        "still spell it in another way; on the command line, may be repeated; by default, all "
        "words are allowed",
    )
    bad_words_ids: Annotated[Sequence[TokenIds], Field(min_length=1)] | None = Field(
        None,
        description="the same, as lists of token ids, such as [[17], [5, 6]]; by default, none",
    )
    suppress_tokens: TokenIds | None = Field(
        None,
        description="ids of tokens that are never written, such as [3, 17]; by default, none",
    )
    begin_suppress_tokens: TokenIds | None = Field(
        None,
        description="ids of tokens that are never written first, such as [3, 17]; by default, none",
    )
    sequence_bias: Annotated[Sequence[tuple[TokenIds, float]], Field(min_length=1)] | None = Field(
        None,
        description="pairs of token ids and a bias, which is added to the logit of the last of "
        "them after the others, such as [[[17], -2.5]]; by default, none",
    )
    renormalize_logits: bool | None = Field(
        None,
        description="normalize the logits again after all changes, which beam scores may need; "
        "by default, they are not",
    )
    remove_invalid_values: bool | None = Field(
        None,
        description="replace logits that are NaN or infinite by finite ones; "
        "by default, they are left",
    )
    watermarking_config: Mapping[str, int | float | str] | None = Field(
        None,
        description="settings of transformers' WatermarkingConfig, such as "
        '{"greenlist_ratio": 0.25, "bias": 2.0}; by default, no watermark',
    )


class SingleDecodingSettings(DecodingChoices):
    """How one text is decoded from each latent."""

    temperature: float | None = Field(
        None,
        ge=MIN_TEMPERATURE,
        le=MAX_TEMPERATURE,
        description="sampling temperature of the tokens, above 0; lower is closer to greedy; "
        f"by default {DEFAULT_TEMPERATURE}",
    )
    seed: int = Field(
        default_factory=draw_seed,
        ge=0,
        lt=2**63,
        description="seed of the random numbers; the same seed gives the same result; "
        "by default, a new one in each call, and 0 in shards",
    )


class DecodingSettings(SingleDecodingSettings):
    """How texts are decoded from latents: all decoding options."""

    num_return_sequences: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="number of texts from each latent, next to each other in the result; it needs "
        "sampling, or at least as many beams; by default 1",
    )


class BulkDecodingSettings(SingleDecodingSettings):
    """Decoding options of a bulk job, which must continue after an interruption."""

    seed: Seed = 0
