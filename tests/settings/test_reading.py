"""Settings: read from YAML, overridden by dotted keys, saved and read back."""

import pytest

from textvae.settings.reading import merge_settings, read_settings
from textvae.settings.run import Settings


def write_yaml(folder, text):
    file = folder / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_nothing_given_is_the_default_recipe():
    """Without a file or an override, all is default."""
    assert read_settings() == Settings()


def test_an_empty_file_is_the_default_recipe(tmp_path):
    """A file of comments only says nothing."""
    assert read_settings(write_yaml(tmp_path, "# nothing yet\n")) == Settings()


@pytest.mark.parametrize("number", ["1e-3", "0.001", "1.0e-3", "1E-3"])
def test_every_way_to_write_a_number_is_a_number(tmp_path, number):
    """YAML reads `1e-3` as text; a setting does not, in a file or as an override."""
    file = write_yaml(tmp_path, f"training: {{learning_rate: {number}}}\n")
    assert read_settings(file).training.learning_rate == 1e-3
    assert (
        read_settings(overrides=[f"training.learning_rate={number}"]).training.learning_rate == 1e-3
    )


def test_a_number_or_auto_takes_either():
    """`1e-3` is a number also where a word would do."""
    settings = read_settings(overrides=["objective.techniques.free_bits.floor=1e-3"])
    assert settings.objective.techniques["free_bits"].floor == 1e-3


def test_an_override_wins_over_the_file_and_leaves_its_neighbours(tmp_path):
    """Only the key that is named changes."""
    file = write_yaml(tmp_path, "training: {epochs: 3, seed: 7}\n")
    training = read_settings(file, ["training.epochs=5"]).training
    assert (training.epochs, training.seed) == (5, 7)


def test_the_last_override_of_a_key_wins():
    """Overrides apply from left to right."""
    assert read_settings(overrides=["training.seed=2", "training.seed=3"]).training.seed == 3


def test_what_python_gives_wins_over_file_and_base(tmp_path):
    """Order of precedence: base, file, override, section."""
    file = write_yaml(tmp_path, "training: {seed: 2, epochs: 2}\n")
    base = {"training": {"seed": 1, "epochs": 1, "patience": 1}}
    training = read_settings(file, base=base, training={"seed": 3}).training
    assert (training.seed, training.epochs, training.patience) == (3, 2, 1)


def test_text_keeps_its_signs_in_an_override(tmp_path):
    """A value may hold `=` and non-Latin letters."""
    settings = read_settings(overrides=["data.corpus=a=b/データ.txt"])
    assert settings.data.corpus == "a=b/データ.txt"


def test_an_empty_override_unsets():
    """`key=` is YAML's null."""
    assert (
        read_settings(overrides=["training.epochs=3", "training.epochs="]).training.epochs is None
    )


def test_saved_settings_read_back_equal(tmp_path):
    """The file a run keeps says all there is to say, switches included."""
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
    """Also when nothing was chosen."""
    Settings().save(tmp_path / "saved.yaml")
    assert read_settings(tmp_path / "saved.yaml") == Settings()


def test_settings_never_change():
    """A run cannot alter its own settings."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().training.seed = 2


def test_merging_leaves_what_it_merges_alone():
    """Neither argument is written to."""
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge_settings(base, over) == {"a": {"b": 1, "c": 2}}
    assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})
