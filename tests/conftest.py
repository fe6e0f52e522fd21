"""Fixtures that several files of tests share."""

from pathlib import Path

import pytest

from tests.tiny import DECODER_SETTINGS, tiny_vae
from tests.tiny_run import LABELLED, table, train_tiny
from textvae.vae import TextVAE


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def labelled_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a conditional model; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "labelled"
    train_tiny(folder, table(LABELLED), data={"label": "label"})
    return folder


@pytest.fixture(scope="module", params=DECODER_SETTINGS)
def vae(request: pytest.FixtureRequest) -> TextVAE:
    """A tiny text VAE with each decoder."""
    return tiny_vae(request.param)


@pytest.fixture(scope="module")
def lstm() -> TextVAE:
    """A tiny text VAE with an LSTM decoder."""
    return tiny_vae()
