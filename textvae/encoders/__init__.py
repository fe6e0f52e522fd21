"""Encoders: text in, one state per token out."""

from textvae.encoders.base import Encoder
from textvae.encoders.recurrent import RecurrentEncoder
from textvae.encoders.transformer import TransformerEncoder

ENCODERS: dict[str, type[Encoder]] = {
    "lstm": RecurrentEncoder,
    "gru": RecurrentEncoder,
    "transformer": TransformerEncoder,
}
