"""Combinations that cannot work are refused, with the reason and the mend."""

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
    """When the settings are read."""
    with pytest.raises(ConfigError, match=message):
        read_settings(model=parts, objective=OFF)


def test_a_config_that_was_written_by_hand_is_refused_too():
    """When the model is built."""
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
            "unit_floor asks for a mean and a log-var.*Set objective.techniques.unit_floor: off",
        ),
        (
            {"posterior": "deterministic"},
            {"unit_floor": "off"},
            "target_kl shapes the KL, and there is none",
        ),
        (
            {"posterior": "deterministic"},
            {"unit_floor": "off", "target_kl": "off", "kl_weight": {}},
            "kl_weight shapes",
        ),
        (
            {"posterior": "von_mises_fisher", "prior": "uniform_sphere"},
            {},
            "unit_floor asks.*target_kl shapes the KL, and it is a constant.*unit_floor: off, .*target_kl: off",
        ),
        ({"prior": "mixture"}, {"free_bits": {}}, "free_bits asks for the KL of each dimension"),
    ],
)
def test_a_technique_that_lacks_what_it_needs_is_refused(parts, techniques, message):
    """With all mends at once."""
    with pytest.raises(ConfigError, match=message):
        read_settings(model=parts, objective={"techniques": techniques})


def test_free_bits_on_the_whole_kl_go_with_a_learned_prior():
    """Only a floor for each dimension asks for the KL of each."""
    read_settings(
        model={"prior": "mixture"}, objective={"techniques": {"free_bits": {"scope": "total"}}}
    )
