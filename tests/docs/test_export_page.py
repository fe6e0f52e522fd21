"""The page about exporting: its commands and then its examples work, with a tiny run."""

from typing import Any

from tests.pages import ROOT, commands, examples, furnish, on_a_small_scale
from textvae.cli.main import main

PAGE = ROOT / "docs" / "export.md"


def test_the_commands_and_then_the_examples_run(tmp_path, tiny_run, monkeypatch):
    """The examples use the folder that the first command writes."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    for command in commands(PAGE):
        assert main(on_a_small_scale(command)) == 0, command
    namespace: dict[str, Any] = {}
    for example in examples(PAGE):
        exec(example, namespace)
