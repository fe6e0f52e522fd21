"""Exports that several files of tests share; tests only read them."""

from pathlib import Path

import pytest

from tests.tiny import tiny_vae
from textvae.vae import TextVAE


@pytest.fixture(scope="session")
def vae() -> TextVAE:
    """A tiny model with byte-pair tokens."""
    return tiny_vae(kind="bpe", seed=3)


@pytest.fixture(scope="session")
def exported(vae, tmp_path_factory) -> Path:
    """Its export."""
    folder: Path = tmp_path_factory.mktemp("exports") / "onnx"
    vae.export(folder)
    return folder
