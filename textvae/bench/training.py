"""Train the model of a benchmark with the trainer of `textvae train`, and time its steps."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.bench.case import BenchmarkCase
from textvae.data.arrow import read_number_column
from textvae.data.batching import LengthBuckets
from textvae.data.training_batches import BucketBatches
from textvae.inference.bundle import Bundle
from textvae.training.fit import build_trainer
from textvae.training.trainer import VAETrainer

WARMUP_STEPS = 10


@dataclass(frozen=True)
class TimedTraining:
    """What a training run has done after its warm-up.

    Attributes:
        trainer: the trainer; its model is in training mode.
        indices: the training sentences of each timed batch, in the order of the steps.
        tokens: the words to predict and the ends of the sentences of these batches.
        seconds: the time of the steps.
        processor_seconds: the time that all cores together spent on them.
    """

    trainer: VAETrainer
    indices: list[list[int]]
    tokens: int
    seconds: float
    processor_seconds: float


class _Stopwatch(TrainerCallback):
    """Times the steps after the warm-up, and ends the run after some seconds.

    Attributes:
        step: the last step.
        elapsed, processor_seconds: of the steps after the warm-up.
    """

    def __init__(self, device: torch.device, seconds: float) -> None:
        self.device = device
        self.seconds = seconds
        self.start = 0.0
        self.step = 0
        self.elapsed = 0.0
        self.processor_start = 0.0
        self.processor_seconds = 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the watch after the warm-up; stop the run when its time is up."""
        self.step = state.global_step
        if self.step == WARMUP_STEPS:
            wait_for_device(self.device)
            self.start = time.perf_counter()
            self.processor_start = time.process_time()
        elif self.step > WARMUP_STEPS:
            self.elapsed = time.perf_counter() - self.start
            if self.elapsed >= self.seconds:
                wait_for_device(self.device)
                self.elapsed = time.perf_counter() - self.start
                self.processor_seconds = time.process_time() - self.processor_start
                control.should_training_stop = True


def train_for(case: BenchmarkCase, seconds: float) -> TimedTraining:
    """Train the model of a case for some seconds, with the loop, the batches and the step of a run.

    Only evaluations and checkpoints are left out. The warm-up does not count.
    """
    trainer = build_trainer(case.run, case.run.read_settings(), case.bundle, case.device)
    watch = _Stopwatch(case.device, seconds)
    trainer.add_callback(watch)
    trainer.train()
    batches = trainer.batches
    assert isinstance(batches, BucketBatches), "a benchmark prepares its corpus"
    indices = list(islice(repeat_epochs(batches.buckets), WARMUP_STEPS, watch.step))
    tokens = count_tokens(case, indices)
    return TimedTraining(trainer, indices, tokens, watch.elapsed, watch.processor_seconds)


def train_briefly(case: BenchmarkCase) -> Bundle:
    """Train for the case's seconds and return the model in evaluation mode.

    An untrained model hardly ever predicts the end of a sentence, so its decoding
    speed would be that of sentences of the maximum length.
    """
    trainer = train_for(case, case.seconds).trainer
    # As at the end of a run: what is measured next is computed in single precision.
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    case.bundle.model.eval()
    return case.bundle


def wait_for_device(device: torch.device) -> None:
    """Wait until a GPU has finished its work, because CUDA calls return before that."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def repeat_epochs(buckets: LengthBuckets) -> Iterator[list[int]]:
    """Yield the sentences of each batch of all epochs, in the order of training."""
    for epoch in count():
        buckets.set_epoch(epoch)
        yield from buckets


def count_tokens(case: BenchmarkCase, batches: Iterable[list[int]]) -> int:
    """Return the words to predict and the ends of the sentences in batches of training sentences."""
    lengths = np.add(read_number_column(case.train, "length"), 1)  # + 1: the end of the sentence
    return sum(int(lengths[sentences].sum()) for sentences in batches)
