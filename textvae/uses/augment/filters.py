"""Which candidates are kept: new texts, of the label they are meant to have, that the model finds plausible."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from textvae.inference.bundle import Bundle
from textvae.uses.features import features
from textvae.uses.neighbors import normalize_vectors
from textvae.uses.score import ScoreSettings, score

if TYPE_CHECKING:
    from textvae.uses.augment.settings import AugmentSettings

_LIKELIHOOD_SAMPLES = 2  # of the posterior, for a text's likelihood


class CandidateFilter:
    """Knows the given texts, and what was kept so far.

    A text reads as the class whose mean its features have most nearly the
    direction of. The encoder's states tell classes apart better than the latent
    does, and directions better than distances (docs/uses/augment.md).
    """

    def __init__(
        self,
        bundle: Bundle,
        texts: Sequence[str],
        names: Sequence[str],
        settings: "AugmentSettings",
    ) -> None:
        self.bundle, self.seed = bundle, settings.seed
        self.seen = {normalize_text(text) for text in texts}
        self.classes, held = sorted(set(names)), np.array(names)
        states = features(bundle, texts)
        self.centres = normalize_vectors(
            np.stack([states[held == name].mean(0) for name in self.classes])
        )
        costs = defaultdict(list)
        for name, cost in zip(names, self.nats_a_token(texts, names), strict=True):
            costs[name].append(cost)
        self.limits = {
            name: float(np.quantile(found, settings.quantile)) for name, found in costs.items()
        }

    def kept(self, texts: Sequence[str], names: Sequence[str]) -> list[int]:
        """Return the places of the texts to keep; they count as seen from then on."""
        places = self.new(texts)
        read = self.read([texts[place] for place in places])
        places = [place for place, name in zip(places, read, strict=True) if name == names[place]]
        costs = self.nats_a_token(
            *([column[place] for place in places] for column in (texts, names))
        )
        places = [
            place
            for place, cost in zip(places, costs, strict=True)
            if cost <= self.limits[names[place]]
        ]
        self.seen |= {normalize_text(texts[place]) for place in places}
        return places

    def new(self, texts: Sequence[str]) -> list[int]:
        """Return the first place of each text that is not blank and was not seen."""
        first: dict[str, int] = {}
        for place, text in enumerate(texts):
            first.setdefault(normalize_text(text), place)
        return [place for text, place in first.items() if text and text not in self.seen]

    def read(self, texts: Sequence[str]) -> list[str]:
        """Return the class each text reads as."""
        nearest = (features(self.bundle, texts) @ self.centres.T).argmax(1)
        return [self.classes[place] for place in nearest]

    def nats_a_token(self, texts: Sequence[str], names: Sequence[str]) -> list[float]:
        """Return the IW-NLL of each text by its tokens; where there is no density, the reconstruction."""
        labels = names if self.bundle.label_column else None
        records = score(
            self.bundle,
            texts,
            ScoreSettings(samples=_LIKELIHOOD_SAMPLES, seed=self.seed),
            labels=labels,
        )
        costs = [
            record["reconstruction"] if record["iw_nll"] is None else record["iw_nll"]
            for record in records
        ]
        return [cost / record["tokens"] for cost, record in zip(costs, records, strict=True)]


def normalize_text(text: str) -> str:
    """Return a text as it is compared: case and spaces do not make it new."""
    return " ".join(text.lower().split())
