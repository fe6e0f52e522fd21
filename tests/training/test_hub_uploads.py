"""Pushing while training: the safe files alone, and checkpoints only if they are asked for."""

import pytest
from huggingface_hub import constants
from pydantic import ValidationError

from tests.fake_hub import READER
from tests.tiny_run import train_tiny
from textvae.errors import ConfigError, OutputError
from textvae.settings.training import TrainingSettings
from textvae.training.hub_uploads import HubUploads, check_uploads
from textvae.vae import TextVAE

NAME = "me/tiny"


def options(**changes):
    return {"push_to_hub": True, "hub_model_id": NAME, "hub_always_push": True, **changes}


@pytest.fixture
def checkpoint(tiny_run, tmp_path):
    """A checkpoint as training writes it, as far as a push reads it."""
    folder = tmp_path / "run" / "checkpoint-3"
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    vae.bundle.model.save_pretrained(folder)
    vae.bundle.tokenizer.save_pretrained(folder)
    best = f'{{"best_model_checkpoint": "{folder}", "best_global_step": 3}}'
    (folder / "trainer_state.json").write_text(best)
    for name in ("checksums.json", "textvae_state.json"):
        (folder / name).write_text("{}")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).write_bytes(b"a state")
    return folder


def test_a_run_is_pushed_while_it_trains_and_at_its_end(hub, tmp_path):
    """The last commit is the finished run; the corpus and pickles stay here in all of them."""
    vae = train_tiny(tmp_path / "run", training=options(steps=6))
    repository = hub.repositories[NAME]
    assert repository.messages[1:-1] == [
        "Training in progress, step 3",
        "Training in progress, step 6",
    ]
    assert repository.messages[-1] == "The trained model"
    for files in list(repository.commits.values())[1:]:
        kinds = (".arrow", ".bin", ".pt", ".pth")
        assert not [name for name in files if name.endswith(kinds)]
        assert {"model.safetensors", "README.md", "settings.yaml"} <= files.keys()
        assert not [name for name in files if str(tmp_path).encode() in files[name]]
    first = list(repository.commits.values())[1]
    assert b"not finished:** this is the model after step 3" in first["README.md"]
    assert b"not finished" not in repository.files()["README.md"]
    assert TextVAE.from_pretrained(NAME, "cpu").generate(2, seed=1) == vae.generate(2, seed=1)


@pytest.mark.parametrize(
    ("strategy", "folder"),
    [
        ("every_save", None),
        ("checkpoint", "last-checkpoint"),
        ("all_checkpoints", "checkpoint-3"),
    ],
)
def test_a_checkpoint_is_pushed_only_if_the_strategy_says_so(
    hub, tiny_run, lstm, checkpoint, strategy, folder
):
    """Without the path of this machine that Trainer writes into it."""
    from textvae.runs.run import Run

    settings = TrainingSettings(**options(hub_strategy=strategy))
    uploads = HubUploads(Run(tiny_run), lstm.bundle, settings)
    uploads.open()
    uploads.push_checkpoint(checkpoint)
    uploads.close()
    files = hub.repositories[NAME].files()
    states = {name.partition("/")[0] for name in files if name.endswith("optimizer.pt")}
    assert states == ({folder} if folder else set())
    assert not [name for name in files if str(checkpoint.parent).encode() in files[name]]


def test_a_push_that_fails_during_training_is_a_warning(hub, tiny_run, lstm, checkpoint, capsys):
    """The run goes on."""
    from textvae.runs.run import Run

    uploads = HubUploads(Run(tiny_run), lstm.bundle, TrainingSettings(**options()))
    uploads.open()
    hub.repositories.clear()
    uploads.push_checkpoint(checkpoint)
    uploads.close()
    assert "warning: me/tiny is not shown to this account" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_copied_is_a_warning(
    hub, tiny_run, lstm, checkpoint, capsys, monkeypatch
):
    """As where the disk of temporary files is full; nothing of the copy is left there."""
    from textvae.runs.run import Run

    folders = []

    def fail(source, target):
        folders.append(target.parent)
        raise OSError(28, "No space left on device")

    uploads = HubUploads(Run(tiny_run), lstm.bundle, TrainingSettings(**options()))
    uploads.open()
    monkeypatch.setattr("textvae.training.hub_uploads.shutil.copyfile", fail)
    uploads.push_checkpoint(checkpoint)
    uploads.close()
    printed = capsys.readouterr().err
    assert f"warning: {NAME} gets no checkpoint now" in printed
    assert "No space left on device" in printed
    assert not folders[0].exists()


@pytest.mark.parametrize("token", ["hf_wrong", ""])
def test_a_run_that_could_not_be_pushed_is_refused_before_its_corpus_is_read(
    hub, tmp_path, monkeypatch, token
):
    """No run folder and no repository is left behind."""
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(OutputError, match=r"me/tiny .*log in with `hf auth login`"):
        train_tiny(tmp_path / "run", training=options())
    assert not (tmp_path / "run").exists()
    assert hub.repositories == {}


def test_a_run_without_a_network_is_refused(hub, tmp_path, monkeypatch):
    """As long as it should be pushed."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutputError, match="HF_HUB_OFFLINE is set"):
        check_uploads(TrainingSettings(**options()), tmp_path)
    check_uploads(TrainingSettings(), tmp_path)


def test_a_user_without_rights_is_refused_when_the_repository_is_opened(hub, tiny_run, lstm):
    """Before the training begins."""
    from textvae.runs.run import Run

    uploads = HubUploads(
        Run(tiny_run), lstm.bundle, TrainingSettings(**options(hub_model_id="other/model"))
    )
    with pytest.raises(OutputError, match="other/model refuses the upload"):
        uploads.open()


@pytest.mark.parametrize("name", ["hub_model_id", "hub_revision"])
def test_a_setting_of_a_push_without_a_push_is_refused(name):
    """It would have no effect."""
    with pytest.raises((ConfigError, ValidationError), match=f"training.{name} = 'me/x' has no"):
        TrainingSettings(**{name: "me/x"})


def test_a_repository_has_the_name_of_the_run_folder_by_default(hub, tiny_run, lstm):
    """As Trainer has it."""
    from textvae.runs.run import Run

    uploads = HubUploads(Run(tiny_run), lstm.bundle, TrainingSettings(push_to_hub=True))
    uploads.open()
    assert uploads.repository == "me/tiny"
    assert READER not in hub.requests
