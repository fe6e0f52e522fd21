"""The optimizer: which parameters decay, and how fast each part learns."""

import pytest

from tests.tiny import small, tiny_model
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel
from textvae.model.priors import PRIORS
from textvae.settings.training import TrainingSettings
from textvae.training.optimizer import build_optimizer


def test_only_matrices_decay_and_none_of_the_priors():
    """The parameters of a learned prior are places in latent space, not weights."""
    config = TextVAEConfig(**{**tiny_model().config.to_dict(), "prior": small(PRIORS, "mixture")})
    model = TextVAEModel(config)
    groups = build_optimizer(model, TrainingSettings(weight_decay=0.1)).param_groups
    decaying = {
        id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]
    }
    expected = {
        id(parameter)
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and not name.startswith("prior.")
    }
    assert decaying == expected
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


# Learning rates by the names of their settings, and those of encoder, posterior, conditioning and
# decoder that follow.
RATES = [
    ({}, (5e-3, 5e-3, 5e-3, 5e-3)),
    ({"encoder": 1e-3}, (1e-3, 1e-3, 5e-3, 5e-3)),
    ({"decoder": 2e-3}, (5e-3, 5e-3, 2e-3, 2e-3)),
    ({"bottleneck": 3e-3}, (5e-3, 3e-3, 3e-3, 5e-3)),
    ({"encoder": 1e-3, "bottleneck": 3e-3, "decoder": 2e-3}, (1e-3, 3e-3, 3e-3, 2e-3)),
]


@pytest.mark.parametrize(("settings", "expected"), RATES)
def test_each_part_learns_at_its_own_rate(settings, expected):
    """The bottleneck is what is between the states of the encoder and those of the decoder."""
    model = tiny_model(conditioning=["initial_state", "output"])
    options = {f"{name}_learning_rate": rate for name, rate in settings.items()}
    groups = build_optimizer(model, TrainingSettings(**options)).param_groups
    rates = {id(value): group["lr"] for group in groups for value in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    names = ("encoder", "posterior", "conditioning", "decoder")
    for name, rate in zip(names, expected, strict=True):
        found = {rates[id(value)] for value in getattr(model, name).parameters()}
        assert found == {rate}, name
