"""The numbers that depend on the corpus: above all the KL target of the default recipe.

    target = 192 / tokens per sentence, at least 6 nats, at most 0.5 nats per dimension

That is about 16 nats for sentences of a dozen tokens, enough to reconstruct most
words. Longer sentences get fewer nats, and their latent holds only the gist: each
nat costs more to learn there, because the same amount of text has fewer sentences.
The numbers are empirical; docs/recipe.md has the measurements behind them.
"""

import math

from textvae.errors import ConfigError
from textvae.settings.run import Settings

_NATS_TIMES_TOKENS = 192.0
_MIN_KL_TARGET_NATS = 6.0
_MAX_NATS_PER_DIMENSION = 0.5
# What it takes to recover every word: 34 nats carry a caption of twelve tokens, and a code that
# is learned in half an hour is about half as efficient.
_WHOLE_NATS_PER_TOKEN = 5.0


def default_kl_target(tokens_per_sentence: float, latent: int) -> float:
    """Return the KL target in nats per sentence for a corpus and a latent size."""
    target = max(_MIN_KL_TARGET_NATS, _NATS_TIMES_TOKENS / tokens_per_sentence)
    # A small latent cannot hold more, so the upper bound takes precedence over the lower one.
    return min(_MAX_NATS_PER_DIMENSION * latent, target)


def whole_kl_target(tokens_per_sentence: float, latent: int) -> float:
    """Return the KL in nats per sentence that is enough to recover every word.

    Raises:
        ConfigError: the latent is too small for it; the message says what it would take.
    """
    target = _WHOLE_NATS_PER_TOKEN * tokens_per_sentence
    most = _MAX_NATS_PER_DIMENSION * latent
    if target > most:
        needed = math.ceil(target / _MAX_NATS_PER_DIMENSION)
        raise ConfigError(
            f"objective.techniques.target_kl.nats = whole: a text of this corpus has "
            f"{tokens_per_sentence:.0f} tokens on average, and recovering all of them takes about "
            f"{target:.0f} nats; model.latent_dim = {latent} holds at most {most:g}. Set "
            f"model.latent_dim={needed}, split the texts into sentences, or set "
            f"objective.techniques.target_kl.nats={most:g} for as many words as fit."
        )
    return target


def resolve_auto(
    settings: Settings, tokens_per_sentence: float, sentences: int | None = None
) -> Settings:
    """Return the settings with a number in place of every `auto` that depends on the corpus.

    Args:
        sentences: how many there are to train on; None leaves the parts of the model as they are.
    """
    latent = settings.model.latent_dim
    techniques = settings.objective.techniques
    # The `auto` floors of free_bits and unit_floor are shares of the KL target, so they follow a
    # target that the user has set.
    target = techniques["target_kl"].nats if "target_kl" in techniques else "auto"
    if target == "auto":
        target = default_kl_target(tokens_per_sentence, latent)
    if target == "whole":
        target = whole_kl_target(tokens_per_sentence, latent)
    resolved = {name: entry.resolve_auto(target, latent) for name, entry in techniques.items()}
    objective = settings.objective.model_copy(update={"techniques": resolved})
    model = settings.model
    if sentences is not None:
        encoder = model.encoder.fit_to_corpus(sentences)
        decoder = model.decoder.fit_to_corpus(sentences)
        model = model.model_copy(update={"encoder": encoder, "decoder": decoder})
    return settings.model_copy(update={"objective": objective, "model": model})
