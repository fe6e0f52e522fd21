"""The summary of a model: what a report shows of it in addition to its measures.

Everything is computed on the test split under a fixed seed, and is small enough
to be kept as JSON in the run folder.
"""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from textvae.evaluation.measures import run_model
from textvae.evaluation.measures.aggregate_posterior import kl_by_dimension
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.generate import generate
from textvae.inference.settings import DecodingSettings
from textvae.runs.run import Run
from textvae.uses.interpolate import interpolate

SUMMARY_FILE = "model_summary.json"

_MAX_MAP_POINTS = 2000
_MIN_UMAP_POINTS = 32  # UMAP, with its 15 neighbors, needs some more than that
_SAMPLE_COUNT = 10
_RECONSTRUCTION_COUNT = 5
_INTERPOLATION_STEPS = 7


def summarize_model(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Return what a report shows of a model; a model without a latent has only samples.

    The lists `points`, `umap`, `words` and `labels` have one entry per test
    sentence: its place on the plane of the first two principal components of the
    posterior means, its place on UMAP's plane (None if UMAP is not installed),
    its length, and its label (None if the corpus has no labels).
    """
    bundle.model.eval()
    samples = generate(bundle, _SAMPLE_COUNT, DecodingSettings(seed=0))
    summary: dict[str, Any] = {"samples": samples}
    if not bundle.model.config.latent_dim:
        return summary
    split = run.open_split("test")
    split = split.select(range(min(len(split), _MAX_MAP_POINTS)))
    outputs = run_model(bundle, split)
    points, shares = project_principal_components(outputs.mean)
    label_columns = run.read_settings().data.all_label_columns
    label_column = label_columns[0] if label_columns else None
    return {
        **summary,
        "kl_by_dimension": kl_by_dimension(outputs),
        "points": points.tolist(),
        "explained": shares,
        "umap": _project_umap(outputs.mean),
        "words": (outputs.words - 1).tolist(),  # without the end of the sentence
        "label_column": label_column,
        "labels": list(split[label_column]) if label_column else None,
        **_decode_examples(bundle, split[:_RECONSTRUCTION_COUNT], outputs.mean),
    }


def _decode_examples(bundle: Bundle, rows: dict[str, Any], means: Tensor) -> dict[str, Any]:
    """Return reconstructions of some sentences, and an interpolation from the first to the last.

    Args:
        rows: the columns of these sentences.
        means: their posterior means, (n, latent); further rows are ignored.
    """
    texts = list(rows["text"])
    label_ids = None
    one_label = bundle
    if bundle.labels is not None:
        label_ids = bundle.labels.to_ids(rows[bundle.labels.column])
        # All sentences of an interpolation need the same label: that of its first one.
        one_label = replace(bundle, fixed_label_id=int(label_ids[0]))
    decoded = decode_latents(
        bundle, means[: len(texts)], DecodingSettings(), False, label_ids=label_ids
    )
    return {
        "reconstructions": list(zip(texts, decoded, strict=True)),
        "interpolation": interpolate(
            one_label, texts[0], texts[-1], _INTERPOLATION_STEPS, "linear", DecodingSettings()
        ),
    }


def project_principal_components(means: Tensor) -> tuple[Tensor, list[float]]:
    """Project points onto their first two principal components.

    Args:
        means: (n, latent).

    Returns:
        Points, (n, 2), and the share of the variance that each component explains.
    """
    centered = (means - means.mean(0)).double()
    _, singular_values, directions = torch.linalg.svd(centered, full_matrices=False)
    points = centered @ directions[:2].t()
    # A latent of one dimension has a single component; the second coordinate is 0.
    points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    variances = singular_values.square()
    # The floor avoids 0 / 0 where all means are the same.
    shares = variances / variances.sum().clamp_min(1e-30)
    return points.round(decimals=4), shares[:2].tolist()


def _project_umap(means: Tensor) -> list[list[float]] | None:
    """Return UMAP's projection, (n, 2), or None if umap-learn is missing or there are few points.

    It keeps neighbors together (McInnes et al. 2018, arXiv:1802.03426).
    """
    if find_spec("umap") is None or len(means) < _MIN_UMAP_POINTS:
        return None
    from umap import UMAP

    # UMAP is only reproducible on one thread.
    projected = UMAP(random_state=0, n_jobs=1).fit_transform(means.numpy())
    points: list[list[float]] = projected.round(4).tolist()
    return points
