"""The run folder: what training leaves, and where each thing is in it.

config.json model.safetensors generation_config.json tokenizer*.json   the model, as transformers reads it
README.md          the model card
settings.yaml      the resolved settings
measures.json      the measures, as last evaluated on the run's own test split
training.json      what was logged on the way
corpus/            the tokenised splits (Arrow), counts.json; of a stream the held-out ones, stream.json
checkpoint-N/      while it trains: the newest and the best
init/ .saving/     while it trains: the model it started from, and a checkpoint that is being written
fitted/            what was fitted on the model: directions, calibrations, priors, indices
portrait.json      what a report shows of the model; report.html, the report
logs/              TensorBoard
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset

from textvae.corpus import open_split
from textvae.errors import CheckpointError
from textvae.files import is_temporary, write_json
from textvae.posteriors import POSTERIORS
from textvae.settings import Settings, read_settings

LOCK = ".textvae.lock"  # in a run that is written by a process, where it is not next to the run
SECTIONS = {"data", "model", "training"}  # of settings.yaml, in every release
ENTRIES = {
    *("config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates"),
    *("README.md", "settings.yaml", "training.json", "measures.json", "portrait.json", "report.html"),
    *("corpus", "fitted", "init", "logs", ".saving", LOCK),
    *(".README.md", ".training.json", ".measures.json", ".portrait.json"),  # half-written by earlier releases
    ".DS_Store",
}
NUMBERED = re.compile(r"checkpoint-\d+|model-\d{5}-of-\d{5}\.safetensors")
CORPUS = re.compile(
    r"(train|validation|test)(\.text)?\.arrow|rest\.arrow|cache-\w+\.arrow|counts\.json|stream\.json|\.DS_Store"
)


def is_run(folder: Path) -> bool:
    """Whether a folder is certainly a run of ours, finished or not: its settings are, and so is corpus or model."""
    try:
        settings = yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    if not isinstance(settings, dict) or not settings.keys() >= SECTIONS:
        return False
    return (folder / "corpus" / "counts.json").is_file() or model_type(folder) == "textvae"


def model_type(folder: Path) -> str | None:
    """Return the type of the model that a folder holds, as transformers names it; None where it holds none."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is a run that training has begun and not ended."""
    return is_run(folder) and not Run(folder).is_finished


def foreign_entries(folder: Path) -> list[str]:
    """Return what is in a folder, or its corpus, that no run has: somebody has put it there."""
    root = [path.name for path in folder.iterdir() if not (path.name in ENTRIES or NUMBERED.fullmatch(path.name))]
    corpus = folder / "corpus"
    inner = [path.name for path in corpus.iterdir() if not CORPUS.fullmatch(path.name)] if corpus.is_dir() else []
    return sorted(name for name in (*root, *(f"corpus/{name}" for name in inner)) if not is_temporary(Path(name).name))


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
        write_json(self.folder / name, record)
