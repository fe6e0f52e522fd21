"""The map: where the sentences of a corpus are in the latent, and what is known about each.

Computing it takes seconds to minutes, so it is done once, in steps that report their
progress, and then saved (`map_cache`). All else that the explorer needs from a reference
corpus is part of it: the spread of each dimension, its KL, and the scores of normal
sentences that an anomaly is compared with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.errors import DataError
from textvae.explorer.projection import Projection, ProjectionKind, fit_projection
from textvae.inference.encode import posterior, require_latent
from textvae.runtime.extras import check_installed
from textvae.uses.anomaly import anomaly_scores
from textvae.uses.insight.insight import describe_dimensions
from textvae.uses.settings import AnomalyScore, AnomalySettings
from textvae.vae import TextVAE

Report = Callable[[float, str], None]  # the share that is done, 0 to 1, and what is being done

CLUSTERS = 10
NORMAL_SENTENCES = 500  # held-out sentences that anomalies are compared with
NORMAL_SETTINGS = AnomalySettings()
_MIN_POINTS = 8
_CHUNK = 512  # sentences between two reports
_KL_SENTENCES = 2_000  # for the mean KL of each dimension
_SEED = 0


@dataclass(frozen=True)
class Sentences:
    """Sentences, with a label for each where there are labels."""

    texts: list[str]
    labels: list[str] | None = None

    def part(self, rows: slice) -> "Sentences":
        """Return some of the sentences."""
        return Sentences(self.texts[rows], self.labels and self.labels[rows])


@dataclass(frozen=True)
class LatentMap:
    """Sentences, and what is known about each.

    Shapes:
        z: (n, latent), posterior means; places: (n, 2)
        log_likelihood: (n,), in nats per token: the ELBO, or log p(x | z) without a density
        clusters: (n,), integers
        spread: (latent,), the standard deviation of z in each dimension
        kl: (latent,), in nats per sentence; empty if the KL is not a sum over dimensions
        normal: (m,), the sorted anomaly scores of held-out sentences, in nats per token
    """

    sentences: Sentences
    projection: Projection
    z: Tensor
    places: Tensor
    log_likelihood: Tensor
    clusters: Tensor
    spread: Tensor
    kl: Tensor
    normal: Tensor

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.z)


def compute_map(
    vae: TextVAE,
    sentences: Sentences,
    held_out: Sentences | None = None,
    *,
    projection: ProjectionKind = "pca",
    report: Report = lambda share, what: None,
) -> LatentMap:
    """Encode, score, project and cluster sentences.

    Args:
        sentences: a conditional model needs their labels.
        held_out: normal sentences that the model was not trained on; by default the same ones.
        report: called often, with the share that is done.

    Raises:
        ConfigError: the model is a language model, or a package is missing.
        DataError: there are too few sentences.
    """
    require_latent(vae.bundle)
    check_installed("explore", "the clusters of the map", "sklearn")
    count = len(sentences.texts)
    if count < _MIN_POINTS:
        raise DataError(f"got {count} sentences, too few for a map; give {_MIN_POINTS} or more.")
    z = _encode(vae, sentences.texts, lambda share: report(0.2 * share, "encoding the sentences"))
    log_likelihood = -score_sentences(
        vae,
        sentences,
        _cheap_settings(vae),
        lambda share: report(0.2 + 0.7 * share, "computing their log-likelihoods"),
    )
    report(0.9, "arranging the points")
    fitted = fit_projection(z, projection)
    report(0.94, "finding clusters")
    clusters = _find_clusters(z)
    report(0.97, "scoring held-out sentences")
    normal = (held_out or sentences).part(slice(NORMAL_SENTENCES))
    return LatentMap(
        sentences=sentences,
        projection=fitted,
        z=z,
        places=fitted.to_places(z),
        log_likelihood=log_likelihood,
        clusters=clusters,
        spread=z.std(0),
        kl=_compute_kl(vae, sentences.texts[:_KL_SENTENCES]),
        normal=score_sentences(vae, normal, NORMAL_SETTINGS).sort().values,
    )


def score_sentences(
    vae: TextVAE,
    sentences: Sentences,
    settings: AnomalySettings,
    report: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """Return what each sentence costs in nats per token, (n,), given its label if it has one."""
    scores = torch.empty(len(sentences.texts))
    done = 0
    for label, rows in _group_by_label(vae, sentences).items():
        bundle = (vae if label is None else vae.with_label(label)).bundle
        for start in range(0, len(rows), _CHUNK):
            chosen = rows[start : start + _CHUNK]
            texts = [sentences.texts[row] for row in chosen]
            scores[chosen] = torch.from_numpy(anomaly_scores(bundle, texts, settings)).float()
            done += len(chosen)
            report(done / len(scores))
    return scores


def _group_by_label(vae: TextVAE, sentences: Sentences) -> dict[str | None, list[int]]:
    """Return the rows of each label; None is the key of all rows for an unconditional model."""
    if not vae.labels:
        return {None: list(range(len(sentences.texts)))}
    if sentences.labels is None:
        raise DataError("this model was trained with labels; give the label of each sentence.")
    groups: dict[str | None, list[int]] = {}
    for row, label in enumerate(sentences.labels):
        groups.setdefault(label, []).append(row)
    return groups


def _cheap_settings(vae: TextVAE) -> AnomalySettings:
    """Return how points are scored: by the ELBO under one sample, which is enough for a color."""
    probe = posterior(vae.bundle, ["a"])
    score: AnomalyScore = "elbo" if probe.has_density else "reconstruction"
    return AnomalySettings(score=score, draws=1)


def _encode(vae: TextVAE, texts: Sequence[str], report: Callable[[float], None]) -> Tensor:
    """Return the posterior means, (n, latent)."""
    parts = []
    for start in range(0, len(texts), _CHUNK):
        parts.append(posterior(vae.bundle, texts[start : start + _CHUNK]).mean)
        report(min(1.0, (start + _CHUNK) / len(texts)))
    return torch.cat(parts).float()


def _compute_kl(vae: TextVAE, texts: Sequence[str]) -> Tensor:
    """Return the mean KL of each dimension in nats, (latent,); empty where it is not a sum."""
    records = describe_dimensions(vae.bundle, posterior(vae.bundle, texts))
    nats = [record["kl"] for record in records]
    return torch.empty(0) if None in nats else torch.tensor(nats)


def _find_clusters(z: Tensor) -> Tensor:
    """Return the cluster of each latent, (n,), the largest cluster first."""
    from sklearn.cluster import MiniBatchKMeans

    count = min(CLUSTERS, len(z) // 4)
    model = MiniBatchKMeans(count, random_state=_SEED, n_init=3)
    found = torch.from_numpy(model.fit_predict(z.numpy())).long()
    order = found.bincount(minlength=count).argsort(descending=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(count)
    return rank[found]
