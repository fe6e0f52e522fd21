"""Training speed at the sizes papers use, and where a step's time goes.

    python benchmarks/training_speed.py CORPUS --size B

CORPUS is a folder of text already in words (Penn Treebank, say). Word level,
10,000 words, one-layer LSTMs, batches of 32 sentences; B is embedding 256,
hidden 256, z 32, and A is 512, 1024, 32. Tokens are the words to predict and
the ends of sentences; padding is not counted.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from textvae.arrow import column
from textvae.batching import Collator, LengthBuckets
from textvae.corpus import open_split, prepare
from textvae.objective import Objective
from textvae.precision import is_bf16_fast
from textvae.recipe import resolved
from textvae.settings import Settings, read_settings
from textvae.techniques import Facts, Progress
from textvae.tokenization import build_tokenizer
from textvae.training.allocator import keep_freed_memory
from textvae.training.clipping import clip_gradients
from textvae.training.preparation import build_model

SIZES = {"B": (256, 256), "A": (512, 1024)}
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "mkldnn_rnn_layer")


def settings_for(size: str, corpus: str) -> Settings:
    """Return the reference implementation's sizes in our terms."""
    embedding, hidden = SIZES[size]
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


def make_step(settings: Settings, folder: Path) -> Callable[[], int]:
    """Return a function that trains on one more batch and says how many tokens it had."""
    tokenizer, _ = prepare(settings.data, 1, folder, lambda text: build_tokenizer(settings.tokenizer, text))
    rows, collator = open_split(folder, "train"), Collator(tokenizer)
    buckets = LengthBuckets(column(rows, "length"), 10**9, 32, seed=1)
    batches = itertools.cycle(list(buckets))
    settings = resolved(settings, 22.0)
    keep_freed_memory()
    torch.manual_seed(0)
    model = build_model(settings, tokenizer).train()
    objective = Objective(settings.objective, Facts(32, tokenizer.bos_token_id, tokenizer.pad_token_id))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    is_bf16 = is_bf16_fast(torch.device("cpu"))

    def step() -> int:
        batch = collator(rows.__getitems__(next(batches)))
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            objective(model, batch, Progress(1, 0.5)).loss.backward()
        clip_gradients(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(batch["attention_mask"].sum())

    return step


def share_of_products(step: Callable[[], int]) -> float:
    """Return the share of ten steps that the matrix products and recurrent kernels take."""
    with torch.profiler.profile() as profile:
        for _ in range(10):
            step()
    events: Any = profile.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    return sum(event.self_cpu_time_total for event in events if any(name in event.key for name in PRODUCTS)) / total


def main() -> None:
    """Measure one size and print a row of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--size", choices=SIZES, default="B")
    parser.add_argument("--seconds", type=float, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        step = make_step(settings_for(options.size, options.corpus), Path(folder))
        for _ in range(10):
            step()
        start, tokens, steps = time.perf_counter(), 0, 0
        while (seconds := time.perf_counter() - start) < options.seconds:
            tokens += step()
            steps += 1
        share = share_of_products(step)
    print("| size | tokens/s | ms a step | products and recurrent kernels |\n|---|---|---|---|")
    print(f"| {options.size} | {tokens / seconds:,.0f} | {1000 * seconds / steps:.0f} | {share:.0%} |")


if __name__ == "__main__":
    main()
