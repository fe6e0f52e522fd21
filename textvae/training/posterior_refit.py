"""Refit of the posterior at the end of a run: what it starts from, and what it leaves unchanged.

A single process computes no gradients for what stays as it is, which saves time. Under DDP
and FSDP every weight needs its gradient, so it is computed and dropped.
"""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.objective.techniques.base import Refit
from textvae.training.optimizer import list_unchanged_by_refit
from textvae.training.trainer import VAETrainer


class PosteriorRefitCallback(TrainerCallback):
    """Begins the refit of the posterior when the schedule says so."""

    def __init__(self, trainer: VAETrainer, refit: Refit) -> None:
        self.trainer = trainer
        self.refit = refit
        self.is_frozen = False

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Load the best model of the main phase, and freeze what the refit leaves unchanged."""
        trainer = self.trainer
        if trainer.schedule.is_refit_due:
            trainer.load_refitted_model()
        # A resumed run may be in the middle of the refit, so this is not only done at its start.
        if trainer.schedule.progress.is_refit and not self.is_frozen:
            is_alone = trainer.processes.count == 1 and not trainer.is_fsdp_enabled
            if is_alone:
                for parameter in list_unchanged_by_refit(trainer.bundle.model, self.refit):
                    parameter.requires_grad_(False)
            self.is_frozen = True
