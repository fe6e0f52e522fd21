"""Greedy and sampled decoding in which finished sentences leave the batch.

transformers keeps every row in the batch until the last one has ended. This is
a loop for its `generate(custom_generate=...)`. It uses transformers' own options,
processors, stopping criteria and caches. Greedy texts are the same, and sampled
ones have the same distribution.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Cache,
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from textvae.inference.token_choice import TokenChoice, sample_tokens
from textvae.model.architectures import CACHE_NAME
from textvae.model.conditioning import Signals
from textvae.model.modeling import TextVAEModel
from textvae.runtime.device import is_bf16_fast

# Processors that treat each row alone and never change which logit is the highest. Others
# may remember the rows of the batch, and would break when rows leave it.
_ROWWISE_PROCESSORS = (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    MinPLogitsWarper,
)

# These treat each row alone, too, but can change which logit is the highest.
_PENALTIES = (RepetitionPenaltyLogitsProcessor, NoRepeatNGramLogitsProcessor)


@torch.no_grad()
def generate_with_shrinking_batch(
    model: TextVAEModel,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    **model_inputs: Any,
) -> Tensor:
    """Continue each row of `input_ids` until a stopping criterion holds for it.

    With processors other than `_ROWWISE_PROCESSORS`, and `_PENALTIES` if tokens are sampled,
    transformers' own loop runs instead.

    Args:
        model_inputs: what `generate` has prepared: `attention_mask`, `latent`, an empty
            cache, and the `label_ids` of a conditional model.

    Shapes:
        input_ids, attention_mask: (batch, length), padded on the left; latent: (batch, latent)
        returns: (batch, longest), padded on the right after the end token
    """
    known: tuple[type, ...] = _ROWWISE_PROCESSORS
    if generation_config.do_sample:
        known += _PENALTIES
    if not all(isinstance(processor, known) for processor in logits_processor):
        sampled: Tensor = model._sample(
            input_ids, logits_processor, stopping_criteria, generation_config, **model_inputs
        )
        return sampled
    choice = TokenChoice(
        model.decoder.output_weight,
        model.decoder.output_bias,
        is_bf16_fast(input_ids.device) and not input_ids.is_cuda,
        cap=model.decoder.logit_cap,
    )
    temperature = _find_only_temperature(logits_processor)
    active = _start_rows(model, input_ids, model_inputs)
    finished: list[tuple[Tensor, Tensor]] = []
    while len(active.indices):
        states = model.decoder(active.next_tokens, active.mask, active.signals, active.cache)[:, -1]
        if generation_config.do_sample and temperature is not None:
            tokens = choice.sample(states, temperature)
        elif generation_config.do_sample:
            tokens = sample_tokens(logits_processor(active.sequences, choice.logits(states)))
        else:
            # No processors are needed: row-wise ones never change which logit is the highest.
            tokens = choice.choose_greedily(states)
        active.append(tokens)
        has_ended = stopping_criteria(active.sequences, None)
        if bool(has_ended.any()):
            finished.append((active.indices[has_ended], active.sequences[has_ended]))
            active.keep((~has_ended).nonzero().squeeze(1))
    return _restore_order(finished, generation_config.pad_token_id)


def _find_only_temperature(processors: LogitsProcessorList) -> float | None:
    """Return the temperature, 1 without processors, or None if another one changes the logits."""
    temperature = 1.0
    for processor in processors:
        if not isinstance(processor, TemperatureLogitsWarper):
            return None
        temperature *= processor.temperature
    return temperature


@dataclass
class _ActiveRows:
    """The unfinished rows of a batch; every tensor, and the cache, has one row per sentence.

    Shapes:
        indices: (rows,), the position of each row in the full batch
        sequences, mask: (rows, tokens so far), and the mask of the padding on the left
        next_tokens: (rows, length), what the decoder has not read yet
        signals: what conditions the decoder on z
    """

    indices: Tensor
    sequences: Tensor
    mask: Tensor
    next_tokens: Tensor
    signals: Signals
    cache: Cache

    def append(self, tokens: Tensor) -> None:
        """Append one token to each row, (rows,)."""
        self.next_tokens = tokens.unsqueeze(1)
        self.sequences = torch.cat([self.sequences, self.next_tokens], 1)
        self.mask = torch.cat([self.mask, torch.ones_like(self.next_tokens)], 1)

    def keep(self, remaining: Tensor) -> None:
        """Keep only the remaining rows, (remaining rows,), by their current positions."""
        self.indices = self.indices[remaining]
        self.sequences = self.sequences[remaining]
        self.mask = self.mask[remaining]
        self.next_tokens = self.next_tokens[remaining]
        self.signals = {name: signal[remaining] for name, signal in self.signals.items()}
        self.cache.reorder_cache(remaining)


def _start_rows(
    model: TextVAEModel, input_ids: Tensor, model_inputs: dict[str, Any]
) -> _ActiveRows:
    """Return all rows of the batch before the first new token."""
    mask = model_inputs.get("attention_mask")
    if mask is None:  # `generate` leaves out a mask that is all ones
        mask = torch.ones_like(input_ids)
    return _ActiveRows(
        indices=torch.arange(len(input_ids), device=input_ids.device),
        sequences=input_ids,
        mask=mask,
        next_tokens=input_ids,
        signals=model.compute_signals(model_inputs["latent"], model_inputs.get("label_ids")),
        cache=model_inputs[CACHE_NAME],
    )


def _restore_order(finished: list[tuple[Tensor, Tensor]], pad: Any) -> Tensor:
    """Return the sequences in the order of their rows, (batch, longest), padded on the right."""
    width = max(sequences.shape[1] for _, sequences in finished)
    batch = sum(len(rows) for rows, _ in finished)
    result = finished[0][1].new_full((batch, width), pad)
    for rows, sequences in finished:
        result[rows, : sequences.shape[1]] = sequences
    return result
