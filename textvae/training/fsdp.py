"""Sharded training (FSDP, through accelerate): what it must keep to so that ours is right."""

from typing import Any

from textvae.errors import ConfigError


def configure_fsdp(plugin: Any, pretraining_share: float = 0.0) -> None:
    """Fit accelerate's FSDP settings to our model and checkpoints.

    Raises:
        ConfigError: the first version of FSDP, which wraps the model in another; a decoder that begins anew.
    """
    if plugin.fsdp_version != 2:
        raise ConfigError(
            f"FSDP of version {plugin.fsdp_version} does not fit: give accelerate fsdp_version 2."
        )
    if pretraining_share:
        raise ConfigError(
            "objective.techniques.autoencoder_start gives the decoder fresh weights, and under FSDP no process has it "
            "whole: leave it out, or train without FSDP."
        )
    plugin.set_state_dict_type("FULL_STATE_DICT")  # a checkpoint holds the whole model
    plugin.reshard_after_forward = (
        False  # the projection reads the embedding's weights after the embedding has run
    )
    plugin.mixed_precision_policy = (
        None  # weights stay in single precision, as the posterior needs; autocast does it
    )
