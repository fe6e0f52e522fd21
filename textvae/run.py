"""The run folder: what training leaves, and where each thing is in it.

config.json model.safetensors generation_config.json tokenizer*.json   the model, as transformers reads it
README.md          the model card
settings.yaml      the resolved settings
measures.json      the measures, as last evaluated on the run's own test split
training.json      what was logged on the way
corpus/            the tokenised splits (Arrow), counts.json; of a stream the held-out ones, stream.json
checkpoint-N/      while it trains: the newest and the best
logs/              TensorBoard
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from textvae.corpus import open_split
from textvae.errors import CheckpointError
from textvae.posteriors import POSTERIORS
from textvae.settings import Settings, read_settings


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @property
    def settings(self) -> Settings:
        """The settings it was trained with.

        Raises:
            CheckpointError: the folder has none.
        """
        file = self.folder / "settings.yaml"
        if not file.is_file():
            raise CheckpointError(
                f"{self.folder}: has no settings.yaml; wanted is a folder that `textvae train` wrote."
            )
        return read_settings(file)

    def split(self, name: str) -> Dataset:
        """Return one of the run's own splits.

        Raises:
            CheckpointError: the folder has no corpus any more.
        """
        if not (self.folder / "corpus" / f"{name}.arrow").is_file():
            raise CheckpointError(f"{self.folder}: its corpus folder has no {name} split; give a FILE to measure on.")
        return open_split(self.folder / "corpus", name)

    @property
    def counts(self) -> dict[str, Any]:
        """What cleaning and tokenising counted."""
        return self.read("corpus/counts.json")

    @property
    def is_streamed(self) -> bool:
        """Whether its corpus is read while it trains."""
        return (self.folder / "corpus" / "stream.json").is_file()

    @property
    def is_finished(self) -> bool:
        """Whether training has come to its end."""
        return (self.folder / "model.safetensors").is_file()

    @property
    def kl_target(self) -> float | None:
        """The KL it was trained to, in nats, if any."""
        target = self.settings.objective.techniques.get("target_kl")
        return None if target is None else float(target.nats)

    @property
    def is_prior_matched(self) -> bool:
        """Whether training drew the latents to the prior; so it is taken to be where no settings tell."""
        if not (self.folder / "settings.yaml").is_file():
            return True
        settings = self.settings
        matched = any(technique.matches_prior for technique in settings.objective.techniques.values())
        return matched or POSTERIORS[settings.model.posterior.kind].distribution.has_density

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the run; empty where there is none."""
        file = self.folder / name
        record: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
        return record

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        beside = self.folder / f".{name}"
        beside.write_text(json.dumps(record, indent=2) + "\n")
        beside.replace(self.folder / name)
