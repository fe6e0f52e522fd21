"""Decode latents to text, with the options of transformers' `GenerationConfig`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import LogitsProcessorList, StoppingCriteriaList

from textvae.data.tokenization import decode_batch
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.generate_arguments import (
    StopStrings,
    build_generate_arguments,
    refused_by_generate,
)
from textvae.inference.keep_tokens import KeepTokensProcessor
from textvae.inference.settings import DecodingSettings
from textvae.inference.unsupported_options import refuse_unsupported_options
from textvae.runtime.seeds import Stream, seeded
from textvae.schema import validate_settings
from textvae.terminal import is_bar_hidden


@dataclass(frozen=True)
class PreferredTokens:
    """Tokens to prefer in each text that is decoded.

    Attributes:
        ids: the token ids of each text, without special tokens.
        nats: what is added to the log-probability of each.
    """

    ids: Sequence[Sequence[int]]
    nats: float

    def build_processors(self, bundle: Bundle, part: slice) -> LogitsProcessorList:
        """Return the processors of transformers' `generate` for a part of the texts."""
        vocab_size = bundle.model.config.vocab_size
        return LogitsProcessorList([KeepTokensProcessor(self.ids[part], vocab_size, self.nats)])


def build_decoding_settings(**options: Any) -> DecodingSettings:
    """Return checked decoding options.

    Raises:
        ConfigError: an option is unknown, is not supported, or is out of range.
    """
    refuse_unsupported_options(options)
    return validate_settings(DecodingSettings, options, "decoding")


def decode_latents(
    bundle: Bundle,
    z: Tensor,
    options: DecodingSettings,
    samples_by_default: bool,
    prefixes: Sequence[Sequence[int]] | None = None,
    batch_size: int = 512,
    progress: bool = False,
    label_ids: Tensor | None = None,
    preferred: PreferredTokens | None = None,
) -> list[str]:
    """Decode one text from each latent.

    Args:
        z: (n, latent).
        samples_by_default: whether to sample tokens if the options do not say.
        prefixes: token ids that the texts begin with, one list per text.
        label_ids: (n,), the labels for a conditional model; by default the bundle's fixed label.
        preferred: tokens whose log-probabilities are raised in each text.

    Returns:
        n texts, their prefixes included, in the order of z. With `num_return_sequences`, that
        many texts of the first latent, then those of the second one, and so on.

    Raises:
        ConfigError: the texts may become longer than the decoder can read, or the options do not
            fit together, or not to the model.
    """
    rows = _iterate_token_ids(
        bundle, z, options, samples_by_default, prefixes, batch_size, progress, label_ids, preferred
    )
    return decode_batch(bundle.tokenizer, rows)


def decode_to_tokens(
    bundle: Bundle,
    z: Tensor,
    options: DecodingSettings,
    samples_by_default: bool,
    label_ids: Tensor | None = None,
) -> list[list[int]]:
    """Decode one row of token ids from each latent, its start, end and padding tokens included.

    The arguments are those of `decode_latents`.
    """
    rows = _iterate_token_ids(bundle, z, options, samples_by_default, label_ids=label_ids)
    return list(rows)


def _iterate_token_ids(
    bundle: Bundle,
    z: Tensor,
    options: DecodingSettings,
    samples_by_default: bool,
    prefixes: Sequence[Sequence[int]] | None = None,
    batch_size: int = 512,
    progress: bool = False,
    label_ids: Tensor | None = None,
    preferred: PreferredTokens | None = None,
) -> Iterator[list[int]]:
    """Yield the token ids that are decoded from each latent; see `decode_latents`."""
    _check_length(bundle, options, prefixes)
    arguments = build_generate_arguments(bundle, options, samples_by_default)
    readable = bundle.model.decoder.max_length
    if prefixes and readable is not None and options.max_new_tokens is None:
        longest = max(map(len, prefixes))
        arguments["max_new_tokens"] = max(1, min(bundle.max_length, readable - longest))
    if label_ids is None:
        label_ids = bundle.fixed_label_ids(len(z))
    batch_size = min(batch_size, bundle.model.decoder.max_rows or batch_size)
    batch_size = max(1, batch_size // (options.num_return_sequences or 1))
    starts = range(0, len(z), batch_size)
    with seeded(options.seed, Stream.TOKENS, bundle.device), torch.inference_mode():
        for start in tqdm(starts, desc="decoding", unit="batch", disable=is_bar_hidden(progress)):
            part = slice(start, start + batch_size)
            latent = z[part].to(bundle.device, bundle.model.dtype)
            inputs = build_start_inputs(bundle, len(latent), prefixes[part] if prefixes else None)
            if label_ids is not None:
                inputs["label_ids"] = label_ids[part].to(bundle.device)
            if preferred is not None:
                arguments["logits_processor"] = preferred.build_processors(bundle, part)
            if options.stop_strings:
                start_length = inputs["input_ids"].shape[1]
                stop = StopStrings(bundle.tokenizer, options.stop_strings, start_length)
                arguments["stopping_criteria"] = StoppingCriteriaList([stop])
            with refused_by_generate():
                rows = bundle.model.generate(**inputs, latent=latent, **arguments).tolist()
            yield from rows


def _check_length(
    bundle: Bundle, options: DecodingSettings, prefixes: Sequence[Sequence[int]] | None
) -> None:
    """Refuse a maximum length that exceeds the positions of a transformer.

    Raises:
        ConfigError: it is too long.
    """
    readable = bundle.model.decoder.max_length
    if readable is None or options.max_new_tokens is None:
        return
    # The start token takes a position, but the last token is never read.
    most = readable - max(map(len, prefixes), default=0) if prefixes else readable
    if options.max_new_tokens > most:
        raise ConfigError(
            f"decoding.max_new_tokens = {options.max_new_tokens}: this model's decoder has "
            f"positions for {most} new tokens; expected at most that many."
        )


def build_start_inputs(
    bundle: Bundle, count: int, prefixes: Sequence[Sequence[int]] | None
) -> dict[str, Tensor]:
    """Return the tokens that each text begins with: the start token and the prefix.

    Shapes:
        input_ids, attention_mask: (count, longest prefix + 1), padded on the left, so that
            every row's next token comes after the last column
    """
    start = bundle.tokenizer.bos_token_id
    pad = bundle.tokenizer.pad_token_id
    rows = [[start, *prefix] for prefix in prefixes or [[]] * count]
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids.to(bundle.device), "attention_mask": mask.to(bundle.device)}


def batch_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of indices, the longest sentences first.

    The first batch needs the most memory: if it fits, so do all others.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
