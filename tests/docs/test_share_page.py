"""The page about sharing: its commands and its examples work, with a hub on this machine."""

from typing import Any

import yaml

from tests.pages import ROOT, blocks, furnish, on_a_small_scale
from textvae.cli.main import main
from textvae.settings.reading import read_settings

PAGE = ROOT / "docs" / "share.md"


def test_the_commands_and_examples_run_in_the_order_of_the_page(
    hub, tmp_path, tiny_run, monkeypatch
):
    """The examples share their variables, and load what the commands have pushed."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(furnish(tmp_path / "work", tiny_run))
    namespace: dict[str, Any] = {}
    for language, block in blocks(PAGE):
        if language == "python":
            exec(block, namespace)
            continue
        if language == "yaml":
            assert read_settings(base=yaml.safe_load(block)).card.license == "mit"
            continue
        for command in block.splitlines():
            assert main(on_a_small_scale(command)) == 0, command
    assert {"me/demo", "me/mine"} <= hub.repositories.keys()
    assert {"main", "v1", "refs/pr/1"} <= hub.repositories["me/demo"].branches.keys()
