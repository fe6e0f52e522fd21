"""The default recipe's one number that depends on the corpus: the KL target.

    target = 192 / tokens a sentence, at least 6, at most half a nat a dimension

In words: about 16 nats for sentences of a dozen tokens, from which most words
come back, and fewer for longer ones, whose latent can only hold their gist: a
nat costs more there, since the same text has fewer sentences to learn it from.
The numbers are empirical; docs/recipe.md has the measurements behind them.
"""

from textvae.settings.run import Settings

_NATS_TIMES_TOKENS = 192.0


_MIN_KL_TARGET_NATS = 6.0  # nats


_MAX_NATS_PER_DIMENSION = 0.5  # nats


def default_kl_target(tokens_per_sentence: float, latent: int) -> float:
    """Return the KL target in nats for a corpus and a latent size."""
    return min(
        _MAX_NATS_PER_DIMENSION * latent,
        max(_MIN_KL_TARGET_NATS, _NATS_TIMES_TOKENS / tokens_per_sentence),
    )


def resolve_auto(settings: Settings, tokens_per_sentence: float) -> Settings:
    """Return the settings with every `auto` that depends on the corpus worked out."""
    latent, techniques = settings.model.latent_dim, settings.objective.techniques
    given = techniques["target_kl"].nats if "target_kl" in techniques else "auto"
    target = default_kl_target(tokens_per_sentence, latent) if given == "auto" else given
    worked_out = {name: entry.resolve_auto(target, latent) for name, entry in techniques.items()}
    objective = settings.objective.model_copy(update={"techniques": worked_out})
    return settings.model_copy(update={"objective": objective})
