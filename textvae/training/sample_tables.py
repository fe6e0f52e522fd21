"""What the model writes at each evaluation: samples, and reconstructions of validation sentences.

The tables are lines of `samples.jsonl` in the run, and go to those trackers that show text.
They have seeds of their own and leave the random numbers of the training unchanged, so a run
has the same weights with and without them.

Writing them takes a small share of the time of a run: a table is left out as long as those
before it took more than that. Which tables a long run has therefore depends on the speed of the
machine.
"""

import json
import time
from dataclasses import asdict
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.evaluation.progress import Reconstruction, SampleTable, iterate_sample_tables
from textvae.inference.bundle import Bundle
from textvae.inference.generate import generate
from textvae.inference.settings import DEFAULT_TEMPERATURE, DecodingSettings
from textvae.runs.run import SAMPLES_FILE, Run
from textvae.runtime.files import write_text
from textvae.runtime.seeds import seeded
from textvae.runtime.spacing import take_evenly
from textvae.terminal import shorten
from textvae.training.trackers import send_table
from textvae.training.trainer import VAETrainer
from textvae.uses.reconstruct import reconstruct

_TEXTS = 5  # samples per table, and reconstructions
_MAX_TOKENS = 128  # of a text that the model writes
_MAX_TEXT_LENGTH = 1_000  # characters; of longer texts, the middle is left out
_MAX_TABLES = 200  # of a run; if there are more, half of them are kept
_SEED = 0
# Of the time of a run: tables may take either of them in all.
_TIME_SHARE = 0.01
_FREE_SECONDS = 1.0


class SampleTableCallback(TrainerCallback):
    """Writes a table at each evaluation, on the first process.

    Args:
        trainer: its callbacks include those of the trackers, which get each table as well.
    """

    def __init__(self, run: Run, trainer: VAETrainer) -> None:
        self.file = run.folder / SAMPLES_FILE
        self.trainer = trainer
        self.tables: list[SampleTable] = []
        self.seconds = 0.0  # of the processor, that the tables took

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the tables of a resumed run up to the checkpoint that it continues from."""
        known = iterate_sample_tables(self.file)
        self.tables = [table for table in known if table.step <= state.global_step]
        self.save()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Write a table, unless the earlier ones took too long."""
        if self.seconds > max(_FREE_SECONDS, _TIME_SHARE * self.trainer.schedule.seconds):
            return
        start = time.process_time()
        table = write_table(self.trainer.bundle, self.trainer.validation, state.global_step)
        if len(self.tables) >= _MAX_TABLES:
            self.tables = take_evenly(self.tables, _MAX_TABLES // 2)
        self.tables.append(table)
        self.save()
        send_table(self.trainer.callback_handler.callbacks, table)
        self.seconds += time.process_time() - start

    def save(self) -> None:
        """Write all tables; the file is replaced at once, so a reader sees whole tables."""
        write_text(self.file, "".join(json.dumps(asdict(table)) + "\n" for table in self.tables))


def write_table(bundle: Bundle, validation: Dataset, step: int) -> SampleTable:
    """Let a model in training write texts; its mode and all random numbers stay as they are."""
    model = bundle.model
    was_training = model.training
    model.eval()
    # Seeds of the CPU are seeds of the GPU as well, so the state of both is restored.
    with seeded(_SEED, device=bundle.device):
        samples = generate(bundle, _TEXTS, _choose_options(bundle, DEFAULT_TEMPERATURE))
        reconstructions = _reconstruct(bundle, validation)
    model.train(was_training)
    samples = [_shorten(text) for text in samples]
    return SampleTable(step, _SEED, DEFAULT_TEMPERATURE, samples, reconstructions)


def _choose_options(bundle: Bundle, temperature: float | None) -> DecodingSettings:
    """Return the options of a table's texts, which are not too long to be written in passing."""
    most = min(bundle.max_length, _MAX_TOKENS)
    return DecodingSettings(temperature=temperature, max_new_tokens=most, seed=_SEED)


def _reconstruct(bundle: Bundle, validation: Dataset) -> list[Reconstruction]:
    """Return greedy reconstructions of sentences from all over the validation split."""
    if not bundle.model.config.latent_dim:
        return []
    rows = validation.select(take_evenly(range(len(validation)), _TEXTS))
    labels = None if bundle.labels is None else rows[bundle.labels.column]
    texts = list(rows["text"])
    outputs = reconstruct(bundle, texts, _choose_options(bundle, None), labels=labels)
    return [
        Reconstruction(_shorten(text), _shorten(output))
        for text, output in zip(texts, outputs, strict=True)
    ]


def _shorten(text: str) -> str:
    """Return a text of a table."""
    return shorten(text, _MAX_TEXT_LENGTH)
