"""Measure everything that needs a GPU, in one run of about ten minutes, one JSON object per line.

    python experiments/gpu.py [--output FILE] [--seconds 20]
    python experiments/gpu.py --device cpu --tiny        # try the script without a GPU

- `peak`: the speed of one large matrix product in bf16.
- `transformer`: training of a VAE with 12 layers of 768 on each side, with the trainer of `textvae train`;
  `share_of_peak` is the speed of its matrix products, 6 operations per weight and token, as a share
  of that peak. Embeddings do not count, the output projection does, and neither does attention.
- `train`, `encode`, `decode` and `likelihood` of LSTMs of sizes B and A, as `textvae bench`.
- `processes`: a few steps of the transformer with DDP and with FSDP on this one GPU, to see that they
  start.

A part that fails is reported with its error, and the others go on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from textvae.bench.case import (
    MODEL_SIZES,
    build_settings,
    describe_lstm,
    describe_transformer,
    prepare_settings,
)
from textvae.bench.memory import PeakMemory
from textvae.bench.run import run_benchmark
from textvae.bench.training import train_for, wait_for_device

SCRIPT = Path(__file__).parents[1] / "scripts" / "train.py"
STEPS = "training.steps=5"
BENCHMARKS = ("train", "encode", "decode", "likelihood")
PARTS = ("transformer", *BENCHMARKS, "processes")
LAUNCHERS = {
    "DDP": ["torch.distributed.run", "--standalone", "--nproc-per-node", "1"],
    "FSDP": [
        "accelerate.commands.launch",
        "--use_fsdp",
        "--fsdp_version",
        "2",
        "--num_processes",
        "1",
    ],
}


def measure_peak(device: torch.device, size: int) -> dict[str, float]:
    """Return the operations per second of a square product in bf16, the best of several."""
    left = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    times = []
    for _ in range(10):
        wait_for_device(device)
        start = time.perf_counter()
        torch.mm(left, left)
        wait_for_device(device)
        times.append(time.perf_counter() - start)
    return {"size": size, "operations_per_second": 2 * size**3 / min(times)}


def count_product_weights(model: Any) -> int:
    """Return the weights that every token is multiplied with."""
    linear = [
        module.weight.numel()
        for part in (model.encoder, model.decoder)
        for module in part.modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]
    return int(sum(linear) + model.decoder.output_weight.numel())


def measure_transformer(
    device: torch.device, corpus: str, seconds: float, batch_tokens: int, peak: float
) -> dict[str, float]:
    """Return the training speed of the transformer of size `large`, and its share of the peak."""
    settings = build_settings("large", corpus)
    budget = {"batch_tokens": batch_tokens, "batch_sentences": None}
    training = settings.training.model_copy(update=budget)
    settings = settings.model_copy(update={"training": training})
    with prepare_settings(settings, str(device), seconds) as case:
        with PeakMemory(device) as memory:
            timed = train_for(case, seconds)
        speed = timed.tokens / timed.seconds
        operations = 6 * count_product_weights(case.bundle.model)
    return {
        "batch_tokens": batch_tokens,
        "tokens_per_second": speed,
        "operations_per_second": speed * operations,
        "share_of_peak": speed * operations / peak,
        **{name: value or 0.0 for name, value in memory.describe().items()},
    }


def start_processes(launcher: str, device: torch.device, corpus: str) -> dict[str, Any]:
    """Train the transformer of size `large` for a few steps with a launcher; return its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "large.yaml"
        build_settings("large", corpus).save(config)
        command = [sys.executable, "-m", *LAUNCHERS[launcher], str(SCRIPT), corpus]
        options = ["--config", str(config), "--output", f"{folder}/run"]
        options += ["--device", str(device), STEPS]
        start = time.perf_counter()
        result = subprocess.run([*command, *options], capture_output=True, text=True, timeout=180)
    record = {"launcher": launcher, "seconds": time.perf_counter() - start}
    if result.returncode:
        record["error"] = result.stderr[-500:]
    return record


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=20, help="of each training")
    parser.add_argument("--output", type=Path, help="file for the records, next to the output")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the script")
    parser.add_argument("--corpus", default="captions")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    device = torch.device(options.device)
    MODEL_SIZES["large"] = describe_transformer(12, 768)
    if options.tiny:
        MODEL_SIZES["large"] = describe_transformer(1, 8)
        MODEL_SIZES["A"] = MODEL_SIZES["B"] = describe_lstm(8, 8)

    def report(part: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Print the record of a part, or its error."""
        try:
            record = {"part": part, **work()}
        except Exception as error:  # one failure must not cost the machine's other minutes
            record = {"part": part, "error": f"{type(error).__name__}: {error}"}
        line = json.dumps(record)
        print(line, flush=True)
        if options.output:
            with options.output.open("a") as stream:
                stream.write(line + "\n")
        return record

    peak = report("peak", lambda: measure_peak(device, 64 if options.tiny else 8192))
    best = peak.get("operations_per_second", float("nan"))
    budgets = (64,) if options.tiny else (8192, 32_768)
    for batch_tokens in budgets if "transformer" in options.parts else ():

        def train(batch_tokens: int = batch_tokens) -> dict[str, float]:
            """Train with this budget."""
            return measure_transformer(device, options.corpus, options.seconds, batch_tokens, best)

        report("transformer", train)
    for size in ("B", "A"):
        for name in filter(options.parts.__contains__, BENCHMARKS):

            def bench(name: str = name, size: str = size) -> dict[str, Any]:
                """Run one benchmark."""
                return run_benchmark(name, size, options.corpus, options.device, options.seconds)

            report(name, bench)
    if "processes" in options.parts:
        for launcher in LAUNCHERS:

            def start(launcher: str = launcher) -> dict[str, Any]:
                """Start one launcher."""
                return start_processes(launcher, device, options.corpus)

            report("processes", start)


if __name__ == "__main__":
    main()
