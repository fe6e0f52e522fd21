"""Write: what the model can do with a sentence, or without one.

Most of it are the verbs of `TextVAE`; here are those that it does not have, and the
directions along which a sentence can be edited.
"""

from pathlib import Path

import torch
from torch import Tensor

from textvae.errors import ConfigError
from textvae.explorer.latent_map import LatentMap
from textvae.inference.decoding import build_decoding_settings, decode_latents
from textvae.inference.encode import posterior
from textvae.runs.fitted import FITTED_FOLDER, RECORD_FILE, fitted_path
from textvae.runtime.seeds import Stream, derive_seed, seeded
from textvae.terminal import quote_value
from textvae.uses.attribute import ATTRIBUTE_KIND, load_attribute
from textvae.uses.edit import edit
from textvae.uses.numeric_attribute import compute_slope
from textvae.uses.options import DecodingOptions
from textvae.vae import TextVAE

LENGTH = "length (words)"  # the attribute that every map has
MAX_STRENGTH = 10.0
MAX_SPREAD = 5.0


def vary(vae: TextVAE, text: str, n: int, spread: float, decoding: DecodingOptions) -> list[str]:
    """Decode `n` samples from around the latent of a sentence; tokens are greedy by default.

    Args:
        spread: standard deviation of the samples, relative to the posterior's; where that has no
            density, relative to the prior's.
    """
    settings = build_decoding_settings(**decoding)
    q = posterior(vae.bundle, [text])
    with seeded(derive_seed(settings.seed, Stream.UNCERTAINTY)):
        steps = torch.randn(n, q.mean.shape[1])
        if q.has_density:
            steps = torch.cat([q.sample() for _ in range(n)]) - q.mean
    z = vae.model.prior.project(q.mean + spread * steps)
    return decode_latents(vae.bundle, z, settings, samples_by_default=False)


def list_attributes(run: Path | None, latent_map: LatentMap | None) -> list[str]:
    """Return the names of the attributes that a sentence can be edited along."""
    names = []
    if run is not None:
        records = (run / FITTED_FOLDER / ATTRIBUTE_KIND).glob(f"*/{RECORD_FILE}")
        names = sorted(record.parent.name for record in records)
    return names if latent_map is None else [LENGTH, *names]


def edit_along(
    vae: TextVAE,
    latent_map: LatentMap | None,
    text: str,
    attribute: str,
    strength: float,
    decoding: DecodingOptions,
) -> str:
    """Decode a sentence after a step along an attribute; greedy by default.

    Raises:
        CheckpointError: the run has no such attribute.
        ConfigError: the attribute is the length, and there is no map to learn it from.
    """
    direction = find_direction(vae, latent_map, attribute)
    settings = build_decoding_settings(**decoding)
    return edit(vae.bundle, [text], direction, strength, settings)[0]


def find_direction(vae: TextVAE, latent_map: LatentMap | None, attribute: str) -> Tensor:
    """Return the direction of an attribute, (latent,).

    Raises:
        CheckpointError: the run has no such attribute.
        ConfigError: the attribute is the length, and there is no map to learn it from, or all
            sentences of the map are equally long.
    """
    if attribute != LENGTH:
        folder = fitted_path(vae.folder, ATTRIBUTE_KIND, attribute)
        return load_attribute(folder, vae.bundle).direction
    if latent_map is None:
        raise ConfigError(
            f"attribute = {quote_value(attribute)} needs the map, which is not ready."
        )
    lengths = torch.tensor([len(text.split()) for text in latent_map.sentences.texts]).double()
    if lengths.min() == lengths.max():
        raise ConfigError("all sentences of the map are equally long; choose another attribute.")
    return torch.from_numpy(compute_slope(latent_map.z.numpy(), lengths.numpy()))
