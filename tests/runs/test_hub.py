"""Runs of the hub: a name in place of a folder, and what is refused, with and without a network."""

import shutil
import time

import pytest
from huggingface_hub import constants

from tests.fake_hub import READER
from textvae.errors import CheckpointError
from textvae.runs.hub import locate_run
from textvae.vae import TextVAE

NAME = "me/tiny"
NOWHERE = "http://127.0.0.1:9"  # a port on which nothing listens


@pytest.fixture(scope="module")
def published(tiny_run, tmp_path_factory):
    """A run as it is published, and in the same folder files that no run has."""
    folder = tmp_path_factory.mktemp("published") / "run"
    TextVAE.from_pretrained(tiny_run, "cpu").save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "model.py").write_text("raise SystemExit")
    (folder / "checkpoint-3").mkdir()
    (folder / "checkpoint-3" / "optimizer.pt").write_bytes(b"a pickle")
    return folder


@pytest.fixture
def served(hub, published):
    """The hub with a run."""
    hub.add(NAME, published)
    return hub


def refused(name, message, **options):
    """Check that a run is refused with a message."""
    with pytest.raises(CheckpointError, match=message):
        locate_run(name, **options)


def test_a_run_of_the_hub_writes_what_the_run_itself_writes(served, tiny_run):
    """By its name alone."""
    local = TextVAE.from_pretrained(tiny_run, "cpu")
    remote = TextVAE.from_pretrained(NAME, "cpu")
    assert remote.generate(3, seed=5) == local.generate(3, seed=5)


def test_neither_code_nor_pickles_nor_checkpoints_are_downloaded(served):
    """Only the files that a run publishes."""
    folder = locate_run(NAME)
    names = {path.name for path in folder.rglob("*")}
    assert {"model.safetensors", "settings.yaml", "README.md"} <= names
    assert not {"pytorch_model.bin", "model.py", "checkpoint-3"} & names


def test_a_revision_is_loaded_as_it_was(served, published, tmp_path):
    """A branch and a commit keep their files, and the main branch has the newest ones."""
    repository = served.repositories[NAME]
    first = repository.branches["main"]
    repository.branches["old"] = first
    changed = {**repository.files(), "README.md": b"changed"}
    second = repository.commit("main", changed)
    for revision, commit in ((None, second), ("main", second), ("old", first), (first, first)):
        assert locate_run(NAME, revision).name == commit
    assert (locate_run(NAME) / "README.md").read_text() == "changed"


def test_a_new_commit_is_downloaded(served):
    """The copy in the cache is not used as long as the hub has another one."""
    before = locate_run(NAME)
    repository = served.repositories[NAME]
    repository.commit("main", {**repository.files(), "README.md": b"changed"})
    assert (locate_run(NAME) / "README.md").read_text() == "changed"
    assert (before / "README.md").read_text() != "changed"


def test_a_commit_in_the_cache_is_used_without_a_request(served):
    """It cannot change."""
    commit = locate_run(NAME).name
    locate_run(NAME, commit)
    served.requests.clear()
    assert locate_run(NAME, commit).name == commit
    assert served.requests == []


@pytest.mark.parametrize("is_offline", [False, True])
def test_without_a_network_the_cache_is_used_and_a_note_says_so(
    served, monkeypatch, capsys, is_offline
):
    """Whether the network is missing or switched off."""
    folder = locate_run(NAME)
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    assert locate_run(NAME) == folder
    assert f"so {NAME} is read from the cache (commit {folder.name[:7]})" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("is_offline", "message"),
    [
        (False, "127.0.0.1:9 cannot be reached.* or connect to the network"),
        (True, "HF_HUB_OFFLINE is set.* or unset it"),
    ],
)
def test_without_a_network_and_a_copy_a_name_is_refused_at_once(
    served, monkeypatch, is_offline, message
):
    """The message says that neither a folder nor a cached model has this name."""
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    start = time.monotonic()
    refused(NAME, f"me/tiny: there is no such folder, and no such model in the cache.*{message}")
    assert time.monotonic() - start < 2


def test_an_incomplete_copy_does_not_count_as_cached(served, monkeypatch):
    """It would fail later, with a message about a file that the user has never seen."""
    (locate_run(NAME) / "model.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused(NAME, "no such model in the cache")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("RepoNotFound", "is not a model that the hub shows you, nor a local folder"),
        ("GatedRepo", "is gated: accept its conditions at .*/me/closed, and log in"),
    ],
)
def test_a_repository_that_the_hub_does_not_show_is_refused(hub, error, message):
    """It is unknown, or its owner has not admitted the user."""
    hub.add("me/closed", error)
    refused("me/closed", f"me/closed {message}")


def test_a_private_repository_needs_a_token(hub, published, monkeypatch):
    """The one of the argument, or that of the login."""
    hub.add(NAME, published, is_private=True)
    monkeypatch.delenv("HF_TOKEN")
    refused(NAME, "if it is private, log in", token=False)
    assert locate_run(NAME, token=READER).is_dir()


def test_a_mistyped_folder_is_answered_with_its_neighbors(hub, tmp_path, monkeypatch):
    """`runs/demo` could be the name of a repository."""
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    refused("runs/dmeo", "nor a local folder.* The folder runs holds demo")


def test_an_existing_folder_is_never_taken_for_a_name(served, tiny_run, tmp_path, monkeypatch):
    """The hub is not even asked; a revision is refused, since a folder has none."""
    shutil.copytree(tiny_run, tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    served.requests.clear()
    assert TextVAE.from_pretrained(NAME, "cpu").folder == locate_run(NAME)
    assert not locate_run(NAME).is_absolute()
    refused(NAME, "is a local folder, which has no revision 'main'", revision="main")
    assert served.requests == []


@pytest.mark.parametrize("name", ["demo", "./me/tiny", "me/tiny/", "a/b/c", "/me/tiny", "me/a--b"])
def test_other_names_are_folders(hub, name):
    """The hub is not asked for a name that it cannot have."""
    with pytest.raises(CheckpointError, match="there is no such folder; expected a folder"):
        TextVAE.from_pretrained(name, "cpu")
    assert hub.requests == []


@pytest.mark.parametrize("revision", ["v9", "../../other", "a b", ""])
def test_an_unknown_revision_is_refused(served, revision):
    """Also one that would be a path in the cache."""
    refused(NAME, "me/tiny has no revision", revision=revision)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config.json": b'{"model_type": "bert"}', "model.safetensors": b""}, "holds a 'bert'"),
        ({"config.json": b"[]", "model.safetensors": b""}, "is not the config of a model"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "no model.safetensors .*is a pickle"),
        ({"README.md": b""}, "holds no config.json and no model.safetensors"),
    ],
)
def test_a_repository_of_something_else_is_refused_before_its_weights_are_downloaded(
    hub, files, message
):
    """The message says what it holds."""
    hub.add("me/other", files)
    refused("me/other", message)
    assert not [path for path in hub.requests if path.endswith(("safetensors", ".bin"))]
