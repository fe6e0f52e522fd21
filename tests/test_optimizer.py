"""The optimizer: which weights decay."""

from tests.tiny import small, tiny_model
from textvae.configuration import TextVAEConfig
from textvae.modeling import TextVAEModel
from textvae.priors import PRIORS
from textvae.training.optimizer import build_optimizer
from textvae.training.settings import TrainingSettings


def test_only_matrices_decay_and_none_of_the_priors():
    """What a learned prior holds are places, not weights."""
    config = TextVAEConfig(**{**tiny_model().config.to_dict(), "prior": small(PRIORS, "mixture")})
    model = TextVAEModel(config)
    groups = build_optimizer(model, TrainingSettings(weight_decay=0.1)).param_groups
    decaying = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    assert decaying == {id(p) for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("prior.")}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
