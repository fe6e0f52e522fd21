"""Training, loading and evaluating leave what belongs to the program as it was."""

import logging
import random
import re
import signal
import warnings

import datasets
import numpy as np
import pytest
import torch
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers.utils import logging as transformers_logging

import textvae
from tests.tiny_run import train_tiny
from textvae.cli.main import main
from textvae.errors import TextVAEError


def list_library_settings():
    """Return settings of libraries that a program may have chosen."""
    logger = logging.getLogger("transformers")
    return {
        "transformers": transformers_logging.get_verbosity(),
        "transformers' bars": transformers_logging.is_progress_bar_enabled(),
        "transformers' handlers": list(logger.handlers),
        "datasets": datasets.logging.get_verbosity(),
        "datasets' bars": datasets.are_progress_bars_disabled(),
        "datasets' cache": datasets.is_caching_enabled(),
        "the hub's bars": are_progress_bars_disabled(),
        "root handlers": list(logging.getLogger().handlers),
        "root level": logging.getLogger().level,
        "warnings": list(warnings.filters),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "default dtype": torch.get_default_dtype(),
        "signals": [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)],
        "random": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
    }


def choose_library_settings(verbosity, has_bars):
    """Set what a program may have set."""
    transformers_logging.set_verbosity(verbosity)
    for disable, enable in (
        (transformers_logging.disable_progress_bar, transformers_logging.enable_progress_bar),
        (datasets.disable_progress_bars, datasets.enable_progress_bars),
    ):
        (enable if has_bars else disable)()


@pytest.fixture
def restored():
    """Restore the settings of libraries after a test."""
    verbosity = transformers_logging.get_verbosity()
    has_bars = transformers_logging.is_progress_bar_enabled()
    yield
    choose_library_settings(verbosity, has_bars)


@pytest.mark.parametrize("has_bars", [True, False])
def test_settings_of_libraries_and_random_numbers_stay_as_they_were(
    restored, tiny_run, tmp_path, has_bars
):
    """Through loading, evaluating and, in one of the cases, training."""
    choose_library_settings(transformers_logging.INFO if has_bars else 40, has_bars)
    before = list_library_settings()
    vae = textvae.TextVAE.from_pretrained(tiny_run)
    assert list_library_settings() == before
    vae.evaluate(samples=2, limit=4)
    assert list_library_settings() == before
    vae.save_pretrained(tmp_path / "copy")
    assert list_library_settings() == before
    if has_bars:
        train_tiny(tmp_path / "run", training={"steps": 2, "evaluations": 1})
        assert list_library_settings() == before


def test_settings_of_libraries_are_restored_after_an_error(restored, tmp_path):
    """Also if the corpus is refused."""
    choose_library_settings(transformers_logging.INFO, True)
    before = list_library_settings()
    with pytest.raises(TextVAEError):
        textvae.train("gone.txt", output=tmp_path / "run")
    with pytest.raises(TextVAEError):
        textvae.finish(tmp_path / "gone")
    assert list_library_settings() == before


def test_quiet_training_prints_nothing(tiny_run, tmp_path, capsys):
    """There is no bar and no note; in Python, the level of the logger decides on the notes."""
    words = ["data.held_out=0.1", "training.steps=2", "training.trackers=none", "--device", "cpu"]
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"a man sees {number} dogs ." for number in range(99)))
    small = [f"model.{part}.hidden=8" for part in ("encoder", "decoder")]
    command = ["train", str(corpus), *words, *small, "tokenizer.vocab_size=300"]
    assert main([*command, "--output", str(tmp_path / "run"), "--quiet"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    # The run is finished.
    assert main(["finish", str(tmp_path / "run"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["finish", str(tmp_path / "run")]) == 0
    assert "note: " in capsys.readouterr().err


def test_a_training_without_a_bar_still_prints_its_notes(tmp_path, capsys):
    """`progress` is about the bar alone."""
    train_tiny(tmp_path / "run", progress=False, training={"steps": 2, "evaluations": 1})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("note: the corpus")
    assert any(line.startswith("verdict: ") for line in lines)
    assert not any(re.search(r"training: +\d+%", line) for line in lines)


def test_a_variable_of_the_environment_hides_the_bar(tmp_path):
    """It is tqdm's own, and is read when tqdm is imported, so this takes another process."""
    import os
    import subprocess
    import sys

    code = (
        "from tests.tiny_run import train_tiny; "
        f"train_tiny({str(tmp_path / 'run')!r}, training={{'steps': 2, 'evaluations': 1}})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert "verdict: " in run.stderr
    assert "training:" not in run.stderr
