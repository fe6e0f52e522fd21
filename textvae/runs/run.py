"""The run folder: what training writes, and where.

config.json model.safetensors generation_config.json tokenizer*.json   the model
README.md          the model card
settings.yaml      the resolved settings
measures.json      the measures, as last evaluated on the run's own test split
training.json      the log of the training
samples.jsonl      what the model wrote at the evaluations of the training
progress.jsonl     during training: the log so far
corpus/            the tokenized splits (Arrow), counts.json; stream.json if it is a stream
checkpoint-N/      during training: the newest and the best
init/ .saving/     during training: the model it started from, and an unfinished checkpoint
fitted/            what was fitted on the model: directions, calibrations, priors, indices
model_summary.json what the report, report.html, shows about the model
logs/              TensorBoard
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.errors import CheckpointError, ConfigError, OutputError
from textvae.messages import print_note
from textvae.model.posteriors import POSTERIORS
from textvae.objective.techniques.base import ObjectiveTerm
from textvae.runs.records import COUNTS_FILE, read_record
from textvae.runtime.files import is_temporary, read_json, write_json
from textvae.runtime.locks import hold_lock
from textvae.runtime.yaml_text import read_yaml_file
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings

if TYPE_CHECKING:
    from datasets import Dataset

    from textvae.data.run_corpus.base import Corpus

# The lock file of a training process. It is next to the run folder, or inside it if the run
# folder is a mount point or its parent is not writable.
LOCK = ".textvae.lock"

_RECORDS_LOCK = ".records.lock"  # locked while a record is changed
_RECORDS_TIMEOUT = 20.0  # seconds to wait for that lock

PROGRESS_FILE = "progress.jsonl"
SAMPLES_FILE = "samples.jsonl"

INIT_FOLDER = "init"  # inside a run: the model that training starts from
SETTINGS_FILE = "settings.yaml"

SECTIONS = {"data", "model", "training"}  # settings.yaml has them in every release


# The model and its tokenizer, as transformers saves them.
_MODEL = (
    r"(generation_|tokenizer_)?config\.json"
    r"|model\.safetensors(\.index\.json)?|model-\d{5}-of-\d{5}\.safetensors"
    r"|(encoder_)?tokenizer\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|tokenizer\.model|spiece\.model|sentencepiece\.bpe\.model"
    r"|chat_template\.(jinja|json)|additional_chat_templates/[^/]+\.jinja"
)

# The rest of a checkpoint.
_STATE = (
    r"(optimizer|scheduler|scaler)\.(pt|bin)|rng_state(_\d+)?\.pth"
    r"|(trainer|textvae)_state\.json|checksums\.json|training_args\.bin"
)

# The paths of all files that a run may hold. --overwrite deletes a folder only if nothing
# else is in it, so a pattern that is too wide could cost somebody their files.
_FILES = re.compile(
    rf"{_MODEL}|README\.md|settings\.yaml|report\.html|(training|measures|model_summary)\.json"
    rf"|(progress|samples)\.jsonl"
    rf"|\.(README\.md|(training|measures|model_summary)\.json)"  # partly written by earlier releases
    rf"|{re.escape(LOCK)}|{re.escape(_RECORDS_LOCK)}"
    rf"|corpus/((train|validation|test)(\.text)?\.arrow|\.?(train|validation)\.(en|de)coder_states\.arrow(\.partial)?|rest\.arrow|cache-\w+\.arrow"
    rf"|(counts|stream)\.json)"
    rf"|fitted/[^/]+/[^/]+/(fitted\.json|tensors\.safetensors|rows\.arrow|vectors\.faiss)"
    rf"|logs/(.+/)?events\.out\.tfevents\.[^/]+"
    rf"|init/({_MODEL})|checkpoint-\d+/({_MODEL}|{_STATE})|\.saving/.+"
)

# A user may have replaced one of these folders by a link to another disk.
_FOLDERS = re.compile(r"corpus|fitted|init|logs|additional_chat_templates|checkpoint-\d+|\.saving")


def is_run(folder: Path) -> bool:
    """Return whether a folder is certainly a run of textvae, finished or not.

    Other programs have a settings.yaml, too. So the settings must have our sections,
    and the folder must hold a corpus or a model of ours.
    """
    if not _has_sections(folder / SETTINGS_FILE):
        return False
    return (folder / "corpus" / "counts.json").is_file() or read_model_type(folder) == "textvae"


def _has_sections(file: Path) -> bool:
    """Return whether a file holds settings with the sections that those of every run have."""
    try:
        settings = read_yaml_file(file).content
    except ConfigError:
        return False
    return isinstance(settings, dict) and settings.keys() >= SECTIONS


def read_model_type(folder: Path) -> str | None:
    """Return the type of the model in a folder, as transformers names it, or None."""
    try:
        return str(read_json(folder / "config.json")["model_type"])
    except (ValueError, TypeError, KeyError):
        return None


def choose_lock_file(folder: Path) -> Path:
    """Return the lock file of a run: next to the run, or inside it if that is not possible.

    A lock inside the run would be lost when --overwrite replaces the run. But a mount point,
    and a folder whose parent is not writable, are never replaced, so their lock can be inside.
    """
    path = folder.resolve()
    is_never_replaced = path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))
    if is_never_replaced:
        return path / LOCK
    return path.with_name(f".{path.name}{LOCK}")


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder is a run whose training has not finished."""
    return is_run(folder) and not Run(folder).is_finished()


def find_foreign_entries(folder: Path) -> list[str]:
    """Return the files in a folder, at any depth, that do not belong to a run."""
    paths = []
    for parent, folders, names in os.walk(folder):
        relative_parent = Path(parent).relative_to(folder)
        # os.walk lists a link to a folder as a folder, but does not enter it.
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        paths += [relative_parent / name for name in (*names, *links)]
    return sorted(
        path.as_posix()
        for path in paths
        if not _may_be_in_run(path, is_link=(folder / path).is_symlink())
    )


def _may_be_in_run(path: Path, is_link: bool) -> bool:
    """Return whether a run may hold such a file, or a link that replaces one of its folders."""
    if path.name == ".DS_Store" or any(is_temporary(part) for part in path.parts):
        return True
    name = path.as_posix()
    return _FILES.fullmatch(name) is not None or (is_link and _FOLDERS.fullmatch(name) is not None)


def find_best_step(history: list[dict[str, Any]]) -> int | None:
    """Return the step of the checkpoint that became the model; None if it is the last step.

    Args:
        history: the logged values of a training.
    """
    best = None
    lowest = math.inf
    for entry in history:
        # It is infinite for a model that was not eligible as the best.
        if entry.get("eval_selection", math.inf) < lowest:
            lowest = entry["eval_selection"]
            best = int(entry["step"])
    return best


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    def read_settings(self) -> Settings:
        """Return the settings that the run was trained with.

        Raises:
            CheckpointError: the folder has no settings.yaml, or a damaged one.
        """
        file = self.folder / SETTINGS_FILE
        if not file.is_file():
            raise CheckpointError(
                f"{self.folder}: has no settings.yaml; expected a folder that `textvae train` wrote."
            )
        try:
            settings = read_settings(file)
        except Exception as error:  # the constructors of YAML's types raise errors of any class
            reason = str(error) or type(error).__name__
            raise CheckpointError(
                f"{file}: does not hold the settings of a run: {reason} Copy the whole run again."
            ) from error
        # Without its sections, all settings would have their defaults.
        if not _has_sections(file):
            raise CheckpointError(
                f"{self.folder}: is not a run of textvae, although it has a {SETTINGS_FILE}: that "
                f"file lacks {', '.join(sorted(SECTIONS))}. Name the folder of a run, or copy the "
                "whole run again."
            )
        return settings

    def open_split(self, name: str) -> "Dataset":
        """Return one of the run's own splits.

        Raises:
            CheckpointError: the folder does not have this split (any more), or it is damaged.
        """
        # Imported late, here and below: most verbs need the model alone, not the corpus.
        from textvae.data.corpus import open_split

        if not (self.folder / "corpus" / f"{name}.arrow").is_file():
            raise CheckpointError(
                f"{self.folder}: its corpus folder has no {name} split, as a model of the hub has none. "
                "Give sentences of your own: textvae evaluate RUN FILE, textvae reconstruct RUN FILE."
            )
        return open_split(self.folder / "corpus", name)

    def open_corpus(self) -> "Corpus":
        """Return the run's corpus."""
        from textvae.data.run_corpus import open_corpus

        return open_corpus(self.folder / "corpus", self.read_settings().data)

    def read_counts(self) -> dict[str, Any]:
        """Return what was counted while the corpus was cleaned and tokenized."""
        return self.read_json(COUNTS_FILE)

    def is_streamed(self) -> bool:
        """Return whether the corpus is read as a stream during training."""
        from textvae.data.run_corpus import is_stream_folder

        return is_stream_folder(self.folder / "corpus")

    def is_finished(self) -> bool:
        """Return whether the training has finished: the weights are written last."""
        return (self.folder / "model.safetensors").is_file()

    def read_kl_target(self) -> float | None:
        """Return the KL that training aimed at, in nats per sentence, or None."""
        target = self.read_settings().objective.techniques.get("target_kl")
        return None if target is None else float(target.nats)

    def read_kl_weight(self) -> float | None:
        """Return the factor by which the KL counted in the loss of the saved model, or None.

        It is the average over the steps before the model's checkpoint, from the log of the
        training. If the posterior was refitted, it is that of the phase before, in which the
        decoder was trained. None for a model without a KL, without a log, and for an objective in
        which no factor says how much the KL counts, because it is clamped or replaced.
        """
        log = self.read_json("training.json")
        history = log.get("history", [])
        logged = [entry for entry in history if entry.get("kl")]  # evaluations have no such key
        if not logged:
            return None
        techniques: dict[str, Any] = {}
        if (self.folder / SETTINGS_FILE).is_file():
            techniques = self.read_settings().objective.techniques
        is_replaced = any(ObjectiveTerm.KL in part.replaces for part in techniques.values())
        if is_replaced or "free_bits" in techniques:
            return None
        kept = log.get("kept_step")
        if kept is None:  # a log of an earlier release
            kept = find_best_step(history)
        before_refit = log.get("kl_before_refit")
        if before_refit is not None:
            # The refit started from the evaluation that found this KL.
            starts = [entry["step"] for entry in history if entry.get("eval_kl") == before_refit]
            kept = starts[0] if starts else kept
        before = [entry for entry in logged if kept is None or entry["step"] <= kept]
        return float((before or logged[:1])[-1]["kl_weight"])

    def read_kl_before_refit(self) -> float | None:
        """Return the validation KL in nats before the posterior was refitted; None without a refit."""
        kl = self.read_json("training.json").get("kl_before_refit")
        return None if kl is None else float(kl)

    def is_prior_matched(self) -> bool:
        """Return whether training matched the latents to the prior.

        It is True for a model that was saved without its settings, which cannot say.
        """
        if not (self.folder / SETTINGS_FILE).is_file():
            return True
        settings = self.read_settings()
        if any(technique.matches_prior for technique in settings.objective.techniques.values()):
            return True
        if getattr(settings.objective.techniques.get("kl_weight"), "weight", 1.0) == 0:
            return False
        # A posterior with a density is trained with the KL to the prior; one without has no KL.
        return POSTERIORS[settings.model.posterior.kind].distribution.has_density

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file of the run; empty if the file does not exist.

        Raises:
            CheckpointError: the file is damaged.
        """
        return read_record(self.folder, name)

    def update(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change a JSON file of the run while no other process changes it.

        A failure only prints a note, so that the caller can still show the new values:
        they may have taken hours to compute. A damaged file is replaced.
        """
        try:
            with hold_lock(
                self.folder / _RECORDS_LOCK,
                f"{self.folder}: another process is writing to this run",
                _RECORDS_TIMEOUT,
            ):
                self.write_json(name, change(self._read_unless_damaged(name)))
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            print_note(f"{self.folder / name} was not written: {reason}")

    def _read_unless_damaged(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file of the run; empty, with a note, if it is damaged."""
        try:
            return self.read_json(name)
        except CheckpointError as error:
            print_note(f"{error} It is replaced.")
            return {}

    def write_json(self, name: str, record: dict[str, Any]) -> None:
        """Write a JSON file of the run atomically."""
        write_json(self.folder / name, record)
