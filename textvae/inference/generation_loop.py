"""Greedy and sampled decoding in which finished sentences leave the batch.

transformers keeps every row until the last has ended. This is a loop for its
`generate(custom_generate=...)`: options, processors, stopping criteria and
caches are the library's, and so are the results.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    Cache,
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from textvae.inference.token_choice import TokenChoice, sample_tokens
from textvae.model.decoders.base import CACHE_NAME
from textvae.model.modeling import TextVAEModel
from textvae.runtime.device import is_bf16_fast

_ROWWISE_PROCESSORS = (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    MinPLogitsWarper,
)  # whatever the batch


@torch.no_grad()
def generate_with_shrinking_batch(
    model: TextVAEModel,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    **model_inputs: Any,
) -> Tensor:
    """Write after each row of `input_ids` until a stopping criterion holds for it.

    Processors that may remember the batch's rows get the library's own loop.

    Args:
        model_inputs: `attention_mask`, `latent`, a conditional model's `label_ids` and an empty cache, as `generate`
            has prepared them.

    Shapes:
        input_ids, attention_mask: (batch, length), padded on the left; latent: (batch, latent)
        returns: (batch, longest), padded on the right after the end token
    """
    if not all(isinstance(processor, _ROWWISE_PROCESSORS) for processor in logits_processor):
        plain: Tensor = model._sample(
            input_ids, logits_processor, stopping_criteria, generation_config, **model_inputs
        )
        return plain
    cache: Cache = model_inputs[CACHE_NAME]
    choice = TokenChoice(
        model.decoder.output_weight,
        model.decoder.output_bias,
        is_bf16_fast(input_ids.device) and not input_ids.is_cuda,
    )
    signals = model.compute_signals(model_inputs["latent"], model_inputs.get("label_ids"))
    texts, rows = input_ids, torch.arange(len(input_ids), device=input_ids.device)
    ended: list[tuple[Tensor, Tensor]] = []
    fresh, mask = input_ids, model_inputs.get("attention_mask")
    mask = (
        torch.ones_like(input_ids) if mask is None else mask
    )  # `generate` leaves out one that is all ones
    while len(rows):
        states = model.decoder(fresh, mask, signals, cache)[:, -1]
        if generation_config.do_sample:
            tokens = sample_tokens(logits_processor(texts, choice.scores(states)))
        else:  # what goes row by row may scale or drop scores, but leaves the likeliest
            tokens = choice.likeliest(states)
        fresh = tokens.unsqueeze(1)
        texts, mask = torch.cat([texts, fresh], 1), torch.cat([mask, torch.ones_like(fresh)], 1)
        has_ended = stopping_criteria(texts, None)
        if not bool(has_ended.any()):
            continue
        ended.append((rows[has_ended], texts[has_ended]))
        stays = (~has_ended).nonzero().squeeze(1)
        rows, texts, mask, fresh = rows[stays], texts[stays], mask[stays], fresh[stays]
        signals = {name: signal[stays] for name, signal in signals.items()}
        cache.reorder_cache(stays)
    return _restore_order(ended, generation_config.pad_token_id)


def _restore_order(ended: list[tuple[Tensor, Tensor]], pad: Any) -> Tensor:
    """Return the texts of all rows in the rows' order, (batch, longest), padded on the right."""
    width = max(texts.shape[1] for _, texts in ended)
    out = ended[0][1].new_full((sum(len(rows) for rows, _ in ended), width), pad)
    for rows, texts in ended:
        out[rows, : texts.shape[1]] = texts
    return out
