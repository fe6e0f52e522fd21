"""Settings are read from YAML, overridden by dotted keys, saved, and read back."""

import pytest

from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.objective.elbo import ObjectiveSettings
from textvae.settings.overrides import merge_overrides, merge_settings
from textvae.settings.reading import read_settings
from textvae.settings.run import ModelSettings, Settings
from textvae.settings.training import TrainingSettings


def write_yaml(folder, text):
    file = folder / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_no_settings_are_the_default_recipe():
    """Without a file or an override, every setting has its default."""
    assert read_settings() == Settings()


def test_an_empty_file_is_the_default_recipe(tmp_path):
    """A file with only comments sets nothing."""
    assert read_settings(write_yaml(tmp_path, "# nothing yet\n")) == Settings()


@pytest.mark.parametrize("number", ["1e-3", "0.001", "1.0e-3", "1E-3"])
def test_every_spelling_of_a_number_is_a_number(tmp_path, number):
    """YAML reads `1e-3` as text, but a setting accepts it, in a file or as an override."""
    file = write_yaml(tmp_path, f"training: {{learning_rate: {number}}}\n")
    assert read_settings(file).training.learning_rate == 1e-3
    overridden = read_settings(overrides=[f"training.learning_rate={number}"])
    assert overridden.training.learning_rate == 1e-3


def test_a_number_or_auto_takes_either():
    """`1e-3` is a number even if the setting also accepts a word."""
    settings = read_settings(overrides=["objective.techniques.free_bits.floor=1e-3"])
    assert settings.objective.techniques["free_bits"].floor == 1e-3


def test_an_override_wins_over_the_file_and_leaves_other_keys(tmp_path):
    """Only the key of the override changes."""
    file = write_yaml(tmp_path, "training: {epochs: 3, seed: 7}\n")
    training = read_settings(file, ["training.epochs=5"]).training
    assert (training.epochs, training.seed) == (5, 7)


def test_the_last_override_of_a_key_wins():
    """Overrides apply from left to right."""
    assert read_settings(overrides=["training.seed=2", "training.seed=3"]).training.seed == 3


@pytest.mark.parametrize(
    "kind",
    [
        "model.decoder.kind=pretrained",
        "model.decoder=pretrained",
        "model.decoder={kind: pretrained}",
    ],
)
def test_the_kind_of_a_part_may_follow_its_settings(kind):
    """It drops the settings of the kind before, and none that are given with it."""
    preset = {"model": {"decoder": {"kind": "side_tuned", "name": "small", "hidden": 3}}}
    overrides = ["model.decoder.name=mine", "model.decoder.slots=4", kind]
    for order in (overrides, overrides[::-1]):
        decoder = merge_overrides(preset, order)["model"]["decoder"]
        assert decoder == {"kind": "pretrained", "name": "mine", "slots": 4}


def test_sections_win_over_the_file_and_the_base(tmp_path):
    """The precedence, from low to high, is base, file, override, section."""
    file = write_yaml(tmp_path, "training: {seed: 2, epochs: 2}\n")
    base = {"training": {"seed": 1, "epochs": 1, "patience": 1}}
    training = read_settings(file, base=base, training={"seed": 3}).training
    assert (training.seed, training.epochs, training.patience) == (3, 2, 1)


def test_text_keeps_its_characters_in_an_override(tmp_path):
    """A value may contain `=` and non-Latin letters."""
    settings = read_settings(overrides=["data.corpus=a=b/データ.txt"])
    assert settings.data.corpus == "a=b/データ.txt"


@pytest.mark.parametrize("kind", [name for name in DECODERS if not DECODERS[name].starts_from_base])
def test_a_model_that_names_no_conditioning_gets_those_that_its_decoder_takes(kind):
    """No decoder is refused for a default that suits another one."""
    settings = read_settings(overrides=[f"model.decoder.kind={kind}"]).model
    decoder = DECODERS[kind](settings.decoder, 99, 4, settings.conditioning)
    assert settings.conditioning
    assert set(settings.conditioning) <= set(decoder.signal_shapes)


def test_null_unsets_a_setting():
    """An empty value, which may come from a shell variable that is not set, is refused."""
    settings = read_settings(overrides=["training.epochs=3", "training.epochs=null"])
    assert settings.training.epochs is None


def test_saved_settings_read_back_equal(tmp_path):
    """The file of a run has all settings, including techniques that are switched off."""
    overrides = [
        "model.encoder.kind=gru",
        "model.encoder.hidden=16",
        "model.conditioning=[initial_state]",
        "objective.techniques={word_dropout: {rate: 0.1}, free_bits: {floor: 0.2}, target_kl: off}",
        "training.betas=[0.8, 0.9]",
        "training.bf16=false",
        "data.corpus=Bücher/ספר.txt",
        "data.label_columns=[label]",
    ]
    settings = read_settings(overrides=overrides)
    settings.save(tmp_path / "saved.yaml")
    assert read_settings(tmp_path / "saved.yaml") == settings


def test_saved_defaults_read_back_equal(tmp_path):
    """The same holds if every setting has its default."""
    Settings().save(tmp_path / "saved.yaml")
    assert read_settings(tmp_path / "saved.yaml") == Settings()


def test_settings_never_change():
    """Settings are frozen, so a run cannot change its own."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().training.seed = 2  # type: ignore[misc]  # what must be refused


def test_merging_changes_neither_argument():
    """The result is a new mapping, also for nested ones."""
    base = {"a": {"b": 1}}
    over = {"a": {"c": 2}}
    assert merge_settings(base, over) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}
    assert over == {"a": {"c": 2}}


def test_a_section_may_be_an_object_of_its_settings_class(tmp_path):
    """Only its fields that were set count, so the file's other settings stay."""
    file = write_yaml(tmp_path, "training: {epochs: 3, seed: 7}\ndata: {max_tokens: 20}\n")
    settings = read_settings(file, training=TrainingSettings(epochs=5), data=DataSettings())
    assert (settings.training.epochs, settings.training.seed) == (5, 7)
    assert settings.data.max_tokens == 20


def test_a_section_object_does_not_hide_a_value_that_is_merged_later():
    """`textvae.train` adds the corpus to the section `data` in this way."""
    merged = merge_settings({"data": DataSettings(max_tokens=20)}, {"data": {"corpus": "texts"}})
    assert merged == {"data": {"max_tokens": 20, "corpus": "texts"}}


def test_parts_in_a_section_object_keep_their_kind():
    """The kind is a default of its class, so nobody sets it."""
    part = ENCODERS["gru"].Settings.model_validate({"hidden": 8})
    base = {"model": {"encoder": "lstm"}}
    whole = ModelSettings.model_validate({"encoder": part})
    assert read_settings(base=base, model=whole).model.encoder == part
    assert read_settings(base=base, model={"encoder": part}).model.encoder == part


def test_an_objective_object_equals_its_mapping():
    """Techniques that it has dropped are not added again."""
    entries = {"kl_weight": {"schedule": "linear"}, "target_kl": "off", "unit_floor": "off"}
    written = read_settings(objective={"techniques": entries})
    built = read_settings(objective=ObjectiveSettings.model_validate({"techniques": entries}))
    assert built == written


def test_a_label_chooses_its_prior_however_the_settings_are_built():
    """Sections as objects, as mappings, or read from YAML: the prior is the same."""
    data = DataSettings(label="kind")
    read = read_settings(overrides=["data.label=kind"])
    assert read.model.prior.kind == "label_gaussian"
    assert Settings(data=data) == Settings(data=data, model=ModelSettings()) == read
    assert read_settings(data=data) == read


def test_a_prior_that_is_set_in_an_object_is_kept():
    """Only a prior that nobody chose is replaced; the other fields of the object stay."""
    chosen = ModelSettings.model_validate({"prior": "standard_normal", "latent_dim": 8})
    other = ModelSettings(latent_dim=8)
    data = DataSettings(label="kind")
    assert Settings(data=data, model=chosen).model == chosen
    assert Settings(data=data, model=other).model.latent_dim == 8


def test_a_pretrained_decoder_chooses_its_tokenizer_in_settings_objects_too():
    """Sections as objects, as mappings, or read from YAML: the tokenizer is the same."""
    model = ModelSettings.model_validate({"decoder": "pretrained"})
    read = read_settings(overrides=["model.decoder=pretrained"])
    assert read.tokenizer.kind == "pretrained"
    assert Settings(model=model) == Settings(model=model, tokenizer=TokenizerSettings()) == read
    assert read_settings(model=model) == read
