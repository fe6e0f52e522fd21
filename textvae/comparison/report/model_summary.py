"""The portrait of a run: what a report shows of its model beside the measures.

Everything is taken on the test split, under a fixed seed, and small enough to
be kept as JSON in the run folder.
"""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from textvae.evaluation.measures import run_model
from textvae.evaluation.measures.aggregate_posterior import kl_by_dimension
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.generate import generate
from textvae.runs.run import Run
from textvae.uses.interpolate import interpolate

SUMMARY_FILE = "portrait.json"


_MAX_MAP_POINTS = 2000  # in the map


_MIN_UMAP_POINTS = 32  # that UMAP, with its 15 neighbors, can lay out


_RECONSTRUCTION_COUNT = 5  # reconstructions


_SAMPLE_COUNT = 10


def summarize_model(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Return what can be shown of a model; one without a latent has its samples only.

    `points` has a row a sentence: its place on the plane of the two directions
    in which the posterior means vary most, `umap` its place on UMAP's, if that
    is installed; `labels`, where the corpus has some, and `words` colour them.
    """
    settings = run.read_settings()
    bundle.model.eval()
    shown: dict[str, Any] = {"samples": generate(bundle, _SAMPLE_COUNT, DecodingSettings(seed=0))}
    if not bundle.model.config.latent_dim:
        return shown
    split = run.open_split("test")
    split = split.select(range(min(len(split), _MAX_MAP_POINTS)))
    evidence = run_model(bundle, split)
    first = split[:_RECONSTRUCTION_COUNT]
    texts = list(first["text"])
    points, shares = project_principal_components(evidence.mean)
    labels = settings.data.all_label_columns[:1]
    label_ids = None if bundle.labels is None else bundle.labels.ids(first[bundle.labels.column])
    one = bundle if label_ids is None else replace(bundle, label=int(label_ids[0]))
    return {
        **shown,
        "kl_by_dimension": kl_by_dimension(evidence),
        "points": points.tolist(),
        "explained": shares,
        "umap": _project_umap(evidence.mean),
        "words": (evidence.words - 1).tolist(),
        "label_column": labels[0] if labels else None,
        "labels": list(split[labels[0]]) if labels else None,
        "reconstructions": list(
            zip(
                texts,
                decode_latents(
                    bundle,
                    evidence.mean[:_RECONSTRUCTION_COUNT],
                    DecodingSettings(),
                    False,
                    label_ids=label_ids,
                ),
                strict=True,
            )
        ),
        "interpolation": interpolate(one, texts[0], texts[-1], 7, "linear", DecodingSettings()),
    }


def project_principal_components(means: Tensor) -> tuple[Tensor, list[float]]:
    """Return (n, 2) places along the two directions of most variance, and the share of it that each explains."""
    centred = (means - means.mean(0)).double()
    _, spread, directions = torch.linalg.svd(centred, full_matrices=False)
    places = torch.nn.functional.pad(centred @ directions[:2].t(), (0, 2 - len(directions[:2])))
    shares = spread.square() / spread.square().sum().clamp_min(1e-30)
    return places.round(decimals=4), shares[:2].tolist()


def _project_umap(means: Tensor) -> list[list[float]] | None:
    """Return (n, 2) places that keep neighbors together (McInnes et al. 2018, arXiv:1802.03426), by umap-learn."""
    if find_spec("umap") is None or len(means) < _MIN_UMAP_POINTS:
        return None
    from umap import UMAP

    places: list[list[float]] = (
        UMAP(random_state=0, n_jobs=1).fit_transform(means.numpy()).round(4).tolist()
    )
    return places
