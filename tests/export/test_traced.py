"""What is traced for transformers computes what the model computes.

Tracing itself takes half a minute for the smallest model, so it is not part of the tests.
"""

import pytest
import torch

from tests.tiny import BOS, VOCAB, draws, tiny_model, tiny_tokenizer
from textvae.export.traced import _Encoder, _Step, list_cache_states
from textvae.inference.bundle import Bundle

IDS = torch.randint(4, VOCAB, (3, 6), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@torch.no_grad()
def test_steps_of_a_transformer_give_its_logits(architecture):
    """The first step reads the slots of the prefix, the start and a token; the second the rest."""
    model = tiny_model(architecture)
    z = draws(3, 4)
    ids = IDS.clone()
    ids[:, 0] = BOS
    expected = model(input_ids=ids, latent=z).logits
    prefix = VOCAB + torch.arange(model.decoder.prefix).expand(3, -1)
    step = _Step(Bundle(model, tiny_tokenizer())).eval()
    shapes = list_cache_states(model.decoder).values()
    past = [torch.zeros(3, int(heads), 0, int(size)) for _, heads, _, size in shapes]
    first, *past = step(torch.cat([prefix, ids[:, :2]], dim=1), z, past)
    rest, *past = step(ids[:, 2:], z, past)
    logits = torch.cat([first[:, model.decoder.prefix :], rest], dim=1)
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)
    assert all(state.shape[2] == model.decoder.prefix + 6 for state in past)


@torch.no_grad()
def test_the_encoder_gives_mean_and_logvar():
    """Of sentences of unequal lengths."""
    model = tiny_model(reader="bert")
    mask = (torch.arange(6) < torch.tensor([6, 3, 1])[:, None]).long()
    mean, logvar = _Encoder(model)(IDS, mask)
    q = model.encode(IDS, mask)
    torch.testing.assert_close(mean, q.mean)
    torch.testing.assert_close(logvar, q.tensors["logvar"])
