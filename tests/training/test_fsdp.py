"""Sharded training: accelerate's FSDP settings are changed to fit our model, or refused."""

import pytest
from accelerate.utils import FullyShardedDataParallelPlugin
from torch.distributed.fsdp import StateDictType

from textvae.errors import ConfigError
from textvae.training.fsdp import configure_fsdp


def test_checkpoints_hold_the_whole_model_and_weights_stay_after_the_forward_pass():
    """Settings of the launcher that do not fit are replaced."""
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, state_dict_type="SHARDED_STATE_DICT", reshard_after_forward=True
    )
    configure_fsdp(plugin)
    assert plugin.state_dict_type == StateDictType.FULL_STATE_DICT
    assert plugin.reshard_after_forward is False
    assert plugin.mixed_precision_policy is None


def test_the_first_version_of_fsdp_is_refused():
    """It wraps the model, and code that calls the model itself would bypass the wrapper."""
    with pytest.raises(ConfigError, match="set fsdp_version 2"):
        configure_fsdp(FullyShardedDataParallelPlugin(fsdp_version=1))
