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

from textvae.model.architectures import CACHE_NAME


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

    def of_states(self, body: PreTrainedModel, states: Tensor) -> Tensor:
        """Return the memory of one token's states, (1, 1, hidden), in every slot: (*shape).

        The keys of a first token are not rotated, since its position is 0.
        """
        cache = DynamicCache(config=body.config)
        body(inputs_embeds=states, use_cache=True, **{CACHE_NAME: cache})
        layers = [torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers]
        return torch.stack(layers).expand(self.shape)

    def fill(self, cache: Cache, memory: Tensor, body: PreTrainedModel) -> None:
        """Write the memory of each sentence, (batch, *shape), to an empty cache."""
        slots = memory.shape[4]
        rotation = _find_rotation(body)
        for layer in range(memory.shape[1]):
            keys = memory[:, layer, 0]
            values = memory[:, layer, 1]
            if rotation is not None:
                positions = torch.arange(slots, device=keys.device).expand(len(keys), -1)
                cos, sin = body.rotary_emb(keys, positions)
                keys = rotation(keys, keys, cos, sin)[0]
            cache.update(keys, values, layer)


def _find_rotation(body: PreTrainedModel) -> Any:
    """Return the function by which a rotary model rotates queries and keys, or None.

    Its arguments are queries, keys, cosines and sines.
    """
    if "rotary_emb" not in dict(body.named_children()):
        return None
    return getattr(sys.modules[type(body).__module__], "apply_rotary_pos_emb", None)
