"""What the benchmarks share: a model of a paper's size, a word-level corpus, and a training step.

The tokenizer has 10,000 words; encoder and decoder are one-layer LSTMs; a batch
is 32 sentences of similar length. Size B is embedding 256, hidden 256, z 32;
size A is 512, 1,024, 32: the sizes of He et al. 2019 (arXiv:1901.05534) and of
most papers after it.
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
from textvae.model.building import build_model
from textvae.objective.elbo import Objective
from textvae.objective.techniques import ModelFacts, Progress
from textvae.runtime.allocator import keep_freed_memory
from textvae.runtime.device import choose_device, is_bf16_fast
from textvae.schema import choose
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings
from textvae.training.optimizer import clip_gradients

MODEL_SIZES = {"B": (256, 256), "A": (512, 1024)}  # (embedding, hidden)

_SENTENCES_PER_BATCH = 32
_MEAN_TOKENS = 22.0  # tokens per sentence, for `auto` settings: the mean of PTB's sentences
_MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class BenchmarkCase:
    """The model, the sentences and the duration of one benchmark.

    Attributes:
        bundle: the model, untrained, and its tokenizer.
        train, test: the tokenized splits.
        seconds: how long to train, and how long to measure; see `run_benchmark`.
    """

    bundle: Bundle
    train: Dataset
    test: Dataset
    seconds: float

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.bundle.device

    def iterate_batches(self) -> Iterator[Batch]:
        """Yield training batches on the device, without end."""
        lengths = read_number_column(self.train, "length")
        # In effect there is no limit on the tokens of a batch: papers count sentences.
        buckets = LengthBuckets(
            lengths,
            max_batch_tokens=10**9,
            max_batch_sentences=_SENTENCES_PER_BATCH,
            seed=1,
        )
        collator = Collator(self.bundle.tokenizer)
        for indices in itertools.cycle(list(buckets)):
            # One call that returns a list of rows, as PyTorch's data loader makes it.
            batch = collator(self.train.__getitems__(indices))
            yield {
                name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()
            }


@contextmanager
def prepare_case(
    size: str, corpus: str, device: str | None, seconds: float
) -> Iterator[BenchmarkCase]:
    """Prepare the corpus in a temporary folder, build the model, and yield both as a case.

    Args:
        size: a key of `MODEL_SIZES`.
        corpus: what `textvae train` accepts as a corpus.
        device: cpu or cuda; by default a GPU if there is one.
        seconds: see `run_benchmark`.

    Raises:
        ConfigError: the size or the device is unknown.
        DataError: the corpus cannot be read.
    """
    choose(MODEL_SIZES, size, "size")
    target = choose_device(device)
    if target.type == "cpu":
        keep_freed_memory()  # as training does
    settings = resolve_auto(_build_settings(size, corpus), _MEAN_TOKENS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer, _ = prepare_splits(
            settings.data,
            seed=1,
            folder=folder,
            build=lambda texts: build_tokenizer(settings.tokenizer, texts),
        )
        torch.manual_seed(0)
        model = build_model(settings.model, tokenizer).to(target)
        # Sample from all tokens; the longest text has `max_tokens` tokens and its end.
        model.generation_config.update(
            max_new_tokens=settings.data.max_tokens + 1, do_sample=True, top_k=0
        )
        yield BenchmarkCase(
            Bundle(model, tokenizer),
            open_split(folder, "train"),
            open_split(folder, "test"),
            seconds,
        )


class BenchmarkTrainer:
    """Trains a model step by step, with the default objective and AdamW.

    It does not use transformers' Trainer, because the benchmark measures only the
    step itself, without logging, evaluation or checkpoints.
    """

    def __init__(self, case: BenchmarkCase) -> None:
        self.model = case.bundle.model.train()
        self.batches = case.iterate_batches()
        self.objective = _build_objective(case.bundle)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.autocast: Any = torch.autocast(
            case.device.type, torch.bfloat16, enabled=is_bf16_fast(case.device)
        )

    def train_step(self) -> Batch:
        """Train on the next batch and return it."""
        batch = next(self.batches)
        with self.autocast:
            # Every step is measured as one in the middle of a run.
            loss = self.objective(self.model, batch, Progress(step=1, fraction=0.5)).loss
        loss.backward()
        clip_gradients(self.model.parameters(), _MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return batch


def train_briefly(case: BenchmarkCase) -> Bundle:
    """Train for the case's seconds and return the model in evaluation mode.

    An untrained model hardly ever predicts the end of a sentence, so its decoding
    speed would be that of sentences of the maximum length.
    """
    trainer = BenchmarkTrainer(case)
    start = time.perf_counter()
    while time.perf_counter() - start < case.seconds:
        trainer.train_step()
    wait_for_device(case.device)
    case.bundle.model.eval()
    return case.bundle


def wait_for_device(device: torch.device) -> None:
    """Wait until a GPU has finished its work, because CUDA calls return before that."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _build_settings(size: str, corpus: str) -> Settings:
    """Return the settings of a run with the papers' vocabulary and one of their model sizes."""
    embedding, hidden = MODEL_SIZES[size]
    sizes = {"kind": "lstm", "embedding": embedding, "hidden": hidden}
    return read_settings(
        data={"corpus": corpus},
        # 10,000 words and four special tokens.
        tokenizer={"kind": "word", "vocab_size": 10_004, "min_frequency": 1},
        model={
            "encoder": {**sizes, "bidirectional": False},
            "posterior": {"kind": "gaussian", "pooling": ["last"]},
            "conditioning": ["initial_state", "every_step"],
            "decoder": {**sizes, "dropout": 0.5, "tie": False},
        },
    )


def _build_objective(bundle: Bundle) -> Objective:
    """Return the default objective for a model."""
    config = bundle.model.config
    tokenizer = bundle.tokenizer
    facts = ModelFacts(
        latent=config.latent_dim,
        vocab=config.vocab_size,
        start_id=tokenizer.bos_token_id,
        # In training this is the unknown token; the time of a step does not depend on which.
        blank_id=tokenizer.pad_token_id,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    return Objective(resolve_auto(read_settings(), _MEAN_TOKENS).objective, facts)
