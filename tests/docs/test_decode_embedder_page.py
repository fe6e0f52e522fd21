"""The page about decoding embeddings: its command and its examples work, with a tiny encoder."""

from typing import Any

from tests.pages import ROOT, commands, examples, furnish, on_a_small_scale
from textvae.cli.main import main

PAGE = ROOT / "docs" / "decode-embedder.md"


def test_the_command_and_then_the_examples_run(tmp_path, tiny_run, monkeypatch):
    """The examples use the run that the command trains, and share their variables."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    for command in commands(PAGE):
        words = [*on_a_small_scale(command), "model.encoder.name=bases/encoder"]
        assert main(words) == 0, command
    namespace: dict[str, Any] = {}
    for example in examples(PAGE):
        exec(example, namespace)
