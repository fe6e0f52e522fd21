"""What the benchmarks share: a run of a paper's sizes, and the model that it trains.

The tokenizer has 10,000 words, z has 32 dimensions, and a batch is 32 sentences of
similar length. In sizes A and B, encoder and decoder are one-layer LSTMs: B has
embeddings of 256 and states of 256; A has 512 and 1,024, as He et al. 2019
(arXiv:1901.05534) and most papers after it. In sizes T4 and T6 they are transformers
(BERT and GPT-2, random weights): T4 has 4 layers of 256, T6 has 6 layers of 512.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import INIT_FOLDER, Run
from textvae.runtime.allocator import keep_freed_memory
from textvae.runtime.device import choose_device
from textvae.runtime.libraries import quiet_libraries
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.schema import choose
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings
from textvae.training.preparation import prepare_run

_SENTENCES_PER_BATCH = 32
_NEVER = 10**9  # a number of steps or tokens that nothing reaches
_HEAD_SIZE = 64  # of the attention, as in BERT and GPT-2


def describe_lstm(embedding: int, hidden: int) -> dict[str, Any]:
    """Return the section `model` of a VAE of LSTMs."""
    sizes = {"kind": "lstm", "embedding": embedding, "hidden": hidden}
    return {
        "encoder": {**sizes, "bidirectional": False},
        "posterior": {"kind": "gaussian", "pooling": ["last"]},
        "conditioning": ["initial_state", "every_step"],
        "decoder": {**sizes, "dropout": 0.5, "tie": False},
    }


def describe_transformer(layers: int, hidden: int) -> dict[str, Any]:
    """Return the section `model` of a VAE of transformers with random weights."""
    heads = max(1, hidden // _HEAD_SIZE)
    sizes = {"kind": "transformer", "layers": layers, "hidden": hidden, "heads": heads}
    return {"encoder": sizes, "decoder": sizes, "conditioning": ["embedding", "output"]}


# The section `model` of a run's settings, by the name of the size.
MODEL_SIZES: dict[str, dict[str, Any]] = {
    "B": describe_lstm(256, 256),
    "A": describe_lstm(512, 1024),
    "T4": describe_transformer(4, 256),
    "T6": describe_transformer(6, 512),
}


@dataclass(frozen=True)
class BenchmarkCase:
    """The run, its model and the duration of one benchmark.

    Attributes:
        run: a prepared run, of which nothing has been trained.
        bundle: its model, untrained, and its tokenizer.
        seconds: how long to train, and how long to measure; see `run_benchmark`.
    """

    run: Run
    bundle: Bundle
    seconds: float

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.bundle.device

    @property
    def train(self) -> Dataset:
        """The tokenized training split."""
        return self.run.open_split("train")

    @property
    def test(self) -> Dataset:
        """The tokenized test split."""
        return self.run.open_split("test")


@contextmanager
def prepare_case(
    size: str, corpus: str, device: str | None, seconds: float
) -> Iterator[BenchmarkCase]:
    """Prepare a run in a temporary folder, load its model, and yield both as a case.

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
    with prepare_settings(build_settings(size, corpus), device, seconds) as case:
        yield case


@contextmanager
def prepare_settings(
    settings: Settings, device: str | None, seconds: float
) -> Iterator[BenchmarkCase]:
    """Prepare a run with any settings in a temporary folder; see `prepare_case`."""
    target = choose_device(device)
    if target.type == "cpu":
        keep_freed_memory()  # as training does
    with quiet_libraries(), tempfile.TemporaryDirectory() as name:
        run = Run(Path(name) / "run")
        prepare_run(run, settings, None, None, SINGLE_PROCESS, target)
        yield BenchmarkCase(run, load_bundle(run.folder / INIT_FOLDER, str(target)), seconds)


def build_settings(size: str, corpus: str) -> Settings:
    """Return the settings of a run with the papers' vocabulary and one of their model sizes."""
    return read_settings(
        data={"corpus": corpus},
        # 10,000 words and four special tokens.
        tokenizer={"kind": "word", "vocab_size": 10_004, "min_frequency": 1},
        model=MODEL_SIZES[size],
        training={
            "steps": _NEVER,  # a benchmark ends by the clock
            # In effect there is no limit on the tokens of a batch: papers count sentences.
            "batch_tokens": _NEVER,
            "batch_sentences": _SENTENCES_PER_BATCH,
            "learning_rate": 1e-3,
            "max_grad_norm": 5.0,
            "keep": "last",
            "trackers": [],
        },
    )
