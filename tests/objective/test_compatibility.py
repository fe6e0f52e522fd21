"""Parts of a model and techniques that do not go together are refused with the reason and a fix."""

import pytest

from tests.tiny import DECODER_SETTINGS, ENCODER_SETTINGS
from textvae.errors import ConfigError
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel
from textvae.settings.reading import read_settings

OFF = {"techniques": {"target_kl": "off", "unit_floor": "off"}}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"posterior": "von_mises_fisher"},
            "on a sphere, the other in all of space.*model.prior to uniform_sphere",
        ),
        (
            {"prior": "uniform_sphere"},
            "in all of space, the other on a sphere.*standard_normal or mixture",
        ),
        (
            {"posterior": "deterministic", "prior": "mixture"},
            "without a KL the prior learns nothing",
        ),
        ({"posterior": "flow", "prior": "vamp"}, "made of posteriors gaussian or delta_gaussian"),
    ],
)
def test_a_posterior_and_a_prior_that_do_not_go_together_are_refused(parts, message):
    """They are refused when the settings are read."""
    with pytest.raises(ConfigError, match=message):
        read_settings(model=parts, objective=OFF)


def test_a_model_config_with_a_wrong_pair_is_refused():
    """It is refused when the model is built, without any settings."""
    parts = {
        "encoder_settings": ENCODER_SETTINGS["lstm"],
        "decoder_settings": DECODER_SETTINGS["lstm"],
        "conditioning": ["output"],
    }
    with pytest.raises(ConfigError, match="do not go together"):
        TextVAEModel(
            TextVAEConfig(
                posterior_settings={"kind": "flow"},
                prior_settings={"kind": "uniform_sphere"},
                **parts,
            )
        )


@pytest.mark.parametrize(
    ("parts", "techniques", "message"),
    [
        (
            {"posterior": "flow"},
            {},
            "unit_floor needs a mean and a log-var.*Set objective.techniques.unit_floor: off",
        ),
        (
            {"posterior": "deterministic"},
            {"unit_floor": "off"},
            "target_kl shapes the KL, but this posterior has none",
        ),
        (
            {"posterior": "deterministic"},
            {"unit_floor": "off", "target_kl": "off", "kl_weight": {}},
            "kl_weight shapes",
        ),
        (
            {"posterior": "von_mises_fisher", "prior": "uniform_sphere"},
            {},
            "unit_floor needs.*target_kl shapes the KL, but the KL of this posterior is constant"
            ".*unit_floor: off, .*target_kl: off",
        ),
        ({"prior": "mixture"}, {"free_bits": {}}, "free_bits needs the KL of each dimension"),
    ],
)
def test_a_technique_that_lacks_what_it_needs_is_refused(parts, techniques, message):
    """The message has all such techniques at once."""
    with pytest.raises(ConfigError, match=message):
        read_settings(model=parts, objective={"techniques": techniques})


def test_free_bits_on_the_total_kl_go_with_a_learned_prior():
    """Only a floor per dimension needs the KL of each dimension."""
    read_settings(
        model={"prior": "mixture"}, objective={"techniques": {"free_bits": {"scope": "total"}}}
    )


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_a_share_of_the_kl_trains_a_learned_prior(prior):
    """With `mmd` alone nothing would train it, so that is refused."""
    read_settings(model={"prior": prior}, objective={"techniques": {"mmd": {"kl_share": 0.3}}})
    with pytest.raises(ConfigError, match="replaces the KL, the only term that trains"):
        read_settings(model={"prior": prior}, objective={"techniques": {"mmd": {}}})


def test_a_share_of_a_kl_that_does_not_exist_is_refused():
    """It would have no effect."""
    with pytest.raises(ConfigError, match="mmd needs the density of z"):
        read_settings(
            model={"posterior": "deterministic"},
            objective={"techniques": {"mmd": {"kl_share": 0.3}}},
        )
