"""The optimizer: which parameters decay."""

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
