"""What every benchmark works on: a model of a paper's size on a word-level corpus, and a step of its training.

Word level, 10,000 words, one-layer LSTMs, batches of 32 sentences of like
length. B is embedding 256, hidden 256, z 32; A is 512, 1,024, 32: the sizes of
He et al. 2019 (arXiv:1901.05534) and of most papers after it.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from textvae.data.arrow import read_number_column
from textvae.data.batching import Batch, Collator, LengthBuckets
from textvae.data.corpus import open_split, prepare_splits
from textvae.data.tokenization import build_tokenizer
from textvae.inference.bundle import Bundle
from textvae.objective.elbo import Objective
from textvae.objective.techniques import ModelFacts, Progress
from textvae.runtime.allocator import keep_freed_memory
from textvae.runtime.device import choose_device, is_bf16_fast
from textvae.schema import choose
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings
from textvae.training.optimizer import clip_gradients
from textvae.training.preparation import build_model

MODEL_SIZES = {"B": (256, 256), "A": (512, 1024)}


_SENTENCES_PER_BATCH = 32  # a batch


@dataclass(frozen=True)
class BenchmarkCase:
    """One benchmark's model, sentences and step.

    Attributes:
        train, test: the splits, tokenised.
        seconds: how long to measure.
    """

    bundle: Bundle
    train: Dataset
    test: Dataset
    seconds: float

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.bundle.device

    def batches(self) -> Iterator[Batch]:
        """Yield training batches for ever."""
        buckets = LengthBuckets(
            read_number_column(self.train, "length"), 10**9, _SENTENCES_PER_BATCH, seed=1
        )
        collator = Collator(self.bundle.tokenizer)
        for places in itertools.cycle(list(buckets)):
            batch = collator(self.train.__getitems__(places))
            yield {
                name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()
            }


@contextmanager
def prepare_case(
    size: str, corpus: str, device: str | None, seconds: float
) -> Iterator[BenchmarkCase]:
    """Yield a case whose corpus stands in a folder that is removed afterwards."""
    choose(MODEL_SIZES, size, "size")
    target = choose_device(device)
    if target.type == "cpu":
        keep_freed_memory()
    settings = resolve_auto(_build_settings(size, corpus), 22.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer, _ = prepare_splits(
            settings.data, 1, folder, lambda text: build_tokenizer(settings.tokenizer, text)
        )
        torch.manual_seed(0)
        model = build_model(settings, tokenizer).to(target)
        model.generation_config.update(
            max_new_tokens=settings.data.max_tokens + 1, do_sample=True, top_k=0
        )
        yield BenchmarkCase(
            Bundle(model, tokenizer),
            open_split(folder, "train"),
            open_split(folder, "test"),
            seconds,
        )


def _build_settings(size: str, corpus: str) -> Settings:
    """Return a paper's sizes in our terms."""
    embedding, hidden = MODEL_SIZES[size]
    sizes = {"kind": "lstm", "embedding": embedding, "hidden": hidden}
    return read_settings(
        data={"corpus": corpus},
        tokenizer={"kind": "word", "vocab_size": 10_004, "min_frequency": 1},
        model={
            "encoder": {**sizes, "bidirectional": False},
            "posterior": {"kind": "gaussian", "pooling": ["last"]},
            "conditioning": ["initial_state", "every_step"],
            "decoder": {**sizes, "dropout": 0.5, "tie": False},
        },
    )


class BenchmarkTrainer:
    """A model and all that one step of its training needs."""

    def __init__(self, case: BenchmarkCase) -> None:
        self.model = case.bundle.model.train()
        self.batches = case.batches()
        tokenizer = case.bundle.tokenizer
        config = case.bundle.model.config
        end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        facts = ModelFacts(
            config.latent_dim, config.vocab_size, tokenizer.bos_token_id, pad, end, pad
        )
        self.objective = Objective(resolve_auto(read_settings(), 22.0).objective, facts)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.autocast: Any = torch.autocast(
            case.device.type, torch.bfloat16, enabled=is_bf16_fast(case.device)
        )

    def step(self) -> Batch:
        """Train on one more batch, and return it."""
        batch = next(self.batches)
        with self.autocast:
            loss = self.objective(self.model, batch, Progress(1, 0.5)).loss
        loss.backward()
        clip_gradients(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return batch


def train_briefly(case: BenchmarkCase) -> Bundle:
    """Train for the case's seconds, so that sentences have an end, and return the model in evaluation mode."""
    trainee = BenchmarkTrainer(case)
    start = time.perf_counter()
    while time.perf_counter() - start < case.seconds:
        trainee.step()
    wait_for_device(case.device)
    case.bundle.model.eval()
    return case.bundle


def wait_for_device(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
