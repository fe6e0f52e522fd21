"""Decoders: from the previous tokens and z to one state per next token."""

from textvae.model.decoders.base import Decoder
from textvae.model.decoders.pretrained import PretrainedDecoder
from textvae.model.decoders.recurrent import RecurrentDecoder
from textvae.model.decoders.side_tuned import SideTunedDecoder
from textvae.model.decoders.transformer import TransformerDecoder

DECODERS: dict[str, type[Decoder]] = {
    "lstm": RecurrentDecoder,
    "gru": RecurrentDecoder,
    "transformer": TransformerDecoder,
    "pretrained": PretrainedDecoder,
    "side_tuned": SideTunedDecoder,
}
