"""Save a computed map with the run, or in a cache folder if the run cannot be written.

A map is a fit like an attribute or an index: tensors as safetensors, a record as JSON, and
the hash of the weights it belongs to. Its name is a digest of the sentences and of how they
are arranged, so a map of other sentences, or of more, is another fit. The sentences
themselves are not saved: the run has them.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from textvae.errors import CheckpointError, OutputError
from textvae.explorer.latent_map import LatentMap, Sentences
from textvae.explorer.projection import (
    NearestPoints,
    PrincipalComponents,
    Projection,
    ProjectionKind,
)
from textvae.inference.bundle import Bundle
from textvae.runs.fitted import explain_damage, fitted_path, hash_weights, load_fitted, save_fitted

MAP_KIND = "map"

_FORMAT = 1  # of a saved map; with a new number, older ones are not found
_TENSORS = ("z", "places", "log_likelihood", "clusters", "spread", "kl", "normal")


def name_map(sentences: Sentences, held_out: Sentences | None, projection: ProjectionKind) -> str:
    """Return the name of the map of these sentences: a digest of all that it depends on."""
    digest = blake2b(f"{_FORMAT} {projection}".encode(), digest_size=10)
    for part in (sentences, held_out or sentences):
        for column in (part.texts, part.labels or []):
            digest.update(f"{len(column)}\n".encode())
            for value in column:
                digest.update(value.encode() + b"\n")
    return digest.hexdigest()


def list_map_folders(run: Path | None, bundle: Bundle, name: str) -> list[Path]:
    """Return the folders where the map may be: in the run, and in the cache of this machine."""
    folders = [_find_cache() / hash_weights(bundle) / MAP_KIND / name]
    return folders if run is None else [fitted_path(run, MAP_KIND, name), *folders]


def save_map(folders: list[Path], bundle: Bundle, latent_map: LatentMap) -> Path | None:
    """Save a map in the first of the folders that can be written; return it, or None."""
    tensors = {name: getattr(latent_map, name) for name in _TENSORS}
    if isinstance(latent_map.projection, PrincipalComponents):
        tensors |= {"mean": latent_map.projection.mean, "axes": latent_map.projection.axes}
    record = {"projection": latent_map.projection.kind, "sentences": len(latent_map)}
    for folder in folders:
        try:
            save_fitted(folder, bundle, MAP_KIND, record, tensors)
        except (OSError, OutputError):  # a run may be read-only, or on a full disk
            continue
        return folder
    return None


def load_map(folders: list[Path], bundle: Bundle, sentences: Sentences) -> LatentMap | None:
    """Return the saved map of these sentences; None if it is missing or damaged."""
    for folder in folders:
        try:
            record, tensors = load_fitted(folder, bundle, MAP_KIND)
            with explain_damage(folder):
                return _build_map(record, tensors, sentences)
        except CheckpointError:  # it is computed again
            continue
    return None


def _build_map(
    record: dict[str, Any], tensors: dict[str, Tensor], sentences: Sentences
) -> LatentMap:
    """Return the map that a record and its tensors describe.

    Raises:
        ValueError: they do not belong to these sentences.
    """
    count = len(sentences.texts)
    for name in ("z", "places", "log_likelihood", "clusters"):
        if len(tensors[name]) != count:
            raise ValueError(f"{name} has {len(tensors[name])} rows for {count} sentences")
    if record["projection"] not in get_args(ProjectionKind):
        raise ValueError("its record names an unknown projection")
    projection: Projection = NearestPoints(tensors["z"], tensors["places"])
    if record["projection"] == "pca":
        projection = PrincipalComponents(tensors["mean"], tensors["axes"])
    fields = {name: tensors[name] for name in _TENSORS}
    return LatentMap(sentences=sentences, projection=projection, **fields)


def _find_cache() -> Path:
    """Return the folder of textvae in the user's cache."""
    import datasets

    return Path(os.path.expanduser(datasets.config.HF_CACHE_HOME)) / "textvae" / "maps"
