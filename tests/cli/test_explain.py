"""`textvae settings`: every setting is explained, and unknown sections are refused."""

import json

import pytest

from textvae.cli.main import main
from textvae.settings.reference import SECTIONS, describe_section, find_keys
from textvae.settings.run import Settings

RECORDS = [record for section in SECTIONS for record in describe_section(section)]


def list_keys(shown: str) -> list[str]:
    return [json.loads(line)["key"] for line in shown.splitlines()]


def test_the_sections_are_those_of_the_settings():
    """In the same order, with the first line of each docstring."""
    assert list(SECTIONS) == list(Settings.model_fields)
    for name, section in SECTIONS.items():
        settings = type(getattr(Settings(), name))
        assert section.place == f"{settings.__module__}:{settings.__name__}"
        assert (settings.__doc__ or "").strip().splitlines()[0] == section.summary


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.title)
def test_every_setting_has_a_description(record):
    """It says what the setting means; the type and the default are there, too."""
    for setting in record.settings:
        assert setting.description, setting.key
        assert setting.type, setting.key
        assert setting.default, setting.key


def test_every_default_is_that_of_the_settings_class(capsys):
    """The values are written as in YAML."""
    assert main(["settings", "training", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    defaults = {record["key"]: record["default"] for record in records}
    assert defaults["training.learning_rate"] == str(Settings().training.learning_rate)
    assert defaults["training.betas"] == "[0.9, 0.98]"
    assert defaults["training.epochs"] == "none"
    assert defaults.keys() == {
        f"training.{name}" for name in type(Settings().training).model_fields
    }


def test_without_a_section_the_sections_are_listed(capsys):
    """The text says how to see the settings of one."""
    assert main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert all(
        f"{name} " in shown and section.summary in shown for name, section in SECTIONS.items()
    )
    assert "textvae settings SECTION" in shown


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("data", "data.held_out"),
        ("model", "model.decoder.dropout"),
        ("model.decoder", "model.decoder.dropout"),
        ("model.encoder.transformer", "model.encoder.heads"),
        ("objective", "objective.techniques.free_bits.floor"),
        ("objective.techniques.target_kl", "objective.techniques.target_kl.nats"),
        ("target_kl", "objective.techniques.target_kl.nats"),
    ],
)
def test_a_section_a_part_or_a_technique_is_explained(section, key, capsys):
    """As text and as JSON, one object per setting."""
    assert main(["settings", section, "--json"]) == 0
    assert key in list_keys(capsys.readouterr().out)
    assert main(["settings", section]) == 0
    assert f"  {key}  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "sections"),
    [("training.steps", {"training"}), ("model.decoder.hidden", {"model.decoder"})],
)
def test_a_single_setting_is_explained(key, sections, capsys):
    """One of a part is shown for every kind that has it."""
    assert main(["settings", key, "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["key"] for record in records} == {key}
    assert {record["section"] for record in records} == sections


def test_a_misspelled_setting_is_refused_with_the_right_name(capsys):
    """The message has the most similar setting of the section."""
    assert main(["settings", "training.stepz"]) == 2
    assert "did you mean 'training.steps'?" in capsys.readouterr().err


def test_a_kind_alone_has_its_own_settings_only(capsys):
    """`textvae settings model.encoder.transformer` leaves out those of an LSTM."""
    assert main(["settings", "model.encoder.transformer", "--json"]) == 0
    keys = list_keys(capsys.readouterr().out)
    assert "model.encoder.heads" in keys
    assert "model.encoder.bidirectional" not in keys


@pytest.mark.parametrize(
    ("section", "nearest"),
    [("modle", "model"), ("trainig", "training"), ("model.decode", "model.decoder")],
)
def test_an_unknown_section_is_refused_with_the_nearest(section, nearest, capsys):
    """The message lists all of them."""
    assert main(["settings", section]) == 2
    message = capsys.readouterr().err
    assert f"did you mean {nearest!r}?" in message
    assert "Choose from data, tokenizer, model, objective, training, card" in message


def test_a_setting_is_found_by_its_name_and_by_that_of_other_trainers():
    """Unknown names have no key."""
    assert find_keys("epochs") == ["training.epochs"]
    assert find_keys("num_epochs") == ["training.epochs"]
    assert find_keys("nonsense") == []
