"""A model that cannot fit into memory is refused before it is built."""

import pytest
import torch

from tests.tiny import DECODER_SETTINGS, ENCODER_SETTINGS, tiny_model
from textvae.errors import ConfigError
from textvae.model.size import check_model_fits

CPU = torch.device("cpu")


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_size_is_known_for_every_decoder(writer):
    """One byte less than 16 per parameter is not enough, and the message says so."""
    model = tiny_model(writer)
    needed = 16 * sum(weight.numel() for weight in model.parameters())
    check_model_fits(model.config, CPU, needed)
    with pytest.raises(ConfigError, match="parameters would fit"):
        check_model_fits(model.config, CPU, needed - 1)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_the_size_is_known_for_every_encoder(reader):
    """The message names the largest tensor."""
    model = tiny_model(reader=reader)
    with pytest.raises(ConfigError, match="Its largest tensor is "):
        check_model_fits(model.config, CPU, 1_000)


def test_the_check_does_not_change_the_random_numbers():
    """A seed gives the same model with and without it."""
    config = tiny_model().config
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    check_model_fits(config, CPU)
    assert torch.equal(torch.randn(3), expected)
