"""What is checked before torch is imported: overrides with what they override, and pretrained models."""

import pytest

from textvae.cli.main import main
from textvae.cli.training_checks import check_overrides, is_setting
from textvae.errors import ConfigError
from textvae.settings.presets import read_preset


@pytest.fixture(autouse=True)
def _without_network(monkeypatch, tmp_path):
    """The hub cannot be asked, and the cache is empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def write(folder, text):
    """Return the name of a YAML file of settings."""
    file = folder / "settings.yaml"
    file.write_text(text)
    return str(file)


def test_overrides_are_checked_together_with_the_file_that_they_change(tmp_path):
    """Alone, the name of a repository has no effect; with the file's push, it has."""
    overrides = ["training.hub_model_id=me/model"]
    with pytest.raises(ConfigError, match="because nothing is pushed"):
        check_overrides(overrides)
    check_overrides(overrides, write(tmp_path, "training: {push_to_hub: true}"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("training.steps=3", True),
        ("objective=language_model", True),
        ("epochs=3", True),
        ("year=2020/*.txt", False),
        ("https://host/data.txt?download=true", False),
        ("captions", False),
    ],
)
def test_a_setting_is_told_from_a_corpus_with_an_equals_sign_in_its_name(word, expected):
    """Folders are called so where data is partitioned, and addresses have queries."""
    assert is_setting(word) is expected


@pytest.mark.parametrize(
    "text", ["training: {step: 3}", "training: 3", "[", "- 1", "", "training:", "model: lstm"]
)
def test_a_wrong_file_is_left_to_whoever_reads_it(text, tmp_path):
    """That message has the line of the file; a file without settings is right."""
    check_overrides(["training.steps=3"], write(tmp_path, text))


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        ([], "model.encoder.name = 'sentence-transformers/all-MiniLM-L6-v2'"),
        (["model.encoder.name=a/b"], "model.encoder.name = 'a/b'"),
        (["model.encoder.kind=lstm"], "model.decoder.name = 'HuggingFaceTB/SmolLM2-135M'"),
        (["model.encoder=lstm"], "model.decoder.name"),
        (["objective=language_model"], "model.decoder.name"),
    ],
)
def test_a_pretrained_model_that_cannot_be_downloaded_is_refused(overrides, setting):
    """The names are those of the preset, or those that replace them."""
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set") as caught:
        check_overrides(overrides, preset=read_preset("pretrained"))
    assert str(caught.value).startswith(setting)


def test_a_local_folder_needs_no_network(tmp_path):
    """Its content is checked when it is read."""
    names = [f"model.{role}.name={tmp_path}" for role in ("encoder", "decoder")]
    check_overrides(names, preset=read_preset("pretrained"))


@pytest.mark.parametrize(
    "words",
    [
        ["training.steps=3", "missing.txt"],
        ["missing.txt", "training.steps=3"],
        ["training.steps=3", "missing.txt", "training.seed=2"],
        ["--quiet", "training.steps=3", "missing.txt"],
        ["training.steps=3", "--quiet", "missing.txt"],
        ["objective=language_model", "missing.txt"],
    ],
)
@pytest.mark.parametrize("verb", ["train", "tune"])
def test_settings_may_stand_before_the_corpus(words, verb, tmp_path, capsys):
    """The parser takes the first word for the corpus, whatever it is."""
    assert main([verb, "--output", str(tmp_path / "run"), *words]) == 2
    assert "missing.txt: there is no such file or folder" in capsys.readouterr().err
