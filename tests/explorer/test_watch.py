"""`textvae train --watch`: a page next to the training, which then shows the finished model."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import write_corpus

pytest.importorskip("gradio_client")

ARGUMENTS = [
    "tokenizer.vocab_size=320",
    "model.latent_dim=4",
    *(
        f"model.{part}.{name}={size}"
        for part in ("encoder", "decoder")
        for name, size in (("embedding", 16), ("hidden", 24))
    ),
    "training.steps=12",
    "training.warmup_steps=2",
    "training.evaluations=2",
    "training.trackers=none",
]


def read_address(log: Path) -> str:
    """Wait until the address of the page is printed, and return it."""
    for _ in range(600):
        if found := re.search(r"http://[\d.:]+", log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_the_page_follows_the_training_and_ends_with_ctrl_c(tmp_path):
    """It shows the curves and the verdict, and decodes once there is a model."""
    from gradio_client import Client

    run, log = tmp_path / "run", tmp_path / "log.txt"
    command = [sys.executable, "-m", "textvae", "train", str(write_corpus(tmp_path))]
    command += [*ARGUMENTS, "--output", str(run), "--watch", "--device", "cpu"]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    try:
        client = Client(read_address(log), verbose=False)
        while "the explorer goes on" not in log.read_text() and process.poll() is None:
            time.sleep(0.2)
        progress: Any = client.predict(api_name="/progress")
        assert "elbo" in str(progress)
        texts: Any = client.predict(n=2, api_name="/sample")
        assert len(texts["texts"]) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, log.read_text()
    finally:
        process.kill()
    assert "Traceback" not in log.read_text()
    with pytest.raises(Exception, match=r"."):
        client.predict(api_name="/progress")
