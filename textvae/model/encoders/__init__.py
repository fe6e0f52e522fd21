"""Encoders: from the tokens of a sentence to one state per token."""

from textvae.model.encoders.base import Encoder
from textvae.model.encoders.pretrained import PretrainedEncoder
from textvae.model.encoders.recurrent import RecurrentEncoder
from textvae.model.encoders.transformer import TransformerEncoder

ENCODERS: dict[str, type[Encoder]] = {
    "lstm": RecurrentEncoder,
    "gru": RecurrentEncoder,
    "transformer": TransformerEncoder,
    "pretrained": PretrainedEncoder,
}
