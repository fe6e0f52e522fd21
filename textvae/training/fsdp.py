"""Sharded training (FSDP, through accelerate): the settings that our training requires."""

from typing import Any

from textvae.errors import ConfigError


def configure_fsdp(plugin: Any, pretraining_share: float = 0.0) -> None:
    """Change accelerate's FSDP settings so that they fit our model and our checkpoints.

    Args:
        plugin: accelerate's FSDP plugin, which is changed in place.
        pretraining_share: the share of the run that is pretraining.

    Raises:
        ConfigError: FSDP has version 1, which wraps the model in another one; or the run has
            pretraining, after which the decoder gets fresh weights.
    """
    if plugin.fsdp_version != 2:
        raise ConfigError(
            f"FSDP of version {plugin.fsdp_version} is not supported: set fsdp_version 2 in the "
            "settings of accelerate."
        )
    if pretraining_share:
        raise ConfigError(
            "objective.techniques.autoencoder_start gives the decoder fresh weights, but under "
            "FSDP no process has the whole decoder: leave it out, or train without FSDP."
        )
    plugin.set_state_dict_type("FULL_STATE_DICT")  # a checkpoint holds the whole model
    # The decoder's projection to the vocabulary uses the weights of its embedding again, after
    # the forward pass of the embedding. So they must not be sharded again in between.
    plugin.reshard_after_forward = False
    # The posterior needs weights in single precision, so mixed precision comes from autocast.
    plugin.mixed_precision_policy = None
