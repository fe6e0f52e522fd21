"""Pushing to the hub: what is uploaded, where to, and what is refused without leaving anything."""

import json
import shutil
from typing import Any

import pytest
from huggingface_hub import ModelCard, constants

from tests.fake_hub import READER
from textvae.cli.main import main
from textvae.errors import ConfigError, OutputError
from textvae.runs.fitted import fitted_path, save_fitted
from textvae.runs.run import find_foreign_entries
from textvae.vae import TextVAE

NAME = "me/tiny"


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A run with a fitted direction, an index and what must stay here; tests only read it."""
    folder = shutil.copytree(tiny_run, tmp_path_factory.mktemp("pushed") / "run")
    bundle = TextVAE.from_pretrained(folder, "cpu").bundle
    for kind in ("attribute", "index"):
        save_fitted(fitted_path(folder, kind, "default"), bundle, kind, {}, {})
    (folder / "fitted" / "index" / "default" / "rows.arrow").write_bytes(b"a sentence")
    (folder / "training_args.bin").write_bytes(b"a pickle")
    (folder / "checkpoint-3").mkdir()
    (folder / "checkpoint-3" / "optimizer.pt").write_bytes(b"a pickle")
    return folder


@pytest.fixture(scope="module")
def vae(run):
    return TextVAE.from_pretrained(run, "cpu")


def test_a_pushed_run_is_loaded_by_its_name_with_what_was_fitted_on_it(hub, vae, run):
    """The address is that of its page, and the card's snippet has its name."""
    assert vae.push_to_hub(NAME) == f"{hub.endpoint}/{NAME}"
    loaded = TextVAE.from_pretrained(NAME, "cpu")
    assert loaded.generate(3, seed=1) == vae.generate(3, seed=1)
    assert fitted_path(loaded.folder, "attribute", "default").is_dir()
    card = hub.repositories[NAME].files()["README.md"].decode()
    assert f'TextVAE.from_pretrained("{NAME}")' in card


def test_neither_corpus_nor_pickles_nor_texts_nor_local_paths_are_uploaded(hub, vae, run):
    """Every file is one that a run may have, and none of them has a path of this machine."""
    vae.push_to_hub(NAME)
    files = hub.repositories[NAME].files()
    assert {"README.md", "config.json", "model.safetensors", "settings.yaml"} <= files.keys()
    kinds = (".arrow", ".faiss", ".bin", ".pt", ".pth")
    assert not [name for name in files if name.endswith(kinds) or name.startswith("checkpoint")]
    for name, content in files.items():
        assert str(run.parent).encode() not in content, name


def test_an_index_is_uploaded_if_it_is_asked_for(hub, vae):
    """It holds the sentences themselves."""
    vae.push_to_hub(NAME, with_indices=True)
    files = hub.repositories[NAME].files()
    assert files["fitted/index/default/rows.arrow"] == b"a sentence"


def test_pushing_again_replaces_the_model_and_keeps_the_files_of_the_owner(hub, vae, lstm):
    """Records and fits of the earlier model would not belong to the new one."""
    vae.push_to_hub(NAME)
    repository = hub.repositories[NAME]
    repository.commit("main", {**repository.files(), "notes.md": b"mine"})
    lstm.push_to_hub(NAME)
    files = repository.files()
    assert files["notes.md"] == b"mine"
    assert "model.safetensors" in files
    assert not [name for name in files if name.startswith(("fitted/", "settings"))]


def test_a_branch_is_created_and_the_main_branch_stays(hub, vae):
    """The address names the branch."""
    address = vae.push_to_hub(NAME, revision="v1", commit_message="First")
    repository = hub.repositories[NAME]
    assert address == f"{hub.endpoint}/{NAME}/tree/v1"
    assert "model.safetensors" in repository.files("v1")
    assert "model.safetensors" not in repository.files("main")
    assert repository.messages[-1] == "First"


def test_a_pull_request_goes_to_a_repository_of_somebody_else(hub, vae):
    """Its main branch stays, and a repository that does not exist is not created."""
    hub.add("other/model", {"README.md": b"theirs"})
    address = vae.push_to_hub("other/model", create_pr=True)
    repository = hub.repositories["other/model"]
    assert address == f"{hub.endpoint}/other/model/discussions/1"
    assert repository.files() == {"README.md": b"theirs"}
    assert "model.safetensors" in repository.files("refs/pr/1")
    with pytest.raises(OutputError, match="other/none is not shown to this account"):
        vae.push_to_hub("other/none", create_pr=True)
    assert "other/none" not in hub.repositories


def test_a_private_repository_is_private_and_a_public_one_is_refused(hub, vae):
    """Otherwise the model would be public without the user knowing."""
    vae.push_to_hub(NAME, private=True)
    assert hub.repositories[NAME].is_private
    hub.add("me/public", {})
    with pytest.raises(OutputError, match="already exists and is public"):
        vae.push_to_hub("me/public", private=True)
    assert hub.repositories["me/public"].files() == {}


@pytest.mark.parametrize(
    ("name", "token", "message"),
    [
        (NAME, False, "log in with `hf auth login`"),
        (NAME, "hf_wrong", "log in with `hf auth login`"),
        (NAME, READER, "refuses the upload: this account, or its token, may not write there"),
        ("other/model", None, "You don't have the rights to write to other.*--pull-request"),
    ],
)
def test_without_rights_nothing_is_uploaded(hub, vae, monkeypatch, name, token, message):
    """The message says what the hub says, and how to get the rights."""
    with pytest.raises(OutputError, match=message):
        vae.push_to_hub(name, token=token)
    assert hub.repositories == {}


def test_a_license_that_the_hub_does_not_know_is_refused_with_its_reason(hub, vae):
    """Before the repository is created."""
    with pytest.raises(OutputError, match=r"license.* must be one of"):
        vae.push_to_hub(NAME, license="forbidden")
    assert hub.repositories == {}


@pytest.mark.parametrize("is_offline", [True, False])
def test_without_a_network_the_push_is_refused(hub, vae, monkeypatch, is_offline):
    """At once, with the reason."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    reason = "HF_HUB_OFFLINE is set. Unset it" if is_offline else "cannot be reached. Connect"
    with pytest.raises(OutputError, match=reason):
        vae.push_to_hub(NAME)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a b", {}, "repository = 'a b': expected OWNER/NAME"),
        (NAME, {"revision": "a b"}, "revision = 'a b': expected the name of a branch"),
        (NAME, {"license": "My License"}, "card.license = 'My License': expected an identifier"),
        (NAME, {"language": "English"}, "card.language = 'English': expected ISO 639 codes"),
        (NAME, {"colour": "red"}, "card.colour is not a setting"),
        (NAME, {"private": "no"}, "private = 'no': expected True or False"),
        (NAME, {"create_pr": 1}, "create_pr = 1: expected True or False"),
        (NAME, {"with_indices": "no"}, "with_indices = 'no': expected True or False"),
        (NAME, {"merge": "no"}, "merge = 'no': expected True or False"),
        (NAME, {"create_pr": True, "revision": "x"}, "revision = 'x': a pull request has a branch"),
    ],
)
def test_wrong_arguments_are_refused_before_the_hub_is_asked(hub, vae, name, options, message):
    """What came, what was expected."""
    with pytest.raises(ConfigError, match=message):
        vae.push_to_hub(name, **options)
    assert hub.requests == []


def test_the_verb_pushes_and_prints_the_address(hub, run, capsys):
    """And every verb that takes a run takes the name of the repository."""
    words = ["--license", "mit", "--language", "en,de", "--private", "--json"]
    assert main(["push", str(run), NAME, *words]) == 0
    assert json.loads(capsys.readouterr().out) == {"address": f"{hub.endpoint}/{NAME}"}
    data: Any = ModelCard(hub.repositories[NAME].files()["README.md"].decode()).data
    assert (data.license, data.language) == ("mit", ["en", "de"])
    assert main(["generate", NAME, "-n", "2", "--revision", "main", "--seed", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_wrong_push_exits_with_two_and_one_line(hub, run, capsys):
    """As all wrong input."""
    assert main(["push", str(run), "other/model"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("textvae push: other/model refuses the upload")


def test_a_repository_downloaded_as_a_folder_is_a_run(hub, vae, tmp_path):
    """With nothing in it that does not belong to one."""
    vae.push_to_hub(NAME)
    for name, content in hub.repositories[NAME].files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert find_foreign_entries(tmp_path) == [".gitattributes"]
    assert TextVAE.from_pretrained(tmp_path, "cpu").latent_dim == vae.latent_dim
