"""Measure what the command line costs before it does any work: `python experiments/startup.py RUN`.

Each command runs in a process of its own, several times in turn, and the lowest processor
time counts: it is the least disturbed by other work on the machine. The imports that a
model of transformers cannot do without are measured in the same way, for comparison.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

_MODEL_IMPORTS = (
    "import torch; from transformers import AutoTokenizer, GenerationMixin, PreTrainedModel"
)


class Cost(NamedTuple):
    """What a process costs: processor time in seconds, and the most memory in megabytes."""

    seconds: float
    megabytes: float


def measure(command: Sequence[str]) -> Cost:
    """Run a command and return its cost."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def list_commands(run: str) -> dict[str, list[str]]:
    """Return the commands to measure, by what the table calls them."""
    python = sys.executable
    textvae = [python, "-m", "textvae"]
    return {
        "import torch": [python, "-c", "import torch"],
        "import torch, transformers": [python, "-c", "import torch, transformers"],
        "the same, with PreTrainedModel and its tokenizer": [python, "-c", _MODEL_IMPORTS],
        "textvae --help": [*textvae, "--help"],
        "textvae generate --help": [*textvae, "generate", "--help"],
        "textvae generate MISSING (refused)": [*textvae, "generate", f"{run}-missing"],
        "textvae generate RUN -n 0 (refused)": [*textvae, "generate", run, "-n", "0"],
        "textvae generate RUN -n 1": [*textvae, "generate", run, "-n", "1", "--device", "cpu"],
    }


def main() -> None:
    """Print a table of the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a trained run")
    parser.add_argument("--times", type=int, default=5, help="runs of each command (default: 5)")
    options = parser.parse_args()
    commands = list_commands(options.run)
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(options.times):
        for name, command in commands.items():
            costs[name].append(measure(command))
    print("| command | processor-seconds | MB |")
    print("|---|---|---|")
    for name, measured in costs.items():
        seconds = min(cost.seconds for cost in measured)
        megabytes = min(cost.megabytes for cost in measured)
        print(f"| `{name}` | {seconds:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
