"""Settings of interchangeable parts: which kind is chosen, and which settings it gets."""

from typing import Any

import pytest

from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.objective.techniques import TECHNIQUES
from textvae.settings.reading import read_settings


def encoder(*overrides, base=None):
    return read_settings(overrides=overrides, base=base).model.encoder


def techniques(*overrides, base=None):
    return read_settings(overrides=overrides, base=base).objective.techniques


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_a_bare_name_chooses_a_part(kind):
    """`model.encoder=gru` is short for its kind."""
    assert encoder(f"model.encoder={kind}") == encoder(f"model.encoder.kind={kind}")
    assert encoder(f"model.encoder={kind}").kind == kind


@pytest.mark.parametrize("kind", list(DECODERS))
def test_every_decoder_can_be_chosen_by_name(kind):
    """The settings accept every name in the decoders' table."""
    assert read_settings(overrides=[f"model.decoder={kind}"]).model.decoder.kind == kind


def test_switching_kind_drops_the_old_parts_settings():
    """A transformer does not get the LSTM's settings, which it would refuse."""
    base = {"model": {"encoder": {"kind": "lstm", "bidirectional": False, "embedding": 8}}}
    assert encoder("model.encoder.kind=transformer", base=base) == encoder(
        "model.encoder=transformer"
    )


def test_naming_the_same_kind_keeps_its_settings():
    """Only a different kind drops the settings."""
    base = {"model": {"encoder": {"kind": "gru", "hidden": 8}}}
    assert encoder("model.encoder.kind=gru", base=base).hidden == 8


def test_a_part_named_by_one_word_keeps_its_kind_when_a_setting_is_added():
    """`encoder: gru` in a file and `model.encoder.hidden=8` make a GRU of 8, not an LSTM."""
    chosen = encoder("model.encoder.hidden=8", base={"model": {"encoder": "gru"}})
    assert (chosen.kind, chosen.hidden) == ("gru", 8)


def test_the_order_of_kind_and_setting_on_the_command_line_does_not_matter():
    """A size that comes before the kind is not lost."""
    overrides = ["model.encoder.hidden=8", "model.encoder.kind=gru"]
    assert encoder(*overrides) == encoder(*reversed(overrides))


def test_naming_the_default_kind_keeps_settings_written_without_a_kind():
    """`encoder: {hidden: 8}` is an LSTM already, so naming the LSTM changes nothing."""
    base = {"model": {"encoder": {"hidden": 8}}}
    assert encoder("model.encoder.kind=lstm", base=base).hidden == 8


def test_there_are_default_techniques():
    """The default recipe does something against posterior collapse."""
    assert techniques()


def test_off_removes_a_default_technique_and_leaves_the_others():
    """`off` removes only the technique that it is written for."""
    default = techniques()
    for name in default:
        rest = {other: entry for other, entry in default.items() if other != name}
        assert techniques(f"objective.techniques.{name}=off") == rest


def test_adding_a_technique_keeps_the_default_ones():
    """Word dropout is added to the default recipe, and does not replace it."""
    added = techniques("objective.techniques.word_dropout.rate=0.1")
    assert set(added) == {"word_dropout", *techniques()}


def test_a_setting_of_a_default_technique_keeps_the_others():
    """Setting the KL target does not switch off the other techniques."""
    assert set(techniques("objective.techniques.target_kl.nats=3")) == set(techniques())


def test_techniques_come_in_the_order_of_their_table():
    """Corruption, floors, weights: the order in which the settings are written does not matter."""
    together = [name for name in TECHNIQUES if not TECHNIQUES[name].Settings(kind=name).replaces]
    entries: dict[str, Any] = {name: {} for name in reversed(together)}
    assert list(techniques(base={"objective": {"techniques": entries}})) == together


@pytest.mark.parametrize("nothing", ["{}", "", "on"])
def test_a_technique_without_settings_has_its_defaults(nothing):
    """An empty mapping, an empty value, and `on` mean the same."""
    chosen = techniques(f"objective.techniques.word_dropout={nothing}")
    assert chosen["word_dropout"] == TECHNIQUES["word_dropout"].Settings(kind="word_dropout")


def test_a_technique_switched_off_in_a_file_can_be_switched_on_again():
    """The settings of an override replace `off`."""
    base = {"objective": {"techniques": {"free_bits": "off"}}}
    chosen = techniques("objective.techniques.free_bits.floor=0.1", base=base)
    assert chosen["free_bits"].floor == 0.1


@pytest.mark.parametrize(
    ("before", "short", "long"),
    [
        ("model.encoder.hidden=99", "model.encoder=lstm", "model.encoder.kind=lstm"),
        ("model.encoder={kind: gru, hidden: 99}", "model.encoder=gru", "model.encoder.kind=gru"),
        ("model.encoder={kind: gru, hidden: 99}", "model.encoder=lstm", "model.encoder.kind=lstm"),
        (
            "objective.techniques.word_dropout.rate=0.5",
            "objective=language_model",
            "objective.kind=language_model",
        ),
    ],
)
def test_a_name_alone_is_short_for_its_kind(before, short, long):
    """Settings that were given before are kept, or dropped with an earlier kind."""
    assert read_settings(None, [before, short]) == read_settings(None, [before, long])


def test_switching_a_technique_on_keeps_its_settings():
    """They were given before."""
    settings = read_settings(
        None, ["objective.techniques.target_kl.nats=3", "objective.techniques.target_kl=on"]
    )
    assert settings.objective.techniques["target_kl"].nats == 3
