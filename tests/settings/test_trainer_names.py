"""The names of transformers' Trainer: each is answered with what it is called here."""

import dataclasses
import inspect
from typing import Any

import pytest
from transformers import Trainer, TrainingArguments

import textvae
from textvae.cli.main import main
from textvae.errors import ConfigError
from textvae.settings import trainer_names
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings
from textvae.settings.trainer_names import ARGUMENTS, SETTINGS, TRAINER_NAMES, UNUSED
from textvae.settings.training import TrainingSettings

OWN = set(Settings.model_fields) | {"callbacks"}  # `model` and `callbacks` mean the same in both
FIELDS = {field.name for field in dataclasses.fields(TrainingArguments)}
PARAMETERS = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
# Names that stand for another one of ours.
OTHER = sorted(SETTINGS.keys() - TrainingSettings.model_fields.keys())


def test_every_argument_of_trainer_is_known():
    """A new release of transformers may add some; then the table needs another line."""
    assert sorted((FIELDS | PARAMETERS) - OWN - TRAINER_NAMES.keys()) == []


def test_a_name_is_in_one_table():
    """It is a setting, an argument, or nothing."""
    assert len(TRAINER_NAMES) == len(SETTINGS) + len(ARGUMENTS) + len(UNUSED)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_in_the_answers_exist(name):
    """Each answer begins with the dotted key of a setting."""
    section, key = SETTINGS[name].split(" ")[0].rstrip(",;:").split(".")[:2]
    assert key in getattr(Settings(), section).__class__.model_fields


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_in_the_answers_exist(name):
    """Each answer begins with an argument of `train`, or names a section of settings."""
    word = ARGUMENTS[name].split("=")[0].split(" ")[0].rstrip(",")
    known = {*inspect.signature(textvae.train).parameters, *Settings.model_fields, "the"}
    assert word in known


@pytest.mark.parametrize("name", sorted(TRAINER_NAMES))
def test_a_name_as_a_keyword_argument_is_answered(name, tmp_path):
    """Nothing is written."""
    train: Any = textvae.train
    with pytest.raises(
        ConfigError, match=f"^{name} is not a setting: transformers' Trainer"
    ) as info:
        train("captions", output=tmp_path / "run", **{name: 3})
    assert (SETTINGS | ARGUMENTS).get(name, "nothing here corresponds to it") in str(info.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OTHER)
def test_a_name_as_a_setting_is_answered(name):
    """As an override, as a mapping, and without its section."""
    for arguments in ({"overrides": [f"training.{name}=3"]}, {"training": {name: 3}}):
        with pytest.raises(ConfigError) as info:
            read_settings(**arguments)
        assert f"training.{name} is not a setting" in str(info.value)
        assert SETTINGS[name] in str(info.value)
    with pytest.raises(ConfigError, match=f"^{name} is not a setting: transformers' Trainer"):
        read_settings(overrides=[f"{name}=3"])


def test_a_name_in_a_file_is_answered_with_its_line(tmp_path):
    """All other wrong settings of the file are listed as well."""
    file = tmp_path / "config.yaml"
    file.write_text("training:\n  num_train_epochs: 3\n  stepz: 4\n")
    with pytest.raises(ConfigError) as info:
        read_settings(file)
    assert "config.yaml, line 2: training.num_train_epochs is not a setting" in str(info.value)
    assert "here it is training.epochs." in str(info.value)
    assert "training.stepz" in str(info.value)


@pytest.mark.parametrize("verb", ["train", "compare"])
@pytest.mark.parametrize("name", ["num_train_epochs", "per_device_train_batch_size", "optim"])
def test_a_name_as_an_option_is_answered(capsys, name, verb):
    """With underscores, as the scripts of transformers have them, and with hyphens."""
    answer = SETTINGS.get(name, "nothing here corresponds to it")
    for words in ([f"--{name}", "3"], [f"--{name.replace('_', '-')}=3"]):
        with pytest.raises(SystemExit) as info:
            main([verb, "captions", "--output", "run", *words])
        assert info.value.code == 2
        assert answer in capsys.readouterr().err


def test_other_verbs_do_not_answer_names_of_trainer(capsys):
    """Their options are not those of a training."""
    with pytest.raises(SystemExit):
        main(["generate", "run", "--learning-rate", "3"])
    assert "Trainer" not in capsys.readouterr().err


def test_an_own_setting_of_the_same_name_is_taken():
    """In its section, it is ours."""
    for name in sorted(SETTINGS.keys() & TrainingSettings.model_fields.keys()):
        value = getattr(TrainingSettings(), name)
        assert getattr(read_settings(training={name: value}).training, name) == value
    assert trainer_names.describe_trainer_option("--output") is None
