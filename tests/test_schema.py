"""Validation of settings: one message that lists every error."""

import pickle

import pytest

from textvae.cli.main import main
from textvae.errors import ConfigError, TextVAEError
from textvae.schema import validate_each
from textvae.settings.reading import read_settings

# Each override is wrong in its own way; the key is the one its line must name.
WRONG = {
    "data.label": "data.label=text",
    "data.normalise": "data.normalise=NFC",
    "model.latent_dim": "model.latent_dim=-3",
    "model.encoder.kind": "model.encoder=ltsm",
    "model.decoder.hidden": "model.decoder.hidden=0",
    "model.decoder.layer": "model.decoder.layer=2",
    "model.conditioning": "model.conditioning=[every_stop]",
    "objective.techniques.mmd": "objective.techniques.mmd=3",
    "objective.techniques.free_bits.floor": "objective.techniques.free_bits.floor=much",
    "training.betas.0": "training.betas=[2, 0.9]",
    "training.epoch": "training.epoch=1",
}


def messages_of(*overrides):
    with pytest.raises(ConfigError) as caught:
        read_settings(overrides=overrides)
    return caught.value.args


def test_every_wrong_setting_has_its_own_message():
    """The message of each setting is the one it has when it is the only wrong one."""
    together = messages_of(*WRONG.values())
    alone = [messages_of(override) for override in WRONG.values()]
    assert all(len(messages) == 1 for messages in alone)
    assert sorted(together) == sorted(message for (message,) in alone)


@pytest.mark.parametrize("key", WRONG)
def test_the_message_names_the_key(key):
    """The key is the dotted one that the user wrote."""
    (message,) = messages_of(WRONG[key])
    assert message.startswith(f"{key} ")


def test_unknown_techniques_are_all_listed():
    """Each has its own suggestion."""
    first, second = messages_of("objective.techniques.fre_bits={}", "objective.techniques.mdm={}")
    assert "did you mean 'free_bits'" in first
    assert "did you mean 'mmd'" in second


def test_one_error_is_one_line():
    """The text of a single error has no heading."""
    with pytest.raises(ConfigError) as caught:
        read_settings(overrides=["training.steps=-1"])
    assert str(caught.value) == (
        "training.steps = -1 does not fit: Input should be greater than 0."
    )


def test_several_errors_have_a_heading_and_one_line_each():
    """The lines are indented, so that they can be told from other output."""
    with pytest.raises(ConfigError) as caught:
        read_settings(overrides=["training.steps=-1", "model.encoder=ltsm"])
    heading, *lines = str(caught.value).splitlines()
    assert heading == "2 settings are wrong:"
    assert [line.split(" = ")[0] for line in lines] == ["  model.encoder.kind", "  training.steps"]


def test_a_value_of_several_allowed_types_has_one_message():
    """Pydantic reports an error for each of the types."""
    assert len(messages_of("objective.techniques.free_bits.floor=much")) == 1


def test_the_command_line_lists_all_errors_and_writes_nothing(tmp_path, capsys):
    """The exit code is that of wrong input."""
    output = tmp_path / "run"
    wrong = ["training.epoch=1", "model.latent_dim=-3"]
    assert main(["train", "captions", "--output", str(output), *wrong]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("textvae train: 2 settings are wrong:\n  model.latent_dim = -3")
    assert "\n  training.epoch is not a setting" in shown.err
    assert not output.exists()


def test_validate_each_collects_the_messages_of_all_entries():
    """The results are returned only if every entry is valid."""

    def validate(name, entry):
        if entry < 0:
            raise ConfigError(f"{name} is negative.")
        return entry + 1

    assert validate_each({"a": 1, "b": 2}, validate) == {"a": 2, "b": 3}
    with pytest.raises(ConfigError) as caught:
        validate_each({"a": -1, "b": 2, "c": -3}, validate)
    assert caught.value.args == ("a is negative.", "c is negative.")


def test_an_error_with_several_messages_survives_pickling():
    """Worker processes send their errors to the process that reports them."""
    error = pickle.loads(pickle.dumps(ConfigError("a is wrong.", "b is wrong.")))
    assert isinstance(error, TextVAEError)
    assert str(error) == "2 settings are wrong:\n  a is wrong.\n  b is wrong."
