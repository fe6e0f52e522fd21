"""The summary of a model: what a report shows of it in addition to its measures.

Everything is computed on the test split with a fixed seed, and is small enough to
be saved as JSON in the run folder.
"""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from textvae.data.arrow import require_known_tokens
from textvae.evaluation.measures import run_model
from textvae.evaluation.measures.aggregate_posterior import kl_by_dimension
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.generate import generate
from textvae.inference.settings import DecodingSettings
from textvae.runs.records import SUMMARY_FILE as SUMMARY_FILE
from textvae.runs.run import Run
from textvae.uses.interpolate import interpolate

_MAX_MAP_POINTS = 2000
_MIN_UMAP_POINTS = 32  # UMAP considers 15 neighbors of each point, and needs clearly more points
_SAMPLE_COUNT = 10
_RECONSTRUCTION_COUNT = 5
_INTERPOLATION_STEPS = 7


def summarize_model(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Return what a report shows of a model, in a form that JSON can hold.

    Returns:
        `samples` from the prior, and for a model with a latent:
        `kl_by_dimension`, in nats, or None if the KL does not split into dimensions;
        `points`, the posterior means on the plane of their first two principal components;
        `explained`, the share of the variance that each of these components explains;
        `umap`, the posterior means on UMAP's plane, or None without UMAP;
        `words`, the length of each sentence;
        `label_column` and `labels`, the label of each sentence, or None without labels;
        `reconstructions`, pairs of a sentence and its reconstruction;
        `interpolation`, sentences from one test sentence to another.
        `points`, `umap`, `words` and `labels` have one entry per test sentence.
    """
    bundle.model.eval()
    samples = generate(bundle, _SAMPLE_COUNT, DecodingSettings(seed=0))
    summary: dict[str, Any] = {"samples": samples}
    if not bundle.model.config.latent_dim:
        return summary
    split = run.open_split("test")
    require_known_tokens(split, bundle.model.config.vocab_size, f"{run.folder}/corpus")
    split = split.select(range(min(len(split), _MAX_MAP_POINTS)))
    outputs = run_model(bundle, split)
    points, explained = project_principal_components(outputs.mean)
    label_columns = run.read_settings().data.all_label_columns
    label_column = label_columns[0] if label_columns else None
    return {
        **summary,
        "kl_by_dimension": kl_by_dimension(outputs),
        "points": points.tolist(),
        "explained": explained,
        "umap": _project_umap(outputs.mean),
        "words": (outputs.words - 1).tolist(),  # the end of the sentence counts as a word there
        "label_column": label_column,
        "labels": list(split[label_column]) if label_column else None,
        **_decode_examples(bundle, split[:_RECONSTRUCTION_COUNT], outputs.mean),
    }


def _decode_examples(bundle: Bundle, rows: dict[str, Any], means: Tensor) -> dict[str, Any]:
    """Return reconstructions of some sentences, and an interpolation from the first to the last.

    Args:
        rows: the columns of these sentences, by name.
        means: posterior means, (n, latent); the first ones belong to these sentences.
    """
    texts = list(rows["text"])
    label_ids = None
    interpolation_bundle = bundle
    if bundle.labels is not None:
        label_ids = bundle.labels.to_ids(rows[bundle.labels.column])
        # All sentences of an interpolation need the same label: that of its first one.
        interpolation_bundle = replace(bundle, fixed_label_id=int(label_ids[0]))
    decoded = decode_latents(
        bundle,
        means[: len(texts)],
        DecodingSettings(),
        samples_by_default=False,
        label_ids=label_ids,
    )
    return {
        "reconstructions": list(zip(texts, decoded, strict=True)),
        "interpolation": interpolate(
            interpolation_bundle,
            [texts[0], texts[-1]],
            _INTERPOLATION_STEPS,
            "linear",
            DecodingSettings(),
        ),
    }


def project_principal_components(means: Tensor) -> tuple[Tensor, list[float]]:
    """Project points onto their first two principal components.

    Args:
        means: (n, latent).

    Returns:
        Points, (n, 2), rounded to four decimals, and the shares of the variance that the two
        components explain; a single share if latent = 1.
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

    UMAP keeps neighbors together (McInnes et al. 2018, arXiv:1802.03426).

    Args:
        means: (n, latent).
    """
    if find_spec("umap") is None or len(means) < _MIN_UMAP_POINTS:
        return None
    from umap import UMAP

    # UMAP gives the same result again only if it runs on one thread.
    projected = UMAP(random_state=0, n_jobs=1).fit_transform(means.numpy())
    points: list[list[float]] = projected.round(4).tolist()
    return points
