"""Techniques: what is done in training so that the latent is used.

They are applied in the order of this table: first what corrupts, then floors,
then weights; last what governs the run's course.
"""

from textvae.techniques.aggressive import Aggressive
from textvae.techniques.autoencoder_start import AutoencoderStart
from textvae.techniques.base import EncoderSteps, Facts, Progress, Technique
from textvae.techniques.free_bits import FreeBits
from textvae.techniques.kl_weight import KLWeight
from textvae.techniques.target_kl import TargetKL
from textvae.techniques.unit_floor import UnitFloor
from textvae.techniques.word_dropout import WordDropout

TECHNIQUES: dict[str, type[Technique]] = {
    "word_dropout": WordDropout,
    "unit_floor": UnitFloor,
    "free_bits": FreeBits,
    "target_kl": TargetKL,
    "kl_weight": KLWeight,
    "autoencoder_start": AutoencoderStart,
    "aggressive": Aggressive,
}

__all__ = ["TECHNIQUES", "EncoderSteps", "Facts", "Progress", "Technique"]
