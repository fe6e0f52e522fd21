"""Settings that are refused: the message has the key, its value, and what was expected."""

import re

import pytest

from textvae.errors import ConfigError, TextVAEError, did_you_mean
from textvae.schema import choose
from textvae.settings.reading import read_settings


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainin.epochs=3", "trainin is not a setting: did you mean 'training'?"),
        ("training.epoch=3", "training.epoch is not a setting: did you mean 'epochs'?"),
        ("data.lower_case=true", "data.lower_case is not a setting: did you mean 'lowercase'?"),
        (
            "tokenizer.vocabsize=9",
            "tokenizer.vocabsize is not a setting: did you mean 'vocab_size'?",
        ),
        ("model.encodr.kind=gru", "model.encodr is not a setting: did you mean 'encoder'?"),
        ("model.encoder.hiden=3", "model.encoder.hiden is not a setting: did you mean 'hidden'?"),
        ("model.decoder.layer=3", "model.decoder.layer is not a setting: did you mean 'layers'?"),
        (
            "model.posterior.poling=max",
            "model.posterior.poling is not a setting: did you mean 'pooling'?",
        ),
        (
            "objective.technique.free_bits={}",
            "objective.technique is not a setting: did you mean 'techniques'?",
        ),
        (
            "objective.techniques.free_bits.flor=1",
            "techniques.free_bits.flor is not a setting: did you mean 'floor'?",
        ),
    ],
)
def test_a_misspelled_key_is_refused_with_the_nearest_known_one(override, words):
    """The message has the full dotted key, at every depth."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_settings(overrides=[override])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "model.encoder=ltsm",
            "model.encoder.kind = 'ltsm' is unknown: did you mean 'lstm'? Choose from gru, lstm",
        ),
        (
            "model.decoder.kind=transfomer",
            "model.decoder.kind = 'transfomer' is unknown: did you mean 'transformer'?",
        ),
        (
            "objective.techniques.fre_bits={}",
            "'fre_bits' is unknown: did you mean 'free_bits'? Choose from",
        ),
        (
            "tokenizer.kind=bpee",
            "tokenizer.kind = 'bpee' does not fit: did you mean 'bpe'? Input should be 'bpe', 'word'",
        ),
        (
            "data.normalize=NFX",
            "data.normalize = 'NFX' does not fit: did you mean 'NFD'? Input should be 'NFC'",
        ),
    ],
)
def test_a_misspelled_choice_is_refused_with_the_valid_ones(override, words):
    """The message lists the choices."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_settings(overrides=[override])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "training.epochs=many",
            "training.epochs = 'many' does not fit: Input should be a valid number",
        ),
        (
            "training.steps=2.5",
            "training.steps = 2.5 does not fit: Input should be a valid integer",
        ),
        ("training.steps=-1", "training.steps = -1 does not fit: Input should be greater than 0"),
        (
            "training.learning_rate=0",
            "training.learning_rate = 0 does not fit: Input should be greater than 0",
        ),
        ("training.learning_rate=.nan", "training.learning_rate = nan does not fit"),
        (
            "training.seed=-1",
            "training.seed = -1 does not fit: Input should be greater than or equal to 0",
        ),
        ("training.betas=[0.9]", "training.betas.1 = [0.9] does not fit: Field required"),
        (
            "model.latent_dim=-4",
            "model.latent_dim = -4 does not fit: Input should be greater than 0",
        ),
        ("training.epochs=", "training.epochs= has no value: write one, or training.epochs=null"),
        ("objective.techniques.free_bits=", "free_bits= has no value: write one, or on or off"),
        ("data.label_column= ", "data.label_column= has no value: write one"),
        (
            "model.latent_dim=null",
            "model.latent_dim = None does not fit: Input should be a valid integer",
        ),
        (
            "model.encoder.hidden=-3",
            "model.encoder.hidden = -3 does not fit: Input should be greater than 0",
        ),
        (
            "model.encoder=3",
            "model.encoder = 3 does not fit: give the name of a part, or a mapping of its",
        ),
        (
            "model.encoder.dropout=1.5",
            "model.encoder.dropout = 1.5 does not fit: Input should be less than 1",
        ),
        ("data.held_out=0.5", "data.held_out = 0.5 does not fit: Input should be less than 0.5"),
        (
            "data.max_tokens=0",
            "data.max_tokens = 0 does not fit: Input should be greater than or equal to 1",
        ),
        (
            "data.held_out={a: b}",
            "data.held_out = {'a': 'b'} does not fit: Input should be a valid number",
        ),
        (
            "objective.techniques=3",
            "objective.techniques = 3 does not fit: name each technique with its settings",
        ),
        (
            "objective.techniques.free_bits=3",
            "techniques.free_bits = 3 does not fit: give its settings, or off.",
        ),
        (
            "objective.techniques.word_dropout.rate=2",
            "word_dropout.rate = 2 does not fit: Input should be less than",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused(override, words):
    """The message has the key, the value and the bound."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_settings(overrides=[override])


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("objective.techniques.free_bits.floor=-1", "objective.techniques.free_bits.floor"),
        ("objective.techniques.target_kl.nats=much", "objective.techniques.target_kl.nats"),
        ("training.bf16=perhaps", "training.bf16"),
    ],
)
def test_a_key_of_two_types_is_named_as_the_user_wrote_it(override, key):
    """The key has no suffix with the name of a type, which pydantic adds."""
    with pytest.raises(ConfigError, match=re.escape(f"{key} = ")):
        read_settings(overrides=[override])


@pytest.mark.parametrize("nats", ["0", "-3"])
def test_a_kl_target_must_be_above_zero(nats):
    """The controller divides by its target."""
    with pytest.raises(ConfigError, match=r"target_kl\.nats"):
        read_settings(overrides=[f"objective.techniques.target_kl.nats={nats}"])


@pytest.mark.parametrize("betas", ["[5, 0.9]", "[0.9, 1.0]", "[-0.1, 0.9]"])
def test_betas_outside_zero_to_one_are_refused(betas):
    """The optimizer would refuse them only after the corpus is prepared."""
    with pytest.raises(ConfigError, match=r"training\.betas"):
        read_settings(overrides=[f"training.betas={betas}"])


def test_an_unknown_conditioning_is_refused_with_the_nearest():
    """It is refused before any corpus is read."""
    with pytest.raises(ConfigError, match="did you mean 'every_step'"):
        read_settings(overrides=["model.conditioning=[evry_step]"])


@pytest.mark.parametrize("override", ["epochs=3", "training.epochs", "training=3", ""])
def test_an_override_that_is_not_a_setting_gets_an_example(override):
    """An override needs a section, a key and a value."""
    with pytest.raises(
        ConfigError, match=re.escape("write section.key=value, for example training.epochs=3")
    ):
        read_settings(overrides=[override])


def test_an_override_that_is_not_yaml_asks_for_quotes():
    """An open bracket alone is not a value."""
    with pytest.raises(
        ConfigError,
        match=r"training\.epochs = '\{a' is not YAML; put text with special characters in",
    ):
        read_settings(overrides=["training.epochs={a"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("training: [\n", "is not YAML"),
        (
            "- training\n",
            "expected sections (data, tokenizer, model, objective, training), got ['training']",
        ),
        ("training: 3\n", "bad.yaml, line 1: training = 3 does not fit: expected its settings"),
        ("1: 3\n", "1"),
    ],
)
def test_a_file_without_settings_is_refused(tmp_path, text, words):
    """The message says what is wrong with the file."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_settings(file)


def test_a_missing_file_is_refused_by_name(tmp_path):
    """The message has the path of the file."""
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file"):
        read_settings(tmp_path / "absent.yaml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    """The error is ours, not that of a codec."""
    (tmp_path / "latin.yaml").write_bytes(b"data: {corpus: caf\xe9}\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: cannot be read"):
        read_settings(tmp_path / "latin.yaml")


def test_an_unknown_choice_is_refused_with_all_names():
    """If no name is similar, the message has only the list."""
    assert choose({"a": 1}, "a", "key") == 1
    with pytest.raises(
        TextVAEError, match=re.escape("key = 'zzz' is unknown: Choose from alpha, beta.")
    ):
        choose({"beta": 1, "alpha": 2}, "zzz", "key")


def test_no_name_is_suggested_if_none_is_similar():
    """A wild guess would not help."""
    assert did_you_mean("zzz", ["alpha"]) == ""


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_transformer_with_too_few_positions_for_the_longest_sentence_is_refused(part):
    """It is refused before training; exactly enough positions are accepted."""
    prefix = 4 if part == "decoder" else 0
    enough = {"kind": "transformer", "positions": 66 + prefix}
    read_settings(data={"max_tokens": 64}, model={part: enough})
    too_few = {**enough, "positions": 65 + prefix}
    message = rf"model\.{part}\.positions = {65 + prefix} cannot hold sentences"
    with pytest.raises(ConfigError, match=message):
        read_settings(data={"max_tokens": 64}, model={part: too_few})
