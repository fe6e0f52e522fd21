"""Filter candidates: accept new texts of the intended class that the model finds plausible."""

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import numpy as np

from textvae.inference.bundle import Bundle
from textvae.uses.features import features
from textvae.uses.neighbors import normalize_vectors
from textvae.uses.score import score
from textvae.uses.settings import AugmentSettings, ScoreSettings

_LIKELIHOOD_SAMPLES = 2  # importance samples per text


class CandidateFilter:
    """Accepts candidates, and remembers which texts it has seen.

    A text is classified by the class mean with the highest cosine similarity to its
    features. The encoder's states separate classes better than the latent does, and
    the cosine better than the distance (docs/uses/augment.md).

    Attributes:
        seen: the input texts and all texts accepted so far, normalized.
        classes: the names of the classes, sorted.
        class_centers: (classes, width), of length one.
        max_nats_per_token: by class, the cost above which a text is implausible.
    """

    def __init__(
        self,
        bundle: Bundle,
        texts: Sequence[str],
        names: Sequence[str],
        settings: AugmentSettings,
    ) -> None:
        self.bundle = bundle
        self.seed = settings.seed
        self.seen = {normalize_text(text) for text in texts}
        self.classes = sorted(set(names))
        names_array = np.array(names)
        states = features(bundle, texts)
        means = [states[names_array == name].mean(0) for name in self.classes]
        self.class_centers = normalize_vectors(np.stack(means))
        costs_by_class = defaultdict(list)
        for name, cost in zip(names, self.nats_per_token(texts, names), strict=True):
            costs_by_class[name].append(cost)
        self.max_nats_per_token = {
            name: float(np.quantile(costs, settings.quantile))
            for name, costs in costs_by_class.items()
        }

    def accept(self, texts: Sequence[str], names: Sequence[str]) -> list[int]:
        """Return the indices of the accepted texts, and remember these texts as seen.

        Args:
            names: the class each text should have.
        """
        # The cheap checks come first, so that few texts are left to compute likelihoods for.
        indices = self.find_new(texts)
        predicted = self.classify([texts[index] for index in indices])
        indices = [
            index for index, name in zip(indices, predicted, strict=True) if name == names[index]
        ]
        costs = self.nats_per_token(
            [texts[index] for index in indices], [names[index] for index in indices]
        )
        indices = [
            index
            for index, cost in zip(indices, costs, strict=True)
            if cost <= self.max_nats_per_token[names[index]]
        ]
        self.seen |= {normalize_text(texts[index]) for index in indices}
        return indices

    def find_new(self, texts: Sequence[str]) -> list[int]:
        """Return the index of the first copy of each text that is neither blank nor seen before."""
        first: dict[str, int] = {}
        for index, text in enumerate(texts):
            first.setdefault(normalize_text(text), index)
        return [index for text, index in first.items() if text and text not in self.seen]

    def classify(self, texts: Sequence[str]) -> list[str]:
        """Return the class of each text."""
        nearest = (features(self.bundle, texts) @ self.class_centers.T).argmax(1)
        return [self.classes[index] for index in nearest]

    def nats_per_token(self, texts: Sequence[str], names: Sequence[str]) -> list[float]:
        """Return the IW-NLL of each text in nats per token; a conditional model uses its class.

        Where the posterior has no density, it is the reconstruction cost.
        """
        labels = names if self.bundle.label_column else None
        settings = ScoreSettings(samples=_LIKELIHOOD_SAMPLES, seed=self.seed)
        costs = []
        for record in score(self.bundle, texts, settings, labels=labels):
            nats = record["reconstruction"] if record["iw_nll"] is None else record["iw_nll"]
            # Only the record of a blank text has None here, and blank texts were left out.
            costs.append(cast(float, nats) / cast(int, record["tokens"]))
        return costs


def normalize_text(text: str) -> str:
    """Return a text in lower case with single spaces, the form in which texts are compared."""
    return " ".join(text.lower().split())
