"""Combinations: what cannot work together is refused with the reason; defaults give way, what was named does not."""

import pytest

from textvae.errors import ConfigError
from textvae.objective.techniques import TECHNIQUES
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings

OWNERS = [name for name in TECHNIQUES if TECHNIQUES[name].Settings().replaced_terms]
ON_THE_KL = ["target_kl", "free_bits", "kl_weight", "semi_amortized", "latent_dropout"]


def techniques(**given):
    return read_settings(objective={"techniques": given}).objective.techniques


def test_those_that_pay_no_closed_kl_say_so():
    """The list is short."""
    assert OWNERS == ["iwae", "mmd", "adversarial", "mutual_information_machine"]


@pytest.mark.parametrize("name", OWNERS)
def test_default_techniques_that_nobody_named_give_way(name):
    """The recipe for the ELBO goes as a whole."""
    assert list(techniques(**{name: {}})) == [name]


@pytest.mark.parametrize("name", OWNERS)
def test_a_default_technique_that_was_named_and_fits_stays(name):
    """The unit floor looks at q, not at the KL."""
    assert set(techniques(**{name: {}, "unit_floor": {"floor": 0.1}})) == {name, "unit_floor"}


@pytest.mark.parametrize("name", OWNERS)
@pytest.mark.parametrize("other", ON_THE_KL)
def test_what_works_on_the_kl_is_refused_where_it_is_not_paid(name, other):
    """Named by the user, it is not dropped silently; the message has the reason and the mend."""
    with pytest.raises(
        ConfigError, match=rf"{name} and {other} do not go together: .*Write {other}: off, or leave"
    ):
        techniques(**{name: {}, other: {}})
    assert list(techniques(**{name: {}, other: "off"})) == [name]


def test_two_that_stand_in_the_place_of_the_kl_are_refused():
    """One of them is to go."""
    with pytest.raises(ConfigError, match="each puts something else in the place of the KL"):
        techniques(mmd={}, adversarial={})


def test_mmd_beside_the_whole_kl_goes_with_everything():
    """It owns the KL only where it keeps some of it back."""
    assert set(techniques(mmd={"kl_share": 1})) == {"mmd", "target_kl", "unit_floor"}
    with pytest.raises(ConfigError, match="mmd and kl_weight do not go together"):
        techniques(mmd={"kl_share": 0.5}, kl_weight={})


@pytest.mark.parametrize("name", TECHNIQUES)
def test_settings_with_every_technique_survive_their_own_file(name, tmp_path):
    """What gave way is written as off."""
    settings = resolve_auto(
        read_settings(objective={"techniques": {name: {}}}), tokens_per_sentence=12.0
    )
    settings.save(tmp_path / "settings.yaml")
    assert read_settings(tmp_path / "settings.yaml") == settings
