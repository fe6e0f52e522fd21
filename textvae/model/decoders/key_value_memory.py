"""A memory of keys and values that every layer of a transformer attends to.

z gives a few keys and values for each layer, as if some tokens came before the
sentence: the memory of Optimus (Li et al. 2020, arXiv:2004.04092). A rotary model stores
its keys after their rotation, so these are rotated by the positions of their slots.
"""

import sys
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel

from textvae.model.architectures import (
    CACHE_NAME,
    UNTRIED_ARCHITECTURE_ERRORS,
    list_parameters,
)

_TOLERANCE = 0.01  # relative; rounding changes states by far less


class KeyValueMemory:
    """Writes the keys and values of z to an empty cache.

    Attributes:
        shape: (layers, 2, heads, slots, head size), the keys and values of a sentence.
    """

    def __init__(self, body: PreTrainedModel, slots: int) -> None:
        config = body.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = (config.num_hidden_layers, 2, _count_heads(body), slots, size)

    def compute_from_states(self, body: PreTrainedModel, states: Tensor) -> Tensor:
        """Return the memory of one token's states, (1, 1, hidden), in every slot: (*shape).

        The keys of a first token are not rotated, since its position is 0.
        """
        cache = DynamicCache(config=body.config)
        body(inputs_embeds=states, use_cache=True, **{CACHE_NAME: cache})
        layers = [torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers]
        return torch.stack(layers).expand(self.shape)

    def fill(self, cache: Cache, memory: Tensor, body: PreTrainedModel) -> None:
        """Write the memory of each sentence, (batch, *shape), to an empty cache."""
        rotate = _find_rotation(body)
        angles: dict[str | None, tuple[Tensor, Tensor]] = {}
        for layer, layer_type in enumerate(_list_layer_types(body)):
            keys = memory[:, layer, 0]
            values = memory[:, layer, 1]
            if rotate is not None:
                if layer_type not in angles:
                    angles[layer_type] = _compute_angles(body, keys, layer_type)
                cos, sin = angles[layer_type]
                # Some models rotate only the first numbers of each key.
                rotated, rest = keys.split([cos.shape[-1], keys.shape[-1] - cos.shape[-1]], dim=-1)
                keys = torch.cat([rotate(rotated, rotated, cos, sin)[0], rest], dim=-1)
            cache.update(keys, values, layer)


@torch.no_grad()
def can_have_memory(body: PreTrainedModel) -> bool:
    """Return whether a transformer uses a memory as if it were the tokens before the text.

    Some architectures keep other things than keys and values of one shape: states of a linear
    attention, or compressed keys. So a token is replaced by its memory, and what the model
    computes after it must not change.
    """
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(body.config.vocab_size, (1, 2), generator=random)
    ids = ids.to(body.get_input_embeddings().weight.device)
    first, second = body.get_input_embeddings()(ids).split(1, dim=1)
    expected = body(inputs_embeds=torch.cat([first, second], dim=1)).last_hidden_state[:, 1:]
    try:
        memory = KeyValueMemory(body, 1)
        cache = DynamicCache(config=body.config)
        memory.fill(cache, memory.compute_from_states(body, first).unsqueeze(0), body)
        options = {CACHE_NAME: cache, "attention_mask": torch.ones_like(ids)}
        computed = body(inputs_embeds=second, use_cache=True, **options).last_hidden_state
    except UNTRIED_ARCHITECTURE_ERRORS:
        return False
    return bool((computed - expected).norm() < _TOLERANCE * expected.norm())


def _count_heads(body: PreTrainedModel) -> int:
    """Return how many heads of keys and values a layer has."""
    config = body.config
    # Larger Falcons have several heads of keys although they set `multi_query`.
    has_groups = getattr(config, "new_decoder_architecture", False)
    if getattr(config, "multi_query", False) and not has_groups:
        return 1
    for name in ("num_key_value_heads", "num_kv_heads"):
        count = getattr(config, name, None)
        if count:
            return int(count)
    return int(config.num_attention_heads)


def _find_rotation(body: PreTrainedModel) -> Any:
    """Return the function by which a rotary model rotates queries and keys, or None.

    Its arguments are queries, keys, cosines and sines.
    """
    is_rotary = "rotary_emb" in dict(body.named_children())
    # Falcon has the module even if it does not use it.
    if not is_rotary or getattr(body.config, "alibi", False):
        return None
    return getattr(sys.modules[type(body).__module__], "apply_rotary_pos_emb", None)


def _list_layer_types(body: PreTrainedModel) -> list[str | None]:
    """Return the type of each layer, or None for each if the model has layers of one type."""
    types = getattr(body.config, "layer_types", None)
    return list(types) if types else [None] * body.config.num_hidden_layers


def _compute_angles(
    body: PreTrainedModel, keys: Tensor, layer_type: str | None
) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the positions of the slots; keys are (batch, heads, slots, size)."""
    positions = torch.arange(keys.shape[2], device=keys.device).expand(len(keys), -1)
    rotary: Any = body.rotary_emb
    # Some models rotate each type of layers differently.
    if "layer_type" in list_parameters(type(rotary).forward):
        cos, sin = rotary(keys, positions, layer_type=layer_type)
    else:
        cos, sin = rotary(keys, positions)
    return cos, sin
