"""The memory of keys and values works on language models that treat their keys differently."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from tests.tiny import draws
from textvae.model.architectures import CACHE_NAME
from textvae.model.decoders.key_value_memory import KeyValueMemory, can_have_memory

SIZES = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
# phi, stablelm and persimmon rotate a part of each key; falcon has one head of keys for all queries.
KINDS = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "gpt_neox": SIZES,
    "llama": {**SIZES, "num_key_value_heads": 1},
    "phi": SIZES,
    "stablelm": {**SIZES, "num_key_value_heads": 2},
    "persimmon": SIZES,
    "falcon": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
}


def build(kind):
    """Return a transformer with random weights, larger than usual, and without its output layer."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{"vocab_size": 20, **KINDS[kind]})
    whole = AutoModelForCausalLM.from_config(config).eval()
    for parameter in whole.parameters():
        parameter.data = draws(*parameter.shape, seed=parameter.numel()) / 4
    return whole.base_model


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_takes_the_place_of_a_token(kind):
    """What the model computes after the memory of a token is what it computes after the token."""
    assert can_have_memory(build(kind))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_each_sentence_attends_to_its_own_memory(kind):
    """A batch of two sentences, with two slots each, gives what each sentence gives alone."""
    body = build(kind)
    memory = KeyValueMemory(body, slots=2)
    contents = draws(2, *memory.shape, seed=1)
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])

    def run(rows):
        cache = DynamicCache(config=body.config)
        memory.fill(cache, contents[rows], body)
        mask = torch.ones(len(ids[rows]), 5, dtype=torch.long)
        options = {CACHE_NAME: cache, "attention_mask": mask, "use_cache": True}
        return body(input_ids=ids[rows], **options).last_hidden_state

    together = run(slice(0, 2))
    alone = torch.cat([run(slice(0, 1)), run(slice(1, 2))])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(together, body(input_ids=ids).last_hidden_state, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gpt_neox", "llama", "phi", "stablelm", "persimmon", "falcon"])
def test_the_slots_of_a_rotary_model_are_rotated_by_their_positions(kind):
    """Two equal tokens have equal values, so the memory of one in two slots is that of both."""
    body = build(kind)
    memory = KeyValueMemory(body, slots=2)
    embedded = body.get_input_embeddings()(torch.tensor([[3, 3, 4]]))
    expected = body(inputs_embeds=embedded).last_hidden_state[:, -1:]
    cache = DynamicCache(config=body.config)
    memory.fill(cache, memory.compute_from_states(body, embedded[:, :1]).unsqueeze(0), body)
    options = {CACHE_NAME: cache, "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    found = body(inputs_embeds=embedded[:, -1:], use_cache=True, **options).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
