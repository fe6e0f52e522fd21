"""The default recipe's one number that depends on the corpus: the KL target.

target = share x nats a sentence costs ...
"""

from textvae.settings import Settings


def default_kl_target(tokens_per_sentence: float, latent: int) -> float:
    """Return the KL target in nats for a corpus."""
    return min(0.5 * latent, 192 / tokens_per_sentence)


def resolved(settings: Settings, tokens_per_sentence: float) -> Settings:
    """Return the settings with every `auto` that depends on the corpus worked out."""
    latent = settings.model.latent_dim
    target = default_kl_target(tokens_per_sentence, latent)
    techniques = dict(settings.objective.techniques)
    if "target_kl" in techniques:
        if techniques["target_kl"].nats == "auto":
            techniques["target_kl"] = techniques["target_kl"].model_copy(update={"nats": round(target, 2)})
        target = techniques["target_kl"].nats
    if "free_bits" in techniques and techniques["free_bits"].floor == "auto":
        share = 0.25 * target / (latent if techniques["free_bits"].scope == "dimension" else 1)
        techniques["free_bits"] = techniques["free_bits"].model_copy(update={"floor": round(share, 4)})
    objective = settings.objective.model_copy(update={"techniques": techniques})
    return settings.model_copy(update={"objective": objective})
