"""Techniques that cannot work together: defaults are dropped, requested ones are refused."""

import pytest

from textvae.errors import ConfigError
from textvae.objective.techniques import TECHNIQUES
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings

REPLACING = [name for name in TECHNIQUES if TECHNIQUES[name].Settings(kind=name).replaces]
SHAPING_THE_KL = ["target_kl", "free_bits", "kl_weight", "semi_amortized", "latent_dropout"]


def techniques(**entries):
    return read_settings(objective={"techniques": entries}).objective.techniques


def test_four_techniques_replace_a_term_of_the_objective():
    """All others work with the ELBO and with each other."""
    assert REPLACING == ["iwae", "mmd", "adversarial", "mutual_information_machine"]


@pytest.mark.parametrize("name", REPLACING)
def test_default_techniques_that_were_not_requested_are_dropped(name):
    """The default techniques are tuned together, so all of them are dropped."""
    assert list(techniques(**{name: {}})) == [name]


@pytest.mark.parametrize("name", REPLACING)
def test_a_default_technique_that_was_requested_and_fits_stays(name):
    """The unit floor depends on q, not on the KL."""
    assert set(techniques(**{name: {}, "unit_floor": {"floor": 0.1}})) == {name, "unit_floor"}


@pytest.mark.parametrize("name", REPLACING)
@pytest.mark.parametrize("other", SHAPING_THE_KL)
def test_a_technique_that_shapes_the_kl_is_refused_if_another_replaces_it(name, other):
    """The user requested it, so it is not dropped silently; the message says how to fix it."""
    with pytest.raises(
        ConfigError, match=rf"{name} and {other} do not go together: .*Set {other}: off, or leave"
    ):
        techniques(**{name: {}, other: {}})
    assert list(techniques(**{name: {}, other: "off"})) == [name]


def test_a_number_does_not_turn_a_technique_off():
    """It could be meant as a setting, such as a target of 0 nats."""
    assert list(techniques(target_kl=False)) == ["unit_floor"]
    with pytest.raises(ConfigError, match="target_kl"):
        techniques(target_kl=0)


def test_two_techniques_that_replace_the_kl_are_refused():
    """The user has to leave one of them out."""
    with pytest.raises(ConfigError, match="both replace the KL"):
        techniques(mmd={}, adversarial={})


def test_mmd_that_keeps_the_whole_kl_goes_with_every_technique():
    """It replaces the KL only if it leaves a share of it out."""
    assert set(techniques(mmd={"kl_share": 1})) == {"mmd", "target_kl", "unit_floor"}
    with pytest.raises(ConfigError, match="mmd and kl_weight do not go together"):
        techniques(mmd={"kl_share": 0.5}, kl_weight={})


@pytest.mark.parametrize("name", TECHNIQUES)
def test_settings_with_every_technique_survive_their_own_file(name, tmp_path):
    """Default techniques that were dropped are written as off."""
    settings = read_settings(objective={"techniques": {name: {}}})
    settings = resolve_auto(settings, tokens_per_sentence=12.0)
    settings.save(tmp_path / "settings.yaml")
    assert read_settings(tmp_path / "settings.yaml") == settings


def test_a_weight_of_the_kl_replaces_the_default_controller():
    """The controller would undo it. Both stay if both are named."""
    assert techniques(kl_weight={}).keys() == {"kl_weight", "unit_floor"}
    assert techniques(kl_weight={"weight": 0}).keys() == {"kl_weight", "unit_floor"}
    both = techniques(kl_weight={}, target_kl={})
    assert both.keys() == {"kl_weight", "target_kl", "unit_floor"}
