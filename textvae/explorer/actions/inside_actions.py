"""The actions of the panel Look inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, cast

from textvae.explorer.inside import (
    AnomalyGauge,
    Dimension,
    NearSentence,
    Surprisal,
    find_nearest,
    list_dimensions,
    measure_anomaly,
    measure_surprisal,
    traverse_dimension,
)
from textvae.explorer.limits import require_count, require_sentence
from textvae.explorer.shared_run import SharedRun
from textvae.explorer.walk import MAX_STEPS, Place
from textvae.runs.run import Run


class Verdict(TypedDict):
    """The doctor's verdict on the run.

    Attributes:
        verdict: healthy, weak, collapsed or language model.
        findings: the reasons.
        advice: what to change.
        measures: the most important numbers, by name.
    """

    verdict: str
    findings: list[str]
    advice: list[str]
    measures: dict[str, float]


_MEASURES = (
    "kl",
    "elbo",
    "iw_nll",
    "ppl_word",
    "active_units",
    "latent_dim",
    "bleu",
    "shuffled_latent_increase",
)


@dataclass(frozen=True)
class InsideActions:
    """The actions of the panel Look inside."""

    run: SharedRun

    def dimensions(self) -> list[Dimension]:
        """Return the KL and the spread of each dimension, the highest KL first."""
        return list_dimensions(self.run.require_map())

    def traverse(
        self, text: str, dimension: int = 0, steps: int = 7, label: str | None = None
    ) -> list[Place]:
        """Decode a sentence while one dimension of its latent moves from -3 to 3 deviations."""
        sentence = require_sentence(text)
        number = require_count(dimension, "dimension", 1_000_000, at_least=0)
        count = require_count(steps, "steps", MAX_STEPS, at_least=2)
        latent_map = self.run.require_map()
        with self.run.model(label) as vae:
            return traverse_dimension(vae, latent_map, sentence, number, count)

    def nearest(self, text: str, n: int = 10) -> list[NearSentence]:
        """Return the sentences of the map that are nearest to a sentence."""
        sentence = require_sentence(text)
        count = require_count(n, "n", self.run.limit)
        latent_map = self.run.require_map()
        with self.run.model() as vae:
            return find_nearest(vae, latent_map, sentence, count)

    def surprisal(self, text: str, label: str | None = None) -> Surprisal:
        """Return what each token of a sentence costs, in nats."""
        sentence = require_sentence(text)
        with self.run.model(label) as vae:
            return measure_surprisal(vae, sentence)

    def anomaly(self, text: str, label: str | None = None) -> AnomalyGauge:
        """Return how unusual a sentence is among held-out sentences of the run."""
        sentence = require_sentence(text)
        latent_map = self.run.require_map()
        with self.run.model(label) as vae:
            chosen = label or vae.labels[0] if vae.labels else None
            return measure_anomaly(vae, latent_map, sentence, chosen)

    def saved_verdict(self) -> Verdict | None:
        """Return the verdict that `textvae evaluate` saved with the run; None without one."""
        if self.run.folder is None:
            return None
        record = Run(self.run.folder).read_json("measures.json")
        return _summarize(record) if "verdict" in record else None

    def verdict(self) -> Verdict:
        """Return the doctor's verdict, as saved with the run, or judge it now (some seconds)."""
        saved = self.saved_verdict()
        if saved is not None:
            return saved
        with self.run.model() as vae:
            return _summarize(vae.doctor())


def _summarize(record: Mapping[str, object]) -> Verdict:
    """Return the verdict of an evaluation, with the most important numbers."""
    measures = {}
    for name in _MEASURES:
        value = record.get(name)
        if isinstance(value, int | float):
            measures[name] = float(value)
    return {
        "verdict": str(record["verdict"]),
        "findings": [str(line) for line in cast(list[str], record["findings"])],
        "advice": [str(line) for line in cast(list[str], record["advice"])],
        "measures": measures,
    }
