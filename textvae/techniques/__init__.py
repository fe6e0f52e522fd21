"""Techniques: what is done in training so that the latent is used.

They are applied in the order of this table: first what corrupts, then what
draws z or adds a loss, then floors, then weights; last what governs the run's course.
"""

from textvae.techniques.adversarial import Adversarial
from textvae.techniques.aggressive import Aggressive
from textvae.techniques.autoencoder_start import AutoencoderStart
from textvae.techniques.bag_of_words import BagOfWords
from textvae.techniques.base import EncoderSteps, Facts, Progress, Technique
from textvae.techniques.denoising import Denoising
from textvae.techniques.free_bits import FreeBits
from textvae.techniques.iwae import IWAE
from textvae.techniques.kl_weight import KLWeight
from textvae.techniques.latent_dropout import LatentDropout
from textvae.techniques.mmd import MMD
from textvae.techniques.mutual_information_machine import MutualInformationMachine
from textvae.techniques.semi_amortised import SemiAmortised
from textvae.techniques.target_kl import TargetKL
from textvae.techniques.unit_floor import UnitFloor
from textvae.techniques.word_dropout import WordDropout

TECHNIQUES: dict[str, type[Technique]] = {
    "word_dropout": WordDropout,
    "denoising": Denoising,
    "semi_amortised": SemiAmortised,
    "iwae": IWAE,
    "latent_dropout": LatentDropout,
    "bag_of_words": BagOfWords,
    "mmd": MMD,
    "adversarial": Adversarial,
    "mutual_information_machine": MutualInformationMachine,
    "unit_floor": UnitFloor,
    "free_bits": FreeBits,
    "target_kl": TargetKL,
    "kl_weight": KLWeight,
    "autoencoder_start": AutoencoderStart,
    "aggressive": Aggressive,
}

__all__ = ["TECHNIQUES", "EncoderSteps", "Facts", "Progress", "Technique"]
