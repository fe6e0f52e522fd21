"""Encoder training: steps of the encoder alone, before the loop's own, on batches of their own.

They come at the start of a step, after a resumed run has its random numbers
back. Gradients are taken and clipped whole, as ever, and then those of the
other side are dropped: AdamW passes over a parameter without one, its state
included, and DDP's hooks stay as they are.
"""

from collections.abc import Iterator
from copy import copy
from itertools import count, islice
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.data.batching import Batch
from textvae.runtime.seeds import Stream, derive_seed
from textvae.training.optimizer import group_parameters
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
        self.trainer.objective.before_step(self.train, self.trainer.schedule.progress)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Hold the encoder where the step is not its own."""
        if self.trainer.objective.freezes_encoder(self.trainer.schedule.progress):
            self.drop_gradients("encoder")

    def train(self, steps: int) -> float:
        """Take steps of the encoder alone; return their loss in nats a token, all processes' together."""
        trainer = self.trainer
        if self.batches is None:
            self.batches = iterate_encoder_batches(
                trainer
            )  # now that the plan knows where they stand
        is_last_of_step, trainer.accelerator.sync_gradients = (
            trainer.accelerator.sync_gradients,
            True,
        )
        costs = sum(self.step(next(self.batches)) for _ in range(steps))
        trainer.accelerator.sync_gradients = is_last_of_step
        trainer.schedule.encoder_steps += steps
        nats, tokens = trainer.processes.sum(torch.as_tensor(costs)).tolist()
        return float(nats / tokens)

    def step(self, batch: Batch) -> torch.Tensor:
        """Take one; return the batch's loss in nats and its tokens, this process's."""
        trainer, model = self.trainer, self.trainer.model_wrapped
        assert trainer.optimizer is not None
        model.train()
        batch = {name: part.to(trainer.args.device) for name, part in batch.items()}
        sentences = len(batch["labels"])
        share = sentences / float(trainer.processes.sum(torch.tensor(sentences)))
        with trainer.compute_loss_context_manager():
            terms = trainer.objective(model, batch, trainer.schedule.progress, observes_kl=False)
        trainer.accelerator.backward(
            terms.loss * share * trainer.processes.count
        )  # which averages over processes
        if trainer.args.max_grad_norm > 0:
            trainer._clip_grad_norm(model)
        self.drop_gradients("decoder", "prior", "techniques")
        trainer.optimizer.step()
        model.zero_grad()
        return torch.stack(
            [terms.loss.detach() * sentences, batch["attention_mask"].sum()]
        ).double()

    def drop_gradients(self, *names: str) -> None:
        """Leave some sides of the model without gradients."""
        parts = group_parameters(self.trainer.bundle.model)
        for name in names:
            for parameter in parts[name]:
                parameter.grad = None


def iterate_encoder_batches(trainer: VAETrainer) -> Iterator[Batch]:
    """Yield batches without end, each epoch in an order of its own, from where the plan stands."""
    assert trainer.buckets is not None, "streams are refused in preparation"
    rows, collator = trainer.train_dataset, trainer.bundle.collator
    buckets = copy(trainer.buckets)
    buckets.seed = derive_seed(trainer.settings.seed, Stream.ENCODER_BATCHES)
    epoch, place = divmod(trainer.schedule.encoder_steps, len(buckets))
    for number in count(epoch):
        buckets.set_epoch(number)
        for indices in islice(buckets, place if number == epoch else 0, None):
            yield collator(rows.__getitems__(indices))
