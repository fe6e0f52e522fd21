"""Encoder training: additional steps of the encoder alone, on additional batches.

They come at the beginning of a step, because only then has transformers' Trainer
restored the random state of a resumed run. Gradients are computed and clipped for
the whole model, as DDP expects, and then all but those of the encoder are dropped.
AdamW skips parameters without a gradient, so their optimizer state stays as it is.
"""

from collections.abc import Iterator
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.data.batching import Batch
from textvae.training.optimizer import drop_gradients
from textvae.training.trainer import VAETrainer


class EncoderTrainingCallback(TrainerCallback):
    """Trains the encoder alone when a technique asks for it."""

    def __init__(self, trainer: VAETrainer) -> None:
        self.trainer = trainer
        self.batches: Iterator[Batch] | None = None

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Let the techniques train the encoder."""
        self.trainer.objective.before_step(self.train_encoder, self.trainer.schedule.progress)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Freeze the encoder in steps that train the decoder alone."""
        if self.trainer.objective.freezes_encoder(self.trainer.schedule.progress):
            drop_gradients(self.trainer.bundle.model, "encoder", "pretrained encoder")

    def train_encoder(self, steps: int) -> float:
        """Take steps of the encoder alone; return their loss over all processes, in nats per token."""
        trainer = self.trainer
        if self.batches is None:
            # Not in __init__: only now has a resumed run restored `encoder_steps`.
            self.batches = trainer.batches.iterate_additional(trainer.schedule.encoder_steps)
        # accelerate's optimizer skips its step while `sync_gradients` is False, as it is before
        # the last batch of an accumulated step. Here each step has one batch.
        accelerator = trainer.accelerator
        previous_sync = accelerator.sync_gradients
        accelerator.sync_gradients = True
        sums = sum(self.train_step(next(self.batches)) for _ in range(steps))
        accelerator.sync_gradients = previous_sync
        trainer.schedule.encoder_steps += steps
        nats, tokens = trainer.processes.sum(torch.as_tensor(sums)).tolist()
        return float(nats / tokens)

    def train_step(self, batch: Batch) -> torch.Tensor:
        """Take one step of the encoder alone.

        Args:
            batch: this process's share of a batch.

        Returns:
            The loss in nats and the number of tokens, both summed over this share; shape (2,).
        """
        trainer = self.trainer
        model = trainer.model_wrapped
        assert trainer.optimizer is not None
        model.train()
        batch = {name: tensor.to(trainer.args.device) for name, tensor in batch.items()}
        sentences = len(batch["labels"])
        share = sentences / float(trainer.processes.sum(torch.tensor(sentences)))
        with trainer.compute_loss_context_manager():
            # Techniques adapt to the KL of the run's own steps only.
            terms = trainer.objective(model, batch, trainer.schedule.progress, observes_kl=False)
        # DDP averages gradients over the processes, which may have different numbers of
        # sentences. With this factor the result is the average over all sentences.
        trainer.accelerator.backward(terms.loss * share * trainer.processes.count)
        if trainer.args.max_grad_norm > 0:
            trainer._clip_grad_norm(model)
        drop_gradients(trainer.bundle.model, "decoder", "pretrained decoder", "prior", "techniques")
        trainer.optimizer.step()
        model.zero_grad()
        nats = terms.loss.detach() * sentences
        return torch.stack([nats, batch["attention_mask"].sum()]).double()
