"""Fixtures that several files of tests share."""

from pathlib import Path

import pytest

from tests.tiny_run import train_tiny


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(folder)
    return folder
