"""Compare three ways to compute the loss of a decoder: plain, textvae's, and torch's own.

    python experiments/loss.py
    python experiments/loss.py --vocab 50000 --threads 1 --repeats 5

Torch's own is measured twice: in chunks of the size that torch chooses, and in
larger ones. Each row of the table is one case: a vocabulary, a number type, and an
output weight that is trained or frozen. For each way, it has the time of one forward
and backward pass, and the memory that the pass needs at its peak in addition to its
inputs. Times are medians of passes in one process, in which the ways take turns. With
one thread, they are CPU time, which other work on the machine disturbs least. Memory
is measured in a fresh process for each way, with one pass.
"""

import argparse
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from textvae.model.kernels import fused_nll
from textvae.model.kernels.fused_nll import token_nll

VOCABULARIES = (10_000, 50_000, 150_000)
TYPES = ("float32", "bf16")
WEIGHTS = ("trained", "frozen")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    vocab: int
    type: str  # of the matrix products: float32, or bf16 under autocast
    is_frozen: bool
    threads: int
    hidden: int
    tokens: int


@dataclass(frozen=True)
class Problem:
    """The inputs of a loss, and whether its matrix products are in bf16.

    Shapes:
        states: (tokens, hidden); weight: (vocab, hidden); targets: (tokens,)
    """

    states: Tensor
    weight: Tensor
    targets: Tensor
    is_bf16: bool


def make_problem(case: Case) -> Problem:
    """Return random inputs of the case's sizes."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    return Problem(
        states=torch.randn(case.tokens, case.hidden).requires_grad_(),
        weight=torch.empty(case.vocab, case.hidden)
        .normal_(std=0.05)
        .requires_grad_(not case.is_frozen),
        targets=torch.randint(case.vocab, (case.tokens,)),
        is_bf16=case.type == "bf16",
    )


def plain_loss(problem: Problem) -> Tensor:
    """Return the loss of plain code, which stores all logits in single precision."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=problem.is_bf16):
        logits = linear(problem.states, problem.weight)
    return cross_entropy(logits.float(), problem.targets, reduction="sum")


def textvae_loss(problem: Problem) -> Tensor:
    """Return the fused loss of this package."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=problem.is_bf16):
        return token_nll(problem.states, problem.weight, None, problem.targets, 1.0)[0]


def torch_loss(problem: Problem, rows: int | None = None) -> Tensor:
    """Return torch's chunked loss, with chunks of its own choice or of `rows` rows.

    It ignores autocast, so the inputs are cast here.
    """
    options: dict[str, Any] = {}
    if rows is not None:
        options = {"batch_chunk_size": rows, "chunking_method": None}
    states, weight = problem.states, problem.weight
    if problem.is_bf16:
        states, weight = states.bfloat16(), weight.bfloat16()
    loss: Tensor = nn.functional.linear_cross_entropy(
        states,
        weight,
        problem.targets,
        reduction="sum",
        options=nn.LinearCrossEntropyOptions(**options),
    )
    return loss


def torch_loss_in_our_chunks(problem: Problem) -> Tensor:
    """Return torch's loss in chunks of 2^24 logits."""
    size = fused_nll.rows_per_chunk(problem.weight, fused_nll.TRAINING_CHUNK_SCORES)
    return torch_loss(problem, rows=size)


def list_ways() -> dict[str, Callable[[Problem], Tensor]]:
    """Return the ways to compute the loss that the installed torch has."""
    ways: dict[str, Callable[[Problem], Tensor]] = {"plain": plain_loss, "textvae": textvae_loss}
    if hasattr(nn, "LinearCrossEntropyOptions"):  # new in torch 2.13
        ways["torch"] = torch_loss
        ways["torch, larger chunks"] = torch_loss_in_our_chunks
    return ways


def run_pass(problem: Problem, way: Callable[[Problem], Tensor]) -> None:
    """Compute the loss and its gradients, and drop them."""
    problem.states.grad = None
    problem.weight.grad = None
    way(problem).backward()


def measure_seconds(case: Case, names: list[str], repeats: int) -> dict[str, float]:
    """Return the median seconds of a pass of each way, in this process."""
    problem = make_problem(case)
    clock = time.process_time if case.threads == 1 else time.perf_counter
    ways = {name: list_ways()[name] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + repeats):  # the first round warms up
        for name, way in ways.items():
            start = clock()
            run_pass(problem, way)
            seconds[name].append(clock() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def read_megabytes(field: str) -> float:
    """Return a field of this process's status: VmRSS is resident memory, VmHWM its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no field {field!r}; this measurement needs Linux.")


def measure_megabytes(case: Case, name: str) -> float:
    """Return how much resident memory one pass needs at its peak, without its inputs."""
    # A small pass first loads the libraries' code, which would count otherwise.
    run_pass(make_problem(replace(case, vocab=64, tokens=8)), list_ways()[name])
    problem = make_problem(case)
    before = read_megabytes("VmRSS")
    run_pass(problem, list_ways()[name])
    return read_megabytes("VmHWM") - before


def run_in_child(function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Call a function in a process of its own, whose memory has held no tensor before."""
    # This process computes nothing, so it has no threads that a fork would lose.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


def format_row(case: Case, seconds: dict[str, float], megabytes: dict[str, float]) -> str:
    """Return a row of the table; speeds are relative to the first way, by default the plain one."""
    first = next(iter(seconds.values()))
    weight = "frozen" if case.is_frozen else "trained"
    cells = [str(case.threads), f"{case.vocab:,}", case.type, weight]
    for name, duration in seconds.items():
        cells.append(f"{1000 * duration:,.0f} ({first / duration:.2f})")
        cells.append(f"{megabytes[name]:,.0f}")
    return f"| {' | '.join(cells)} |"


def list_cases(options: argparse.Namespace) -> Iterator[Case]:
    """Yield the cases in the order of the table."""
    for threads, vocab, kind, weight in itertools.product(
        options.threads, options.vocab, options.types, options.weights
    ):
        yield Case(vocab, kind, weight == "frozen", threads, options.hidden, options.tokens)


def print_table(options: argparse.Namespace) -> None:
    """Measure the cases, and print the table row by row."""
    names = options.ways
    titles = ["threads", "vocabulary", "products", "weight"]
    for name in names:
        titles += [f"{name}, ms (speed)", "MB"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for case in list_cases(options):
        seconds = run_in_child(measure_seconds, case, names, options.repeats)
        megabytes = {name: run_in_child(measure_megabytes, case, name) for name in names}
        print(format_row(case, seconds, megabytes), flush=True)


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--vocab", type=int, nargs="+", default=VOCABULARIES)
    parser.add_argument("--types", choices=TYPES, nargs="+", default=TYPES)
    parser.add_argument("--ways", choices=[*list_ways()], nargs="+", default=[*list_ways()])
    parser.add_argument("--weights", choices=WEIGHTS, nargs="+", default=WEIGHTS)
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--hidden", type=int, default=576)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    print_table(parse_options())
