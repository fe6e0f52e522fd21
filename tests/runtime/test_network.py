"""Without a network, the name of a data set is refused at once."""

import time

import datasets
import pytest
from huggingface_hub import constants

from textvae.data.sources import find_splits
from textvae.data.tables import TableSettings
from textvae.errors import DataError
from textvae.runtime.network import give_up_without_network

NOWHERE = "http://127.0.0.1:9"  # a port on which nothing listens


@pytest.fixture
def offline(monkeypatch):
    """A hub that does not answer, without the proxy that this machine may have."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize("name", ["mycorpus", "owner/mycorpus", "owner/mycorpus:config"])
def test_a_name_is_refused_within_seconds(offline, name):
    """The library by itself would try again for half a minute."""
    start = time.perf_counter()
    with pytest.raises(DataError, match="the Hub cannot be reached from this machine"):
        find_splits(name, TableSettings())
    assert time.perf_counter() - start < 10  # generous: the machine may be busy


def test_the_libraries_are_offline_only_within_the_block(offline):
    """A later call may have a network."""
    with give_up_without_network():
        assert constants.HF_HUB_OFFLINE
        assert datasets.config.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    assert not datasets.config.HF_HUB_OFFLINE
