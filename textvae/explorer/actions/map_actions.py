"""The actions of the map: its points, its sentences, and the text at a place."""

import math
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from textvae.explorer.latent_map import LatentMap
from textvae.explorer.limits import require_count, require_number, require_sentence
from textvae.explorer.shared_run import SharedRun
from textvae.explorer.walk import Place, decode_at
from textvae.inference.encode import posterior

_MAX_COORDINATE = 1e6
_MAX_LABELS = 255  # of colors; the last stands for all rarer labels
_QUANTILES = (0.01, 0.99)  # a few extreme values should not take up the scale


class MapPoints(TypedDict):
    """The points of the map, one entry per sentence in each list.

    Attributes:
        text: the sentences.
        x, y: their places.
        log_likelihood: in nats per token.
        cluster: the number of the cluster.
        label: the label; empty for a corpus without labels.
    """

    text: list[str]
    x: list[float]
    y: list[float]
    log_likelihood: list[float]
    cluster: list[int]
    label: list[str]


class Hit(TypedDict):
    """A sentence of the map that contains the words of a search."""

    index: int
    text: str
    x: float
    y: float


@dataclass(frozen=True)
class MapActions:
    """The actions of the map."""

    run: SharedRun

    def map_points(self) -> MapPoints:
        """Return all points of the map."""
        latent_map = self.run.require_map()
        x, y = latent_map.places.T.tolist()
        return {
            "text": latent_map.sentences.texts,
            "x": x,
            "y": y,
            "log_likelihood": latent_map.log_likelihood.tolist(),
            "cluster": latent_map.clusters.tolist(),
            "label": latent_map.sentences.labels or [],
        }

    def search(self, words: str, n: int = 50) -> list[Hit]:
        """Return the first sentences of the map that contain these words, whatever their case."""
        needle = require_sentence(words, "the search").casefold()
        count = require_count(n, "n", 1_000)
        latent_map = self.run.require_map()
        places = latent_map.places.tolist()
        hits: list[Hit] = []
        for index, text in enumerate(latent_map.sentences.texts):
            if needle in text.casefold():
                x, y = places[index]
                hits.append({"index": index, "text": text, "x": x, "y": y})
            if len(hits) == count:
                break
        return hits

    def decode_at(self, x: float, y: float, label: str | None = None) -> Place:
        """Decode a place of the map to a text."""
        place = [
            require_number(value, name, -_MAX_COORDINATE, _MAX_COORDINATE)
            for name, value in (("x", x), ("y", y))
        ]
        latent_map = self.run.require_map()
        with self.run.model(label) as vae:
            return decode_at(vae, latent_map, *place)

    def locate(self, text: str) -> Place:
        """Return where a sentence is on the map; its log-likelihood is left out."""
        sentence = require_sentence(text)
        latent_map = self.run.require_map()
        with self.run.model() as vae:
            z = posterior(vae.bundle, [sentence]).mean
        ((x, y),) = latent_map.projection.to_places(z).tolist()
        return {"text": sentence, "log_likelihood": None, "x": x, "y": y}


def pack_map(latent_map: LatentMap) -> dict[str, Any]:
    """Return the points and their colors as packed numbers, for the page.

    Coordinates are 32-bit numbers, colors one byte per point, all in base64: 50,000 points are
    about 700 KB, where JSON would need several megabytes and a parser.
    """
    places = latent_map.places.numpy().astype("<f4")
    return {
        "ready": True,
        "x": _encode(places[:, 0]),
        "y": _encode(places[:, 1]),
        "colors": list(_list_colors(latent_map)),
    }


def _list_colors(latent_map: LatentMap) -> list[dict[str, Any]]:
    """Return the ways to color the points: classes by number, amounts from 0 to 255."""
    sentences = latent_map.sentences
    colors = []
    if sentences.labels is not None:
        counts = Counter(sentences.labels)
        names = sorted(counts, key=lambda name: (-counts[name], name))
        numbers = {name: min(number, _MAX_LABELS) for number, name in enumerate(names)}
        values = np.array([numbers[label] for label in sentences.labels], dtype=np.uint8)
        kept = names[: _MAX_LABELS + 1]
        if len(names) > len(kept):
            kept[-1] = "another label"  # of the rarest, which share a color
        colors.append({"name": "label", "names": kept, "packed": _encode(values)})
    lengths = np.array([len(text.split()) for text in sentences.texts], dtype=np.float64)
    colors.append(_scale("length", lengths, "{:.0f} words"))
    nats = latent_map.log_likelihood.double().numpy()
    colors.append(_scale("log-likelihood", nats, "{:.1f} nats per token"))
    clusters = latent_map.clusters.numpy().astype(np.uint8)
    names = [str(number + 1) for number in range(int(clusters.max()) + 1)]
    colors.append({"name": "cluster", "names": names, "packed": _encode(clusters)})
    return colors


def _scale(name: str, values: Any, form: str) -> dict[str, Any]:
    """Return amounts as a color from 0 to 255, with the amounts at the two ends."""
    low, high = np.nanquantile(values, _QUANTILES)
    width = high - low or math.inf
    scaled = np.nan_to_num((values - low) / width).clip(0, 1) * 255
    packed = _encode(scaled.round().astype(np.uint8))
    return {"name": name, "low": form.format(low), "high": form.format(high), "packed": packed}


def _encode(values: Any) -> str:
    """Return the bytes of an array in base64."""
    return b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def describe_wait(run: SharedRun) -> dict[str, Any]:
    """Return how far the map is, for a page that waits for it."""
    status = run.status
    what = status.what
    if not run.has_weights():
        what = "the training of this run has not finished; the panel Training shows how far it is."
    return {
        "ready": False,
        "share": status.share,
        "what": what,
        "failed": status.is_failed and run.has_weights(),
    }
