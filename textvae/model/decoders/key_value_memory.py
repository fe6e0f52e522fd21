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

from textvae.model.architectures import CACHE_NAME, list_parameters


class KeyValueMemory:
    """Writes the keys and values of z to an empty cache.

    Attributes:
        shape: (layers, 2, heads, slots, head size), the keys and values of a sentence.
    """

    def __init__(self, body: PreTrainedModel, slots: int) -> None:
        config = body.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = (config.num_hidden_layers, 2, heads, slots, size)

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
                keys = rotate(keys, keys, *angles[layer_type])[0]
            cache.update(keys, values, layer)


def _find_rotation(body: PreTrainedModel) -> Any:
    """Return the function by which a rotary model rotates queries and keys, or None.

    Its arguments are queries, keys, cosines and sines.
    """
    if "rotary_emb" not in dict(body.named_children()):
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
