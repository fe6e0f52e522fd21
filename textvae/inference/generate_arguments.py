"""From decoding options to the keyword arguments of transformers' `generate()`.

Options that would have no effect are refused, because transformers would ignore them with a
warning at most. Greedy decoding and sampling run in our own loop, which is faster, as long
as it knows all options; otherwise they run in that of transformers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    WatermarkingConfig,
)

from textvae.data.tokenization import decode_batch, encode_batch
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.generation_loop import generate_with_shrinking_batch
from textvae.inference.settings import (
    BEAM_OPTIONS,
    DEFAULT_TEMPERATURE,
    SAMPLING_OPTIONS,
    DecodingChoices,
    DecodingSettings,
)

# What `generate_with_shrinking_batch` does itself. It passes other options of logits on to
# transformers' loop, but it never sees those that change how `generate` prepares or stops.
_OPTIONS_OF_OUR_LOOP = frozenset(
    (
        "do_sample",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "max_new_tokens",
        "num_beams",
        "num_return_sequences",
    )
)


def build_generate_arguments(
    bundle: Bundle, options: DecodingSettings, samples_by_default: bool
) -> dict[str, Any]:
    """Return the keyword arguments for transformers' `generate`.

    Args:
        samples_by_default: whether to sample if nothing asks for sampling or for beams.

    Raises:
        ConfigError: options contradict each other, would have no effect, or name tokens that the
            model does not have.
    """
    configured = bundle.model.generation_config
    arguments = options.model_dump(exclude_none=True, exclude={"seed"})
    if configured.num_beams is not None and configured.num_beams > 1:
        arguments.setdefault("num_beams", configured.num_beams)
    asks_to_sample = any(name in arguments for name in SAMPLING_OPTIONS)
    uses_default = samples_by_default and arguments.get("num_beams", 1) == 1
    arguments.setdefault("do_sample", asks_to_sample or uses_default)
    _check_combination(arguments)
    _check_lengths(bundle, arguments)
    if arguments["do_sample"]:
        if not asks_to_sample:
            _set_defaults(arguments, configured, bundle.model.decoder.sampling_options)
        _set_defaults(arguments, configured, {"temperature": DEFAULT_TEMPERATURE})
    is_known = arguments.keys() <= _OPTIONS_OF_OUR_LOOP
    # Our loop has no beam search, but that of transformers does.
    if is_known and arguments.get("num_beams", 1) == 1:
        arguments["custom_generate"] = generate_with_shrinking_batch
    return _replace_word_arguments(arguments, build_token_arguments(bundle, arguments))


def _set_defaults(
    arguments: dict[str, Any], configured: GenerationConfig, defaults: Mapping[str, float]
) -> None:
    """Add options that neither the arguments nor `generation_config.json` have."""
    for name, value in defaults.items():
        if getattr(configured, name, None) is None:
            arguments.setdefault(name, value)


def build_token_arguments(bundle: Bundle, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that name tokens, in the types that transformers expects.

    The tokens of `bad_words` are among `bad_words_ids` in the result.

    Raises:
        ConfigError: an option names a token or a word that the model does not have, or all tokens.
    """
    arguments: dict[str, Any] = {}
    if "bad_words" in options or "bad_words_ids" in options:
        banned = [list(ids) for ids in options.get("bad_words_ids", ())]
        banned += tokenize_bad_words(bundle, options.get("bad_words", ()))
        arguments["bad_words_ids"] = banned
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        if name in options:
            arguments[name] = list(options[name])
    if "sequence_bias" in options:
        arguments["sequence_bias"] = [
            [list(ids), float(bias)] for ids, bias in options["sequence_bias"]
        ]
    if "watermarking_config" in options:
        arguments["watermarking_config"] = _build_watermark(options["watermarking_config"])
    _check_token_ids(bundle, arguments)
    return arguments


def _replace_word_arguments(
    arguments: Mapping[str, Any], token_arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments without those that `generate` does not have, or not as we mean them."""
    merged = {**arguments, **token_arguments}
    return {name: merged[name] for name in merged if name not in ("bad_words", "stop_strings")}


class StopStrings(StoppingCriteria):
    """Ends a text as soon as one of the strings is in it.

    Not transformers' own `stop_strings`, which fails for tokens that are whole words or characters.

    Args:
        start: how many tokens there are before the first new one; the strings may occur there.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, strings: Sequence[str], start: int):
        self.tokenizer = tokenizer
        self.strings = strings
        self.start = start

    def __call__(self, input_ids: Tensor, scores: Tensor | None, **_: Any) -> Tensor:
        """Return whether each row has ended, (rows,)."""
        texts = decode_batch(self.tokenizer, input_ids[:, self.start :].tolist())
        ended = [any(string in text for string in self.strings) for text in texts]
        return torch.tensor(ended, device=input_ids.device)


def drop_sampling(options: DecodingSettings) -> DecodingSettings:
    """Return the same options for greedy decoding of one text."""
    return options.model_copy(update={"do_sample": False, **dict.fromkeys(SAMPLING_OPTIONS)})


def copy_choices(choices: DecodingChoices, temperature: float, seed: int) -> DecodingSettings:
    """Return the decoding options of a verb that has a temperature and a seed of its own."""
    values = {name: getattr(choices, name) for name in DecodingChoices.model_fields}
    # A temperature that the user named next to greedy decoding is refused later.
    is_unused = choices.do_sample is False and "temperature" not in choices.model_fields_set
    return DecodingSettings(**values, temperature=None if is_unused else temperature, seed=seed)


def tokenize_bad_words(bundle: Bundle, words: Sequence[str]) -> list[list[int]]:
    """Return the token ids of words, at the start of a text and after a space, without repeats.

    Raises:
        ConfigError: the model does not know a word.
    """
    found: dict[tuple[int, ...], None] = {}
    for word in words:
        rows = encode_batch(bundle.tokenizer, [word, f" {word.strip()}"])
        if not any(rows) or any(bundle.tokenizer.unk_token_id in row for row in rows):
            raise ConfigError(
                f"decoding.bad_words = {word!r}: the model does not know it, and so never writes it; "
                "leave it out."
            )
        for row in rows:
            found[tuple(row)] = None
    return [list(row) for row in found]


@contextmanager
def refused_by_generate() -> Iterator[None]:
    """Turn transformers' errors about decoding options into ours.

    Raises:
        ConfigError: transformers refused the options, or they left no token to choose.
    """
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"transformers refuses these decoding options: {reason}") from error
    except RuntimeError as error:
        if "probability tensor contains" not in str(error):
            raise
        raise ConfigError(
            "these decoding options leave no token that could follow; forbid fewer tokens, or "
            "ask for shorter texts."
        ) from error


def _check_combination(arguments: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other, or that would be ignored.

    Raises:
        ConfigError: there are such options.
    """
    beams = arguments.get("num_beams", 1)
    count = arguments.get("num_return_sequences", 1)
    is_sampled = arguments["do_sample"]
    if not is_sampled:
        _refuse_options(arguments, SAMPLING_OPTIONS, "do_sample = False", "samples tokens")
    if beams == 1:
        _refuse_options(arguments, BEAM_OPTIONS, "num_beams = 1", "is part of beam search")
    if count > 1 and beams == 1 and not is_sampled:
        raise ConfigError(
            f"decoding.num_return_sequences = {count}: greedy decoding gives one text per latent; "
            f"sample, with do_sample or temperature, or set num_beams to {count} or more."
        )
    if beams > 1 and count > beams:
        raise ConfigError(
            f"decoding.num_return_sequences = {count}: a search with {beams} beams finds at most "
            f"{beams} texts; set num_beams to {count} or more."
        )


def _refuse_options(
    arguments: Mapping[str, Any], names: Iterable[str], other: str, reason: str
) -> None:
    """Refuse options that have no effect because of another one.

    Raises:
        ConfigError: one of them is there.
    """
    for name in names:
        if name in arguments:
            raise ConfigError(
                f"decoding.{name} = {arguments[name]!r} has no effect with {other}: it {reason}. "
                "Leave one of the two out."
            )


def _check_lengths(bundle: Bundle, arguments: Mapping[str, Any]) -> None:
    """Refuse a minimum length that no text can have.

    Raises:
        ConfigError: the minimum is above the maximum.
    """
    least = arguments.get("min_new_tokens", 0)
    most = arguments.get("max_new_tokens", bundle.max_length)
    if least > most:
        raise ConfigError(
            f"decoding.min_new_tokens = {least}: texts have at most {most} new tokens; "
            "choose fewer, or set max_new_tokens."
        )


def _check_token_ids(bundle: Bundle, arguments: Mapping[str, Any]) -> None:
    """Refuse token ids that the model does not have, and the suppression of all tokens.

    Raises:
        ConfigError: there are such ids.
    """
    vocab = int(bundle.model.config.vocab_size)
    ids_by_name = {
        "bad_words_ids": list(chain.from_iterable(arguments.get("bad_words_ids", ()))),
        "sequence_bias": list(
            chain.from_iterable(ids for ids, _ in arguments.get("sequence_bias", ()))
        ),
        "suppress_tokens": arguments.get("suppress_tokens", []),
        "begin_suppress_tokens": arguments.get("begin_suppress_tokens", []),
    }
    for name, ids in ids_by_name.items():
        largest = max(ids, default=0)
        if largest >= vocab:
            raise ConfigError(
                f"decoding.{name} names the token {largest}: this model has {vocab:,} tokens, "
                f"counted from 0; choose ids below {vocab}."
            )
        if name.endswith("suppress_tokens") and len(set(ids)) == vocab:
            raise ConfigError(f"decoding.{name} names all tokens; leave at least one out.")


def _build_watermark(values: Mapping[str, Any]) -> WatermarkingConfig:
    """Return transformers' settings of a watermark.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    try:
        config = WatermarkingConfig(**values)
        config.validate()
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"decoding.watermarking_config does not fit: {reason}. Expected settings of "
            "transformers' WatermarkingConfig."
        ) from error
    return config
