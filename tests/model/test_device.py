"""Wherever the model is, its losses are: no part makes a tensor of its own on the CPU.

The meta device stands in for a GPU. It refuses to mix with the CPU as a GPU
does, and needs none.
"""

from contextlib import nullcontext

import pytest
import torch
from torch.fx.experimental import _config

from tests.tiny import BOS, EOS, LATENT, PAD, UNKNOWN, VOCAB, tiny_batch, tiny_model
from textvae.objective.elbo import Objective
from textvae.objective.techniques import TECHNIQUES, ModelFacts, Progress
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings
from textvae.training.meter import Meter


@pytest.fixture
def elsewhere(monkeypatch):
    """Give a device that is not the CPU; every token is taken for a real one there."""
    monkeypatch.setattr(
        torch, "autocast", lambda *_, **__: nullcontext()
    )  # which that device lacks
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    with _config.patch(meta_nonzero_assume_all_nonzero=True):
        yield torch.device("meta")


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("writer", ["lstm", "gru"])
def test_a_step_stays_on_its_device(elsewhere, writer, name):
    """With each technique beside the default ones, its own weights and the meter included."""
    settings = resolve_auto(read_settings(overrides=[f"objective.techniques.{name}={{}}"]), 10)
    dropped = {"locked_dropout": True, "embedding_dropout": 0.1, "recurrent_dropout": 0.1}
    model = tiny_model(writer, **dropped).to(elsewhere).train()
    batch = {key: part.to(elsewhere) for key, part in tiny_batch().items()}
    objective = Objective(settings.objective, ModelFacts(LATENT, VOCAB, BOS, UNKNOWN, EOS, PAD))
    model.auxiliary = objective.modules.to(elsewhere)
    terms = objective(model, batch, Progress(10, 0.5))
    Meter(SINGLE_PROCESS).add(terms, batch)
    terms.loss.backward()
    assert terms.loss.device == elsewhere
