"""The experiment that compares several ways to compute the loss."""

import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = Path(__file__).parents[2] / "experiments" / "loss.py"
TINY = "--vocab 50 --types bf16 --threads 1 --hidden 8 --tokens 12 --repeats 1"


def test_the_comparison_of_losses_prints_a_row_per_case():
    """Each way to compute the loss has a time and a memory; two ways need a recent torch."""
    output = subprocess.run(
        [sys.executable, SCRIPT, *TINY.split()], check=True, capture_output=True, text=True
    ).stdout
    header, _, *rows = output.splitlines()
    ways = 4 if hasattr(torch.nn, "LinearCrossEntropyOptions") else 2
    assert [row.split("|")[4].strip() for row in rows] == ["trained", "frozen"]
    for row in (header, *rows):
        assert row.count("|") == 1 + 4 + 2 * ways
