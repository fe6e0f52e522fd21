"""The first page that a user reads: its commands and its Python example work, with a tiny run."""

from tests.pages import ROOT, commands, examples, furnish, on_a_small_scale
from textvae.cli.main import main

PAGE = ROOT / "docs" / "getting-started.md"


def test_the_commands_and_then_the_example_run(tmp_path, tiny_run, monkeypatch):
    """The example uses the run that the first command trains."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    for command in commands(PAGE):
        assert main(on_a_small_scale(command)) == 0, command
    for example in examples(PAGE):
        exec(example, {})
