"""The page on training in Python: its examples run in their order, with tiny parts."""

import logging

import pytest

from tests.pages import ROOT, SMALL_PARTS, examples, furnish
from textvae.messages import LOGGER

PAGE = ROOT / "docs" / "training-in-python.md"


@pytest.fixture
def restored_logger():
    """Restore the logger, which an example changes."""
    handlers, level = LOGGER.handlers, LOGGER.level
    yield
    for handler in LOGGER.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()
    LOGGER.handlers = handlers
    LOGGER.setLevel(level)


def test_every_example_of_the_page_runs(tmp_path, tiny_run, monkeypatch, restored_logger, capsys):
    """They share one namespace, as a reader's session does."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    small = f'device="cpu", **{SMALL_PARTS!r}, data={{"held_out": 0.1}}, training={{'
    namespace: dict[str, object] = {}
    for example in examples(PAGE):
        example = example.replace('"steps": 500', '"steps": 2, "evaluations": 1, "trackers": []')
        exec(example.replace("training={", small), namespace)
    printed = capsys.readouterr()
    assert "finished" in printed.out
    assert "verdict: " in printed.err
