"""Fixtures that several files of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.fake_hub import WRITER, FakeHub, run_fake_hub
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


@pytest.fixture(scope="session")
def hub_server() -> Iterator[FakeHub]:
    """A hub on this machine."""
    with run_fake_hub({}) as hub:
        yield hub


@pytest.fixture
def hub(hub_server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """The hub without repositories, an empty cache, and a user who is logged in and may write."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", hub_server.endpoint)
    # It was built from the endpoint when huggingface_hub was imported.
    template = f"{hub_server.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    hub_server.repositories.clear()
    hub_server.requests.clear()
    return hub_server
