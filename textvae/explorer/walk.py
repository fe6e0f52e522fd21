"""Walk: the sentences on a path between two sentences, each with its log-likelihood."""

from functools import partial
from typing import Literal, TypedDict

import torch
from torch import Tensor

from textvae.explorer.latent_map import LatentMap
from textvae.inference.encode import posterior, require_latent
from textvae.uses.density_path import KernelDensity, density_path
from textvae.uses.interpolate import build_path
from textvae.vae import TextVAE

WalkPath = Literal["linear", "spherical", "density"]
WALK_PATHS: tuple[WalkPath, ...] = ("linear", "spherical", "density")
MAX_STEPS = 25

SCORE_SAMPLES = 16  # importance samples of a log-likelihood that is shown


class Place(TypedDict):
    """A text that was decoded from a place of the latent.

    Attributes:
        text: the text.
        log_likelihood: log p(x) in nats, from a few importance samples; log p(x | z) of a model
            without a density; None for an empty text.
        x, y: where it is on the map; None without a map.
    """

    text: str
    log_likelihood: float | None
    x: float | None
    y: float | None


def walk(
    vae: TextVAE,
    first: str,
    second: str,
    *,
    path: WalkPath = "linear",
    steps: int = 9,
    latent_map: LatentMap | None = None,
    density: KernelDensity | None = None,
) -> list[Place]:
    """Decode evenly spaced places from one sentence to another, both ends included.

    Args:
        latent_map: gives the places on the map.
        density: what the path `density` follows.

    Raises:
        ConfigError: the model is a language model.
    """
    require_latent(vae.bundle)
    ends = posterior(vae.bundle, [first, second]).mean
    latent_path = build_path(vae.bundle, "linear" if path == "density" else path, None)
    if path == "density":
        assert density is not None
        latent_path = partial(density_path, density=density)
    return decode_places(vae, latent_path(ends[0], ends[1], steps), latent_map)


def decode_places(vae: TextVAE, z: Tensor, latent_map: LatentMap | None = None) -> list[Place]:
    """Decode latents, (n, latent), greedily, and score what comes out."""
    z = vae.model.prior.project(z)
    texts = vae.decode(z.numpy())
    places = [[None, None]] * len(z)
    if latent_map is not None:
        places = latent_map.projection.to_places(z).tolist()
    rows = zip(texts, score_texts(vae, texts), places, strict=True)
    return [{"text": text, "log_likelihood": nats, "x": x, "y": y} for text, nats, (x, y) in rows]


def decode_at(vae: TextVAE, latent_map: LatentMap, x: float, y: float) -> Place:
    """Decode a place of the map."""
    place = torch.tensor([[x, y]], dtype=torch.float32)
    found = decode_places(vae, latent_map.projection.to_latents(place))[0]
    return {**found, "x": x, "y": y}


def score_texts(vae: TextVAE, texts: list[str]) -> list[float | None]:
    """Return the log-likelihood of each text in nats; None for blank ones."""
    rows = [row for row, text in enumerate(texts) if text.strip()]
    scores: list[float | None] = [None] * len(texts)
    records = vae.score([texts[row] for row in rows], samples=SCORE_SAMPLES, seed=0)
    for row, record in zip(rows, records, strict=True):
        nats = record["reconstruction"] if record["iw_nll"] is None else record["iw_nll"]
        scores[row] = None if nats is None else -nats
    return scores
