"""Compare how fast transformers train: textvae, x-transformers' GPTVAE, and GPT-2 of transformers.

    pip install x-transformers
    python experiments/transformers_speed.py [--size T4|T6] [--join 1|7] [--turns 5] [--seconds 20] [--compile]

All have the same layers, heads and sizes, the same vocabulary of words, AdamW, clipped gradients,
no dropout, and bf16 where the processor multiplies it fast. They take turns, and each number is the
median over turns. Tokens are words to predict and ends of sentences; padding does not count.
Tokens per CPU second count the time of all cores, which tells more than the clock on a busy
machine. The ways:

- textvae: the trainer of `textvae train`, without evaluations and checkpoints.
- textvae, decoder alone: objective.kind=language_model, the same work as GPT-2.
- GPTVAE, GPT-2: a step of forward, backward, clipping and AdamW. `random`: batches of as many
  sentences, shuffled and padded to the longest one, as a data loader makes them. `sorted`: the
  batches of textvae.

With --join 7, seven captions make one text, which is as long as a short review. With --compile,
a further way is textvae with `training.compile=true`; its compilation is not part of the time.
"""

import argparse
import gzip
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from textvae.bench.case import BenchmarkCase, build_settings, prepare_settings
from textvae.bench.train import measure_kernel_speed
from textvae.bench.training import WARMUP_STEPS, train_for
from textvae.data import BUNDLED_CORPORA
from textvae.data.arrow import read_number_column
from textvae.data.batching import Batch, Collator, LengthBuckets
from textvae.runtime.device import compute_in_bf16
from textvae.settings.run import Settings
from textvae.training.fit import compile_parts

SIZES = {"T4": (4, 256), "T6": (6, 512)}  # layers, units
HEAD_SIZE = 64
# GPTVAE has no dropout by default, so nobody has.
NO_DROPOUT = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "gpt2": {"embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0},
}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Speed:
    """Tokens per second, and per second of processor time."""

    by_clock: float
    by_processor: float


def write_corpus(folder: Path, join: int) -> Path:
    """Write the bundled captions, `join` of them in a line, in three splits."""
    for split in ("train", "validation", "test"):
        with gzip.open(f"{BUNDLED_CORPORA['captions']}/{split}.txt.gz", "rt") as file:
            lines = file.read().splitlines()
        texts = [" ".join(lines[start : start + join]) for start in range(0, len(lines), join)]
        (folder / f"{split}.txt").write_text("\n".join(texts) + "\n")
    return folder


def make_settings(size: str, corpus: Path, batch_tokens: int, kind: str) -> Settings:
    """Return the settings of a run with a budget of tokens."""
    settings = build_settings(size, str(corpus))
    encoder = settings.model.encoder.model_copy(update={"options": NO_DROPOUT["bert"]})
    decoder = settings.model.decoder.model_copy(update={"options": NO_DROPOUT["gpt2"]})
    model = settings.model.model_copy(update={"encoder": encoder, "decoder": decoder})
    budget = {"batch_tokens": batch_tokens, "batch_sentences": None}
    training = settings.training.model_copy(update=budget)
    objective = settings.objective.model_validate({"kind": kind})
    sections = {"model": model, "training": training, "objective": objective}
    return settings.model_copy(update=sections)


def measure_ours(case: BenchmarkCase, seconds: float) -> Speed:
    """Return the speed of the trainer."""
    timed = train_for(case, seconds)
    return Speed(timed.tokens / timed.seconds, timed.tokens / timed.processor_seconds)


def prepare_compiled(stack: ExitStack, case: BenchmarkCase) -> Callable[[float], Speed]:
    """Return the measurement of a model with compiled parts; it has trained until it is compiled."""
    settings = case.run.read_settings()
    compiled = stack.enter_context(prepare_settings(settings, "cpu", case.seconds))
    compile_parts(compiled.bundle.model)
    start = time.perf_counter()
    timed = train_for(compiled, 5.0)
    seconds = time.perf_counter() - start - timed.seconds
    print(f"compilation, with ten steps: {seconds:.0f} s", file=sys.stderr, flush=True)
    return partial(measure_ours, compiled)


class Peer:
    """A model of another project, and its training step.

    Args:
        loss: from token ids, (batch, length), padded with -100, to the loss.
        batches: the sentences of each batch, without end.
    """

    def __init__(
        self,
        case: BenchmarkCase,
        model: nn.Module,
        loss: Callable[[torch.Tensor], torch.Tensor],
        batches: Iterator[list[int]],
    ) -> None:
        self.model = model.train()
        self.loss = loss
        self.batches = batches
        self.train = case.train
        self.collate = Collator(case.bundle.tokenizer)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step(self) -> int:
        """Train on the next batch; return its tokens."""
        batch: Batch = self.collate(self.train.__getitems__(next(self.batches)))
        start = batch["input_ids"][:, :1]
        with compute_in_bf16(CPU):
            loss = self.loss(torch.cat([start, batch["labels"]], dim=1))
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return int(batch["attention_mask"].sum())

    def measure(self, seconds: float) -> Speed:
        """Return the speed of the step."""
        for _ in range(WARMUP_STEPS):
            self.step()
        tokens = 0
        processor = time.process_time()
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            tokens += self.step()
        return Speed(tokens / elapsed, tokens / (time.process_time() - processor))


def build_gpt_vae(size: str, vocab: int, positions: int) -> tuple[nn.Module, Any]:
    """Return x-transformers' GPTVAE and its loss."""
    from x_transformers.gpt_vae import GPTVAE

    layers, hidden = SIZES[size]
    model = GPTVAE(
        num_tokens=vocab + 1,
        dim=hidden,
        depth=layers,
        enc_depth=layers,
        max_seq_len=positions,
        dim_latent=32,
        heads=hidden // HEAD_SIZE,
        attn_dim_head=HEAD_SIZE,
        pad_id=vocab,
    )

    def loss(ids: torch.Tensor) -> torch.Tensor:
        """Return the loss of padded ids; the padding has a token of its own."""
        result: torch.Tensor = model(ids.masked_fill(ids < 0, vocab))
        return result

    return model, loss


def build_gpt2(size: str, vocab: int, positions: int) -> tuple[nn.Module, Any]:
    """Return GPT-2 of transformers with random weights, and its loss."""
    layers, hidden = SIZES[size]
    model = GPT2LMHeadModel(
        GPT2Config(
            n_layer=layers,
            n_embd=hidden,
            n_head=hidden // HEAD_SIZE,
            vocab_size=vocab,
            n_positions=positions,
            **NO_DROPOUT["gpt2"],
        )
    )

    def loss(ids: torch.Tensor) -> torch.Tensor:
        """Return the loss of padded ids."""
        is_real = ids != -100
        output = model(ids.clamp(min=0), attention_mask=is_real.long(), labels=ids)
        result: torch.Tensor = output.loss
        return result

    return model, loss


def iterate_random(case: BenchmarkCase, size: int) -> Iterator[list[int]]:
    """Yield shuffled batches of so many sentences, without end."""
    random = np.random.default_rng(1)
    while True:
        order = random.permutation(len(case.train))
        for start in range(0, len(order) - size, size):
            yield order[start : start + size].tolist()


def iterate_sorted(case: BenchmarkCase) -> Iterator[list[int]]:
    """Yield the batches of textvae, without end."""
    training = case.run.read_settings().training
    lengths = read_number_column(case.train, "length")
    yield from cycle(LengthBuckets(lengths, training.batch_tokens, None, seed=1))


def build_peers(case: BenchmarkCase, size: str) -> dict[str, Callable[[float], Speed]]:
    """Return a function that measures each other project, by its name."""
    vocab = case.bundle.model.config.vocab_size
    lengths = np.asarray(read_number_column(case.train, "length")) + 2
    training = case.run.read_settings().training
    sentences = round(training.batch_tokens / float(lengths.mean() - 1))
    measures: dict[str, Callable[[float], Speed]] = {}
    for name, build in (("GPTVAE", build_gpt_vae), ("GPT-2", build_gpt2)):
        for order in ("random", "sorted"):
            model, loss = build(size, vocab, int(lengths.max()) + 2)
            batches = iterate_random(case, sentences)
            if order == "sorted":
                batches = iterate_sorted(case)
            measures[f"{name}, {order}"] = Peer(case, model, loss, batches).measure
    return measures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="T4")
    parser.add_argument("--join", type=int, default=1, help="captions per text")
    parser.add_argument("--batch-tokens", type=int, default=768)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20, help="of each turn")
    parser.add_argument("--compile", action="store_true", help="also measure torch.compile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        corpus = write_corpus(Path(name), options.join)
        cases = []
        for kind in ("elbo", "language_model"):
            settings = make_settings(options.size, corpus, options.batch_tokens, kind)
            cases.append(stack.enter_context(prepare_settings(settings, "cpu", options.seconds)))
        ways: dict[str, Callable[[float], Speed]] = {
            "textvae": lambda seconds: measure_ours(cases[0], seconds),
            "textvae, decoder alone": lambda seconds: measure_ours(cases[1], seconds),
            **build_peers(cases[0], options.size),
        }
        if options.compile:
            ways["textvae, compiled"] = prepare_compiled(stack, cases[0])
        results: dict[str, list[Speed]] = {name: [] for name in ways}
        for _ in range(options.turns):
            for way, measure in ways.items():
                speed = measure(options.seconds)
                results[way].append(speed)
                line = f"{way}: {speed.by_clock:,.0f} and {speed.by_processor:,.0f} tokens/s"
                print(line, file=sys.stderr, flush=True)
        print(
            "| way | tokens/s | tokens per CPU second | textvae is faster by |\n|---|---|---|---|"
        )
        medians = {
            way: Speed(
                statistics.median(speed.by_clock for speed in speeds),
                statistics.median(speed.by_processor for speed in speeds),
            )
            for way, speeds in results.items()
        }
        for way, speed in medians.items():
            ours = medians["textvae, decoder alone" if "GPT-2" in way else "textvae"]
            ratio = f"{ours.by_processor / speed.by_processor:.2f}"
            print(f"| {way} | {speed.by_clock:,.0f} | {speed.by_processor:,.0f} | {ratio} |")
        share = medians["textvae"].by_clock / measure_kernel_speed(
            cases[0], train_for(cases[0], 1.0)
        )
        print(f"\nThe speed of textvae is {share:.0%} of that of its matrix products alone.")


if __name__ == "__main__":
    main()
