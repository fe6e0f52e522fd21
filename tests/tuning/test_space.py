"""The search space: it fits the settings classes, follows the user, and refuses what it cannot search."""

from typing import Any

import pytest

from textvae.errors import ConfigError
from textvae.settings.reading import read_settings
from textvae.tuning.space import (
    TUNABLES,
    Parameter,
    Value,
    build_default_space,
    find_start,
    find_types,
)
from textvae.tuning.words import (
    apply_values,
    change_space,
    list_fixed_by_overrides,
    parse_search,
)

TARGET = 16.0
START = read_settings()
CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "faithful": {"model": {"latent_dim": 256, "encoder": {"hidden": 384}}},
    "transformer": {"model": {"encoder": "transformer", "decoder": "transformer"}},
    "annealed": {"objective": {"techniques": {"target_kl": "off", "kl_weight": {}}}},
}


@pytest.mark.parametrize("key", TUNABLES)
def test_every_setting_of_the_table_is_in_the_settings_classes(key):
    """The default recipe has all of them, with both ends of their ranges valid."""
    assert find_types(START, key)
    parameter = build_default_space(START, TARGET)[key]
    for value in parameter.choices or (parameter.low, parameter.high):
        text = int(value) if parameter.is_integer else value
        apply_values(START, {key: text}, {})


@pytest.mark.parametrize("config", CONFIGS)
def test_the_start_is_in_its_own_space(config):
    """Whatever settings a search starts from; otherwise the sampler would not know the first trial."""
    settings = read_settings(base=CONFIGS[config])
    space = build_default_space(settings, TARGET)
    for key, parameter in space.items():
        start = find_start(settings, key, TARGET)
        assert start is not None
        assert parameter.contains(start), key
    assert ("objective.techniques.target_kl.nats" in space) == (config != "annealed")


def test_the_values_of_the_start_give_its_own_settings():
    """A technique that is not there stays away, and so the first trial is the default recipe itself."""
    space = build_default_space(START, TARGET)
    start = {key: find_start(START, key, TARGET) or 0.0 for key in space}
    start.pop("objective.techniques.target_kl.nats")  # `auto` is written as its number
    assert apply_values(START, start, space) == START


def test_values_reach_the_settings():
    """Numbers, lists and techniques."""
    space = build_default_space(START, TARGET)
    values: dict[str, Value] = {
        "model.latent_dim": 48,
        "model.conditioning": "[every_step, output]",
        "objective.techniques.bag_of_words": "{}",
        "objective.techniques.word_dropout.rate": 0.25,
        "training.learning_rate": 0.00123,
    }
    settings = apply_values(START, values, space)
    assert settings.model.latent_dim == 48
    assert settings.model.conditioning == ("every_step", "output")
    assert settings.objective.techniques["word_dropout"].rate == 0.25
    assert "bag_of_words" in settings.objective.techniques
    assert settings.training.learning_rate == 0.00123


def test_a_parameter_survives_its_file():
    """Study.json holds the space."""
    for parameter in build_default_space(START, TARGET).values():
        assert Parameter.from_json(parameter.to_json()) == parameter


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("model.latent_dim=16..64", Parameter("model.latent_dim", 16, 64, is_integer=True)),
        (
            "training.weight_decay=0.001..0.1",
            Parameter("training.weight_decay", 0.001, 0.1, is_log=True),
        ),
        ("model.decoder.layers=1,2", Parameter("model.decoder.layers", choices=("1", "2"))),
        (
            "model.posterior.pooling=[last], [last, max]",
            Parameter("model.posterior.pooling", choices=("[last]", "[last, max]")),
        ),
        ("model.decoder.kind=lstm,gru", Parameter("model.decoder.kind", choices=("lstm", "gru"))),
        (
            "objective.techniques.mmd=off,{weight: 2}",
            Parameter("objective.techniques.mmd", choices=("off", "{weight: 2}")),
        ),
    ],
)
def test_a_search_names_a_range_or_values(word, expected):
    """Wide ranges of positive numbers are logarithmic; commas in brackets do not separate values."""
    assert parse_search(word, START) == expected


REFUSED = {
    "no values": ("model.latent_dim", "expected section.key=low..high"),
    "one value": ("model.latent_dim=16", "expected two values or more"),
    "an unknown key": ("model.latent=16..32", "did you mean 'latent_dim'"),
    "an unknown technique": ("objective.techniques.target=1,2", "did you mean 'target_kl'"),
    "an unknown setting of a technique": ("objective.techniques.mmd.x=1,2", "is not a setting"),
    "a section": ("model=1..2", "is not a setting"),
    "an empty range": ("model.latent_dim=64..16", "a lower number and a higher one"),
    "half a range": ("model.latent_dim=a..16", "a number at both ends"),
    "a range of words": ("model.conditioning=1..2", "is not a number"),
    "an impossible value": ("model.latent_dim=0..16", "model.latent_dim = 0 does not fit"),
    "other sentences": ("data.max_tokens=10..20", "cannot be searched"),
    "other tokens": ("tokenizer.vocab_size=100,200", "cannot be searched"),
    "a push": ("training.push_to_hub=true,false", "cannot be searched"),
    "a card": ("card.samples=true,false", "cannot be searched"),
    "another length": ("training.steps=10..20", "cannot be searched"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_search_that_cannot_be_is_refused(case):
    """The message says what is wrong, and what to write."""
    word, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message):
        parse_search(word, START)


def test_a_start_is_found_among_the_choices_of_the_user():
    """As it is written there; it may also be none of them."""
    assert find_start(START, "model.latent_dim", TARGET, ("16", "32")) == "32"
    assert find_start(START, "model.latent_dim", TARGET, ("16", "64")) is None
    assert find_start(START, "model.posterior.pooling", TARGET, ("[last,max]",)) == "[last,max]"


def test_the_user_adds_replaces_and_fixes():
    """A prefix fixes everything below it, and `all` everything that is not named."""
    space = build_default_space(START, TARGET)
    changed = change_space(space, START, ["model.latent_dim=8,16"], ["model.encoder", "training"])
    assert changed["model.latent_dim"].choices == ("8", "16")
    assert not any(key.startswith(("model.encoder", "training")) for key in changed)
    only = change_space(space, START, ["training.weight_decay=0..0.1"], ["all"])
    assert list(only) == ["training.weight_decay"]
    overrides = ["model.latent_dim=16", "training.seed=2"]
    assert list_fixed_by_overrides(overrides, space) == ["model.latent_dim"]


@pytest.mark.parametrize(
    ("search", "fix", "message"),
    [
        ([], ["all"], "nothing to search"),
        (["model.latent_dim=8,16"], ["model.latent_dim"], "in --search and in --fix"),
        ([], ["model.latent_dim=8"], "without --fix"),
        ([], ["model.posterior"], "is not searched anyway"),
        (
            ["model.latent_dim=8,16", "model.decoder.layers=1,2", "model.latent_dim=8..64"],
            [],
            "model.latent_dim is in --search twice",
        ),
        ("model.latent_dim=8,16", [], "expected a list"),
    ],
)
def test_a_space_that_is_empty_or_contradicts_itself_is_refused(search, fix, message):
    """Nothing is trained for it."""
    with pytest.raises(ConfigError, match=message):
        change_space(build_default_space(START, TARGET), START, search, fix)


def test_a_technique_that_is_searched_as_a_whole_has_no_searched_parts():
    """Its parts would be recorded, and not be trained."""
    space = build_default_space(START, TARGET)
    key = "objective.techniques.word_dropout"
    assert f"{key}.rate" in space
    changed = change_space(space, START, [key + "=off,{rate: 0.3}"], [])
    assert key in changed
    assert f"{key}.rate" not in changed
    with pytest.raises(ConfigError, match="one of them sets a part of the other"):
        change_space(space, START, [key + "=off,{rate: 0.3}", f"{key}.rate=0.1..0.5"], [])
