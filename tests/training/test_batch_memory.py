"""Batches that cannot fit into memory are refused before training, with what would fit."""

import re

import pytest
import torch

from tests.tiny_run import SENTENCES, train_tiny
from textvae.errors import ConfigError
from textvae.model.bases.memory import MEMORY_VARIABLE, read_available_memory

MANY = [f"{text} {number} {number % 7}" for number in range(12) for text in SENTENCES]
TRANSFORMER = {"kind": "transformer", "hidden": 16, "layers": 1, "heads": 2}
PARTS = [
    pytest.param({}, id="lstm"),
    pytest.param(
        {"encoder": TRANSFORMER, "decoder": TRANSFORMER, "conditioning": ["embedding"]},
        id="transformer",
    ),
]


def train(folder, parts, batch_tokens):
    """Train for one step with batches of so many tokens."""
    training = {"batch_tokens": batch_tokens, "steps": 1, "evaluations": 1}
    return train_tiny(folder, MANY, model=parts, training=training)


@pytest.mark.parametrize("parts", PARTS)
def test_a_batch_that_cannot_fit_is_refused_with_one_that_does(parts, tmp_path, monkeypatch):
    """The suggested budget is accepted, and nothing is left of the refused run."""
    monkeypatch.setenv(MEMORY_VARIABLE, "0.012")
    with pytest.raises(ConfigError, match=r"the largest batch has [\d,]+ sentences") as refused:
        train(tmp_path / "run", parts, 100_000)
    assert not list(tmp_path.iterdir())
    match = re.search(r"Set training\.batch_tokens=(\d+)", str(refused.value))
    assert match is not None
    assert 0 < int(match[1]) < 100_000
    train(tmp_path / "run", parts, int(match[1]))
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_the_memory_can_be_set_by_hand(monkeypatch):
    """It replaces what the system reports."""
    monkeypatch.setenv(MEMORY_VARIABLE, "1.5")
    assert read_available_memory(torch.device("cpu")) == 1_500_000_000


@pytest.mark.parametrize("text", ["", "much", "-1", "nan", "inf", "0"])
def test_a_wrong_amount_of_memory_is_refused(text, monkeypatch):
    """The message has the variable and what came."""
    monkeypatch.setenv(MEMORY_VARIABLE, text)
    with pytest.raises(ConfigError, match=r"TEXTVAE_MEMORY_GB = .*expected a number above zero"):
        read_available_memory(torch.device("cpu"))
