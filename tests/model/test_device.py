"""The loss is computed on the model's device: no part makes a tensor on the CPU instead.

The meta device replaces a GPU in this test. Like a GPU it cannot be mixed with
the CPU, but it needs no hardware.
"""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.fx.experimental import _config

from tests.tiny import BOS, EOS, LATENT, PAD, UNKNOWN, VOCAB, tiny_batch, tiny_model
from textvae.model.posteriors.flow import FlowPosterior, FlowSettings
from textvae.objective.elbo import Objective
from textvae.objective.techniques import TECHNIQUES, ModelFacts, Progress
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings
from textvae.training.meter import Meter


@pytest.fixture
def meta_device(monkeypatch):
    """Return a device that is not the CPU."""
    # The meta device does not support autocast.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    # It has no values either, so all tokens count as real ones.
    # The type checker cannot see `patch`: torch installs it while it is imported.
    with _config.patch(meta_nonzero_assume_all_nonzero=True):  # type: ignore[attr-defined]
        yield torch.device("meta")


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("writer", ["lstm", "gru"])
def test_a_step_stays_on_its_device(meta_device, writer, name):
    """Each technique is tested next to the default ones, with its own weights and the meter."""
    settings = resolve_auto(read_settings(overrides=[f"objective.techniques.{name}={{}}"]), 10)
    dropped: dict[str, Any] = {
        "locked_dropout": True,
        "embedding_dropout": 0.1,
        "recurrent_dropout": 0.1,
    }
    model = tiny_model(writer, **dropped).to(meta_device).train()
    batch = {key: part.to(meta_device) for key, part in tiny_batch().items()}
    objective = Objective(settings.objective, ModelFacts(LATENT, VOCAB, BOS, UNKNOWN, EOS, PAD))
    model.auxiliary = objective.modules.to(meta_device)
    terms = objective(model, batch, Progress(10, 0.5))
    Meter(SINGLE_PROCESS).add(terms, batch)
    terms.loss.backward()
    assert terms.loss.device == meta_device


def test_a_collected_flow_distribution_is_computed_where_its_weights_are():
    """Measures collect distributions on the CPU. Here, a type of numbers stands for a device."""
    posterior = FlowPosterior(FlowSettings(pooling=["last"]), 6, 4, is_bidirectional=False)
    q = posterior(torch.randn(3, 5, 6), torch.ones(3, 5))
    z = torch.randn(2, 3, 4)
    expected = q.log_prob(z)
    posterior.flow.double()
    assert q.sample().dtype == torch.float32
    assert q.sample_with_seeds([1, 2, 3], 2).shape == (2, 3, 4)
    torch.testing.assert_close(q.log_prob(z), expected)
