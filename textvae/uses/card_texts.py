"""Sentences for a model card: samples of the prior, and reconstructions of the run's own sentences."""

from textvae.errors import CheckpointError
from textvae.inference.bundle import Bundle
from textvae.inference.generate import generate
from textvae.inference.settings import DecodingSettings
from textvae.runs.card_sections import CardTexts
from textvae.runs.run import Run
from textvae.uses.reconstruct import reconstruct

_SAMPLES = 10
_RECONSTRUCTIONS = 5


def collect_card_texts(bundle: Bundle, run: Run | None, split: str = "validation") -> CardTexts:
    """Return the sentences that a card shows if it may; a run without its corpus has samples only.

    Args:
        split: the name of the run's split to reconstruct sentences of.
    """
    samples = generate(bundle, _SAMPLES, DecodingSettings(seed=0))
    pairs: list[tuple[str, str]] = []
    if run is not None and bundle.model.config.latent_dim:
        try:
            originals = run.open_split(split)[:_RECONSTRUCTIONS]
        except CheckpointError:
            return CardTexts(samples, pairs)
        labels = originals.get(bundle.label_column)
        decoded = reconstruct(bundle, originals["text"], DecodingSettings(), labels=labels)
        pairs = list(zip(originals["text"], decoded, strict=True))
    return CardTexts(samples, pairs)
