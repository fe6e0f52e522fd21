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
model_summary.json what a report shows of the model; report.html, the report
logs/              TensorBoard
"""

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset
from tqdm import tqdm

from textvae.data.corpus import open_split
from textvae.errors import CheckpointError, OutputError
from textvae.model.posteriors import POSTERIORS
from textvae.runtime.files import is_temporary, write_json
from textvae.runtime.locks import hold_lock
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings

LOCK = ".textvae.lock"  # in a run that is written by a process, where it is not next to the run


_RECORDS_LOCK = ".records.lock"  # held for the moment in which a record is changed


_WRITING = 20.0  # seconds that such a moment may take


SECTIONS = {"data", "model", "training"}  # of settings.yaml, in every release


_MODEL = (
    r"(generation_|tokenizer_)?config\.json|model\.safetensors(\.index\.json)?|model-\d{5}-of-\d{5}\.safetensors"
    r"|tokenizer\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|tokenizer\.model"
    r"|spiece\.model|sentencepiece\.bpe\.model|chat_template\.(jinja|json)|additional_chat_templates/[^/]+\.jinja"
)


_STATE = (
    r"(optimizer|scheduler|scaler)\.(pt|bin)|rng_state(_\d+)?\.pth|(trainer|textvae)_state\.json|checksums\.json"
    r"|training_args\.bin"
)


_FILES = re.compile(  # all that a run may hold, each with its folder
    rf"{_MODEL}|README\.md|settings\.yaml|report\.html|(training|measures|model_summary)\.json"
    rf"|\.(README\.md|(training|measures|model_summary)\.json)"  # half-written by earlier releases
    rf"|{re.escape(LOCK)}|{re.escape(_RECORDS_LOCK)}"
    rf"|corpus/((train|validation|test)(\.text)?\.arrow|rest\.arrow|cache-\w+\.arrow|(counts|stream)\.json)"
    rf"|fitted/[^/]+/[^/]+/(fitted\.json|tensors\.safetensors|rows\.arrow|vectors\.faiss)"
    rf"|logs/(.+/)?events\.out\.tfevents\.[^/]+|init/({_MODEL})|checkpoint-\d+/({_MODEL}|{_STATE})|\.saving/.+"
)


_FOLDERS = re.compile(
    r"corpus|fitted|init|logs|additional_chat_templates|checkpoint-\d+|\.saving"
)  # or links to such


def is_run(folder: Path) -> bool:
    """Whether a folder is certainly a run of ours, finished or not: its settings are, and so is corpus or model."""
    try:
        settings = yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    if not isinstance(settings, dict) or not settings.keys() >= SECTIONS:
        return False
    return (folder / "corpus" / "counts.json").is_file() or read_model_type(folder) == "textvae"


def read_model_type(folder: Path) -> str | None:
    """Return the type of the model that a folder holds, as transformers names it; None where it holds none."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is a run that training has begun and not ended."""
    return is_run(folder) and not Run(folder).is_finished


def find_foreign_entries(folder: Path) -> list[str]:
    """Return the files in a folder, at any depth, that no run has: somebody has put them there."""
    found = []
    for place, folders, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        found += [inside / name for name in (*names, *links)]
    return sorted(
        path.as_posix() for path in found if not _is_of_a_run(path, (folder / path).is_symlink())
    )


def _is_of_a_run(path: Path, is_link: bool) -> bool:
    """Whether a run may hold such a file, or a link in the place of one of its folders."""
    if path.name == ".DS_Store" or any(is_temporary(part) for part in path.parts):
        return True
    name = path.as_posix()
    return _FILES.fullmatch(name) is not None or (is_link and _FOLDERS.fullmatch(name) is not None)


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
            raise CheckpointError(
                f"{self.folder}: its corpus folder has no {name} split; give a FILE to measure on."
            )
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
        matched = any(
            technique.matches_prior for technique in settings.objective.techniques.values()
        )
        return matched or POSTERIORS[settings.model.posterior.kind].distribution.has_density

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the run; empty where there is none."""
        file = self.folder / name
        record: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
        return record

    def update(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change a JSON file of the run, while no other process changes it; where it cannot be written, say so."""
        try:
            with hold_lock(
                self.folder / _RECORDS_LOCK,
                f"{self.folder}: another process writes there",
                _WRITING,
            ):
                self.write(name, change(self.read(name)))
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            tqdm.write(f"note: {self.folder / name} is not written: {reason}", file=sys.stderr)

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        write_json(self.folder / name, record)
