"""Decoders: previous tokens and z in, one state per next token out."""

from textvae.model.decoders.base import Decoder
from textvae.model.decoders.recurrent import RecurrentDecoder
from textvae.model.decoders.transformer import TransformerDecoder

DECODERS: dict[str, type[Decoder]] = {
    "lstm": RecurrentDecoder,
    "gru": RecurrentDecoder,
    "transformer": TransformerDecoder,
}
