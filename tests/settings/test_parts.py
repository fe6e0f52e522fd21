"""Settings of interchangeable parts: which kind is chosen, and which settings it gets."""

from typing import Any

import pytest

from tests.tiny_run import train_tiny
from textvae.errors import ConfigError
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS
from textvae.objective.techniques import TECHNIQUES
from textvae.settings.reading import read_settings
from textvae.settings.reference import DEFAULT_KINDS


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


@pytest.mark.parametrize("nothing", ["{}", "null", "on"])
def test_a_technique_without_settings_has_its_defaults(nothing):
    """An empty mapping, an empty value in a file, and `on` mean the same."""
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


def test_settings_without_a_kind_are_those_of_the_first_kind():
    """Another kind replaces them, as if the kind had been named."""
    tables: dict[str, Any] = {
        "encoder": ENCODERS,
        "decoder": DECODERS,
        "posterior": POSTERIORS,
        "prior": PRIORS,
    }
    assert {part: next(iter(table)) for part, table in tables.items()} == DEFAULT_KINDS
    base = {"model": {"decoder": {"hidden": 512}}}
    changed = read_settings(base=base, overrides=["model.decoder.kind=gru"]).model.decoder
    assert changed == read_settings(overrides=["model.decoder.kind=gru"]).model.decoder
    same = read_settings(base=base, overrides=["model.decoder.kind=lstm"]).model.decoder
    assert same.model_dump()["hidden"] == 512


@pytest.mark.parametrize("architecture", ["fnet", "t5", "xlnet"])
def test_an_architecture_that_does_not_encode_texts_is_refused(tmp_path, architecture):
    """Its states depend on padding, or it is no encoder; nothing is written."""
    settings = {"kind": "transformer", "architecture": architecture, "hidden": 16, "heads": 2}
    with pytest.raises(ConfigError, match=r"model\.encoder\.architecture"):
        train_tiny(tmp_path / "run", model={"encoder": settings})
    assert not (tmp_path / "run").exists()


def test_text_of_a_part_is_taken_as_it_is_written():
    """A name may look like a number, or have a sign that begins a comment in YAML."""
    settings = read_settings(
        overrides=[
            "model.encoder.vectors=my #1.vec",
            "model.decoder.kind=pretrained",
            "model.decoder.name=12345",
            "model.decoder.revision=1.0",
        ]
    )
    decoder = settings.model.decoder.model_dump()
    assert settings.model.encoder.model_dump()["vectors"] == "my #1.vec"
    assert (decoder["name"], decoder["revision"]) == ("12345", "1.0")


def test_a_prefix_that_is_not_used_needs_no_positions():
    """Only the conditioning `prefix` takes some."""
    overrides = [
        "model.decoder.kind=transformer",
        "model.decoder.positions=140",
        "data.max_tokens=138",
    ]
    read_settings(overrides=[*overrides, "model.conditioning=[embedding,output]"])
    with pytest.raises(ConfigError, match="which need 144"):
        read_settings(overrides=overrides)
