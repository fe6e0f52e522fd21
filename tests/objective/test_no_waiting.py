"""A training step never reads a value back from the device, so that a GPU need not be waited for.

This holds for LSTMs; the models of transformers ask whether there is padding. The device
`meta` has shapes and no values: whatever depends on a value fails there.
"""

from contextlib import nullcontext

import pytest
import torch

from tests.tiny import LATENT, VOCAB, tiny_model
from textvae.model.modeling import TextVAEModel
from textvae.objective.elbo import Objective, ObjectiveSettings
from textvae.objective.techniques import ModelFacts, Progress

FACTS = ModelFacts(latent=LATENT, vocab=VOCAB, start_id=1, blank_id=3, end_id=2, pad_id=0)


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """Take autocast away, since it does not know the device `meta`."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)


@pytest.mark.parametrize("techniques", [{}, {"word_dropout": {}}], ids=["default", "word_dropout"])
def test_a_step_of_the_default_recipe_needs_no_value(techniques):
    """Padding included: its mask is on the device as well."""
    settings = ObjectiveSettings(techniques=techniques)
    resolved = {name: part.resolve_auto(2.0, LATENT) for name, part in settings.techniques.items()}
    config = tiny_model().config
    objective = Objective(settings.model_copy(update={"techniques": resolved}), FACTS)
    model = TextVAEModel(config).train().to("meta")
    ids = torch.ones(4, 6, dtype=torch.long, device="meta")
    batch = {
        "encoder_input_ids": ids,
        "encoder_attention_mask": ids,
        "input_ids": ids,
        "attention_mask": ids,
        "labels": ids,
    }
    objective(model, batch, Progress(step=1, fraction=0.5)).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())
