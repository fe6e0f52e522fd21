"""Decoders: previous tokens and z in, one state per next token out."""

from textvae.decoders.base import Decoder
from textvae.decoders.recurrent import RecurrentDecoder
from textvae.decoders.transformer import TransformerDecoder

DECODERS: dict[str, type[Decoder]] = {
    "lstm": RecurrentDecoder,
    "gru": RecurrentDecoder,
    "transformer": TransformerDecoder,
}
