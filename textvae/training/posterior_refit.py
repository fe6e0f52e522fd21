"""Refit of the posterior at the end of a run: what it starts from, and what it leaves unchanged.

Decoder, conditioning and the techniques' own weights stay as they are. A single process
computes no gradients for them, which saves time. Under DDP and FSDP every weight needs
its gradient, so it is computed and dropped.
"""

from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.training.optimizer import group_parameters
from textvae.training.trainer import UNCHANGED_BY_REFIT, VAETrainer


class PosteriorRefitCallback(TrainerCallback):
    """Begins the refit of the posterior when the schedule says so."""

    def __init__(self, trainer: VAETrainer) -> None:
        self.trainer = trainer
        self.is_frozen = False

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Load the best model of the main phase, and freeze the decoder."""
        trainer = self.trainer
        if trainer.schedule.is_refit_due:
            trainer.load_refitted_model()
        # A resumed run may be in the middle of the refit, so this is not only done at its start.
        if trainer.schedule.progress.is_refit and not self.is_frozen:
            is_alone = trainer.processes.count == 1 and not trainer.is_fsdp_enabled
            if is_alone:
                freeze_unchanged(trainer.bundle.model)
            self.is_frozen = True


def freeze_unchanged(model: nn.Module) -> None:
    """Freeze what the refit of the posterior leaves unchanged."""
    parts = group_parameters(model)
    for name in UNCHANGED_BY_REFIT:
        for parameter in parts.get(name, ()):
            parameter.requires_grad_(False)
