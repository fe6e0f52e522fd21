"""Bases of the hub: what is downloaded, when the cache suffices, and what fails without a network."""

import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from huggingface_hub import constants

from tests.fake_hub import run_fake_hub
from textvae.errors import ConfigError
from textvae.model.bases.files import choose_downloads
from textvae.model.bases.hub import find_on_hub
from textvae.model.bases.source import find_base
from textvae.runtime.hub import Hub, is_hub_name
from textvae.runtime.network import is_reachable

NOWHERE = "http://127.0.0.1:9"  # a port on which nothing listens


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Connect without the proxy that this machine may have."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def offline(tmp_path):
    """Return a hub that does not answer, with an empty cache."""
    return Hub(NOWHERE, str(tmp_path / "cache"), is_offline=False)


@pytest.fixture
def serve(offline):
    """Return a function that serves models, and returns the hub and the list of its requests."""
    with ExitStack() as running:

        def start(**models):
            served = {f"owner/{name}": model for name, model in models.items()}
            fake = running.enter_context(run_fake_hub(served))
            return replace(offline, endpoint=fake.endpoint), fake.requests

        yield start


def refused(name, message, hub, revision=None):
    """Check that a name is refused with a message."""
    with pytest.raises(ConfigError, match=message):
        find_on_hub(name, "model.encoder.name", revision, hub)


def test_a_model_is_downloaded_once(serve, gpt2):
    """The second time, the cache is used without a request."""
    (gpt2 / "README.md").write_text("---\nlicense: mit\n---\n")
    hub, requests = serve(gpt2=gpt2)
    folder = find_on_hub("owner/gpt2", "s", None, hub)
    count = len(requests)
    assert find_on_hub("owner/gpt2", "s", None, hub) == folder
    assert len(requests) == count


def test_a_cached_model_is_found_without_a_network(serve, offline, gpt2):
    """By the name, and by its commit too."""
    hub, _ = serve(gpt2=gpt2)
    folder = find_on_hub("owner/gpt2", "s", None, hub)
    assert find_on_hub("owner/gpt2", "s", None, offline) == folder
    assert find_on_hub("owner/gpt2", "s", folder.name, offline) == folder


def test_a_base_of_the_hub_has_its_commit(serve, gpt2, monkeypatch):
    """A run can record what it was trained from."""
    hub, _ = serve(gpt2=gpt2)
    folder = find_on_hub("owner/gpt2", "s", None, hub)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", hub.cache)
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    base = find_base("owner/gpt2", "s")
    assert (base.name, base.revision) == ("owner/gpt2", folder.name)


def test_a_cache_without_the_weights_is_completed(serve, gpt2):
    """Other programs cache single files."""
    hub, _ = serve(gpt2=gpt2)
    folder = find_on_hub("owner/gpt2", "s", None, hub)
    (folder / "model.safetensors").unlink()
    find_on_hub("owner/gpt2", "s", None, hub)
    assert (folder / "model.safetensors").is_file()


def test_only_the_files_that_a_base_needs_are_downloaded(serve, bert):
    """Neither pickles nor copies of the weights, but how to pool."""
    for name in ("pytorch_model.bin", "consolidated.safetensors", "model.py"):
        (bert / name).write_text("")
    for name in ("onnx/model.onnx", "1_Pooling/config.json"):
        (bert / name).parent.mkdir()
        (bert / name).write_text("{}")
    hub, _ = serve(bert=bert)
    folder = find_on_hub("owner/bert", "s", None, hub)
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert names == {
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_of_weights_in_several_files_only_one_set_is_downloaded():
    """Repositories hold other number types and formats of the same weights."""
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    others = ["model.fp16-00001-of-00002.safetensors", "consolidated-00001-of-00002.safetensors"]
    index = "model.safetensors.index.json"
    assert choose_downloads([*shards, *others, index]) == sorted([*shards, index])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("RepoNotFound", "is not a model that the hub shows you.* Check the spelling"),
        ("GatedRepo", "is gated: accept its conditions at .*/owner/closed, and log in"),
    ],
)
def test_a_model_that_the_hub_does_not_give_is_refused(serve, error, message):
    """It is unknown, or its owner has not admitted the user."""
    hub, _ = serve(closed=error)
    refused("owner/closed", message, hub)


def test_an_unknown_revision_is_refused(serve, gpt2):
    """The message says where to look it up."""
    hub, _ = serve(gpt2=gpt2)
    refused("owner/gpt2", "has no revision 'v9'; expected a branch", hub, revision="v9")


@pytest.mark.parametrize("revision", ["../../other", "a..b", "", "/main", "a\nb", "main "])
def test_a_revision_that_git_does_not_allow_is_refused(offline, revision):
    """It would be a path in the cache."""
    refused("owner/gpt2", "has no revision", offline, revision=revision)


def test_pickled_weights_are_refused_before_the_download(serve, gpt2):
    """Nothing but the list of files is asked for."""
    (gpt2 / "model.safetensors").rename(gpt2 / "pytorch_model.bin")
    hub, requests = serve(gpt2=gpt2)
    refused("owner/gpt2", "only as a pickle", hub)
    assert requests == ["/api/models/owner/gpt2"]


def test_pickled_weights_in_the_cache_are_refused_without_a_network(serve, offline, gpt2):
    """The message says how to convert them, not how to connect."""
    hub, _ = serve(gpt2=gpt2)
    folder = find_on_hub("owner/gpt2", "s", None, hub)
    shutil.move(folder / "model.safetensors", folder / "pytorch_model.bin")
    refused("owner/gpt2", "only as a pickle", offline)


def test_without_a_network_an_unknown_model_is_refused_at_once(offline):
    """The message names the cache, and how to get the model."""
    start = time.monotonic()
    refused("owner/gpt2", "127.0.0.1:9 cannot be reached.*hf download owner/gpt2", offline)
    assert time.monotonic() - start < 2


def test_a_host_that_never_answers_is_given_up_soon(monkeypatch):
    """Looking up a host's name has no timeout of its own."""

    def hang(address, timeout):
        time.sleep(30)

    monkeypatch.setattr(socket, "create_connection", hang)
    start = time.monotonic()
    assert not is_reachable("https://huggingface.co", seconds=0.1)
    assert time.monotonic() - start < 1


def test_blocked_sockets_count_as_no_network(offline, monkeypatch):
    """A sandbox raises errors of its own."""

    def block(*args, **options):
        raise RuntimeError("sockets are blocked")

    monkeypatch.setattr(socket, "socket", block)
    refused("owner/gpt2", "cannot be reached", offline)


def test_the_offline_mode_of_the_hub_is_respected(serve, gpt2):
    """Nothing is asked for, although a hub answers."""
    hub, requests = serve(gpt2=gpt2)
    refused("owner/gpt2", "HF_HUB_OFFLINE is set. Unset it", replace(hub, is_offline=True))
    assert requests == []


def test_a_proxy_is_asked_in_place_of_the_hub(serve, gpt2, monkeypatch):
    """Behind a proxy, the hub itself does not accept connections."""
    hub, _ = serve(gpt2=gpt2)
    monkeypatch.setenv("https_proxy", hub.endpoint)
    assert is_reachable("https://huggingface.invalid")
    monkeypatch.setenv("https_proxy", NOWHERE)
    assert not is_reachable("https://huggingface.invalid")


@pytest.mark.parametrize("name", ["gpt2", "owner/model", "Qwen/Qwen3-0.6B", "a_b/c.d-e"])
def test_names_of_the_hub_are_known(name):
    """A model has an owner, unless it is an old one."""
    assert is_hub_name(name)


@pytest.mark.parametrize(
    "name", ["a/b/c", "a/../b", "../b", "/a", "a/", "a\n", "-a", "a--b", "a.git", "é", "x" * 97]
)
def test_other_names_are_not_of_the_hub(name):
    """They could be paths, or the hub would not accept them."""
    assert not is_hub_name(name)
