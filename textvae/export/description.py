"""The file textvae.json of an exported folder: what a runner needs to know beyond the two graphs."""

from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from textvae.data.tokenization import keeps_white_space
from textvae.errors import ConfigError
from textvae.export.runner import FORMAT
from textvae.inference.bundle import Bundle
from textvae.inference.settings import DEFAULT_TEMPERATURE
from textvae.model.priors import Prior
from textvae.model.priors.label_gaussian import ConditionalGaussian
from textvae.model.priors.mixture import MixturePrior
from textvae.model.priors.standard_normal import StandardNormal
from textvae.model.priors.uniform_sphere import UniformSphere
from textvae.model.priors.vamp import VampPrior
from textvae.version import __version__

# transformers applies these to a decoded text if the tokenizer's config asks for it.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)

# Options of `generation_config.json` that a runner does not have, with the values that change nothing.
_MISSING_OPTIONS = {
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_new_tokens": 0,
    "min_p": 0.0,
    "typical_p": 1.0,
}


def describe_model(
    bundle: Bundle, start: list[int], states: dict[str, list[int | str]]
) -> dict[str, Any]:
    """Return the content of textvae.json.

    Args:
        start: the ids that the decoder reads before the first token of a text.
        states: the shape of each state of the decoder, with `batch` and `past` for sizes that vary;
            `past` is 0 at the start.
    """
    tokenizer = bundle.tokenizer
    configured = bundle.model.generation_config
    cleans_up = tokenizer.clean_up_tokenization_spaces and not _has_byte_pairs(tokenizer)
    return {
        "format": FORMAT,
        "textvae": __version__,
        "latent": int(bundle.model.config.latent_dim),
        "vocab": int(bundle.model.config.vocab_size),
        "label": bundle.fixed_label,
        "max_tokens": bundle.max_length,  # of a text, the end token included
        "max_positions": bundle.model.decoder.max_length,
        "start": start,
        "states": states,
        "special_tokens": {
            name: getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "unk")
        },
        "has_encoder_tokenizer": bundle.encoder_tokenizer is not None,
        "keeps_white_space": keeps_white_space(tokenizer),
        "clean_up": list(_CLEAN_UP) if cleans_up else [],
        "decoding": {
            "temperature": configured.temperature or DEFAULT_TEMPERATURE,
            "top_k": configured.top_k or 0,
            "top_p": configured.top_p or 1.0,
        },
        "prior": _describe_prior(bundle.prior),
    }


def list_missing_options(bundle: Bundle) -> list[str]:
    """Return notes on the run's decoding defaults that runners do not have."""
    configured = bundle.model.generation_config
    notes = []
    for name, neutral in _MISSING_OPTIONS.items():
        value = getattr(configured, name, None)
        if value is not None and value != neutral:
            notes.append(f"{name} = {value} of generation_config.json is not exported")
    return notes


def require_tokenizer(bundle: Bundle) -> Tokenizer:
    """Return the decoder's tokenizer as one of the `tokenizers` library.

    Raises:
        ConfigError: it is written in Python.
    """
    if not bundle.tokenizer.is_fast:
        raise ConfigError(
            "the tokenizer of this run is written in Python, so no runner without transformers can "
            "use it; train with a tokenizer that has a tokenizer.json."
        )
    tokenizer = Tokenizer.from_str(bundle.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _has_byte_pairs(tokenizer: Any) -> bool:
    """Return whether a tokenizer is a byte-pair encoding, whose texts transformers never cleans up."""
    return type(tokenizer.backend_tokenizer.model).__name__ == "BPE"


def _describe_prior(prior: Prior) -> dict[str, Any]:
    """Return the model's own prior: a mixture of Gaussians with the weights of its components.

    Raises:
        ConfigError: the prior is none of these.
    """
    if isinstance(prior, StandardNormal):
        return {"kind": "standard_normal"}
    if isinstance(prior, UniformSphere):
        return {"kind": "uniform_sphere"}
    if isinstance(prior, MixturePrior):
        weights: Tensor = prior.logits.softmax(0)
        return _describe_mixture(weights.tolist(), prior.components)
    if isinstance(prior, VampPrior):
        return _describe_mixture([1 / prior.count] * prior.count, prior.components)
    if isinstance(prior, ConditionalGaussian):
        return _describe_mixture([1.0], prior.gaussian)
    raise ConfigError(
        f"model.prior: a {type(prior).__name__} cannot be exported. Train with "
        "model.prior = standard_normal, or use the run itself."
    )


def _describe_mixture(weights: list[float], components: Any) -> dict[str, Any]:
    """Return a mixture of Gaussians, with mean and log-variance of each component."""
    return {
        "kind": "gaussian_mixture",
        "weights": weights,
        "means": components.mean.tolist(),
        "logvars": components.logvar.tolist(),
    }
