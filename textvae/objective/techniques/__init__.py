"""Techniques: changes to training that make the model use its latent.

They are applied in the order of this table: first those that corrupt the input, then
those that change z or add a loss, then floors, then weights, and last those that
change the course of the run.
"""

from textvae.objective.techniques.adversarial import Adversarial
from textvae.objective.techniques.aggressive import Aggressive
from textvae.objective.techniques.autoencoder_start import AutoencoderStart
from textvae.objective.techniques.bag_of_words import BagOfWords
from textvae.objective.techniques.base import ModelFacts, Progress, Technique, TrainEncoder
from textvae.objective.techniques.denoising import Denoising
from textvae.objective.techniques.free_bits import FreeBits
from textvae.objective.techniques.iwae import IWAE
from textvae.objective.techniques.kl_weight import KLWeight
from textvae.objective.techniques.latent_dropout import LatentDropout
from textvae.objective.techniques.mmd import MMD
from textvae.objective.techniques.mutual_information_machine import MutualInformationMachine
from textvae.objective.techniques.refit_posterior import RefitPosterior
from textvae.objective.techniques.semi_amortized import SemiAmortized
from textvae.objective.techniques.target_kl import TargetKL
from textvae.objective.techniques.unit_floor import UnitFloor
from textvae.objective.techniques.word_dropout import WordDropout
from textvae.objective.techniques.word_similarity import WordSimilarity

TECHNIQUES: dict[str, type[Technique]] = {
    "word_dropout": WordDropout,
    "denoising": Denoising,
    "semi_amortized": SemiAmortized,
    "iwae": IWAE,
    "latent_dropout": LatentDropout,
    "bag_of_words": BagOfWords,
    "word_similarity": WordSimilarity,
    "mmd": MMD,
    "adversarial": Adversarial,
    "mutual_information_machine": MutualInformationMachine,
    "unit_floor": UnitFloor,
    "free_bits": FreeBits,
    "target_kl": TargetKL,
    "kl_weight": KLWeight,
    "autoencoder_start": AutoencoderStart,
    "aggressive": Aggressive,
    "refit_posterior": RefitPosterior,
}


__all__ = ["TECHNIQUES", "ModelFacts", "Progress", "Technique", "TrainEncoder"]
