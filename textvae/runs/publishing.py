"""Save a model with its records to another folder."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from textvae.errors import OutputError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import save_bundle
from textvae.inference.model_folder import WEIGHTS_FILE
from textvae.runs.fitted import (
    FITTED_FOLDER,
    RECORD_FILE,
    hash_weights,
    refuse_other_folder,
    replace_model_hash,
)
from textvae.runs.hub import MODEL_FILES
from textvae.runs.run import is_run, is_unfinished, read_model_type
from textvae.runtime.files import (
    clean_up_after_kill,
    flush_to_disk,
    new_folder,
    remove,
    replace_folder,
)

_INDEX_KIND = "index"  # of a fit

# The files of a run, apart from its model, that are copied with the model.
_RECORD_FILES = ("README.md", "settings.yaml", "measures.json")

# The files of a model and its run, which are wrong once another model has replaced it.
_OUTDATED_FILES = (
    *(name for name in MODEL_FILES if "*" not in name),
    "settings.yaml",
    "measures.json",
    "model_summary.json",
    "report.html",
    "training.json",
    "samples.jsonl",
)


@dataclass(frozen=True)
class MergedBundle(Bundle):
    """A bundle that needs no bases, with all adapters merged.

    Attributes:
        original: the bundle that it was merged from. Its latents are the same up to rounding, so
            what was fitted on it is saved with the merged model, too.
    """

    original: Bundle = field(kw_only=True)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> "MergedBundle":
        """Return a merged copy of a bundle."""
        return cls(
            bundle.model.copy_without_bases(),
            bundle.tokenizer,
            bundle.encoder_tokenizer,
            bundle.fixed_label_id,
            original=bundle,
        )


def save_with_records(
    bundle: Bundle, run: Path | None, folder: Path, *, with_indices: bool = True
) -> None:
    """Save a model as safetensors and JSON, with the records and fits of its run, if it has one.

    Each file is written atomically, the weights last. A text VAE that the folder already
    holds is replaced.

    Args:
        with_indices: save the run's indices too, which hold the sentences themselves.

    Raises:
        OutputError: the folder holds files of the same names that belong to something else.
    """
    exists = folder.is_dir()
    # The staging folder is made next to `target`. For an existing folder this is inside it, so
    # that the files need no copying to another disk; no folder `model` is ever written.
    target = folder / "model" if exists else folder
    clean_up_after_kill(target)
    # A run that is saved into its own folder already has its records and fits there.
    is_elsewhere = run is None or not (exists and folder.samefile(run))
    with new_folder(target) as staging:
        save_bundle(bundle, staging)
        if run is not None and is_elsewhere:
            _copy_records(run, staging)
        _refuse_other_files(folder, [file.name for file in staging.iterdir()], is_elsewhere)
        if run is not None and is_elsewhere:
            fitted_parent = folder if exists else staging
            _copy_fitted(run / FITTED_FOLDER, fitted_parent / FITTED_FOLDER, with_indices)
        # A folder that does not exist yet appears with one rename. An existing one may hold
        # files of the user's, so it stays, and the files are moved into it one by one.
        if exists:
            _move_files(staging, folder, is_elsewhere)
            _adopt_fits(folder / FITTED_FOLDER, bundle)
        else:
            _adopt_fits(staging / FITTED_FOLDER, bundle)
            staging.rename(folder)


def _copy_records(run: Path, staging: Path) -> None:
    """Copy those record files of a run that it has."""
    for name in _RECORD_FILES:
        if (run / name).is_file():
            shutil.copyfile(run / name, staging / name)


def _refuse_other_files(folder: Path, names: list[str], is_elsewhere: bool) -> None:
    """Refuse to overwrite files that do not belong to a finished text VAE.

    Raises:
        OutputError: the folder is a file, or holds an unfinished run, another run with its
            corpus, or files of the same names that belong to something else.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder.")
    if is_unfinished(folder):
        raise OutputError(
            f"{folder}: holds a run whose training has not finished; choose another folder."
        )
    # The corpus of another run would look like this model's corpus.
    if is_elsewhere and is_run(folder) and (folder / "corpus").is_dir():
        raise OutputError(f"{folder}: holds another run, with its corpus; choose another folder.")
    taken = sorted(name for name in names if os.path.lexists(folder / name))
    if taken and read_model_type(folder) != "textvae":
        raise OutputError(
            f"{folder}: holds {', '.join(taken)}, but no text VAE that they could belong to; "
            "choose another folder."
        )


def _copy_fitted(source: Path, target: Path, with_indices: bool) -> None:
    """Copy the fits of a run, each of them atomically."""
    for fit in _list_fits(source):
        if fit.parent.name == _INDEX_KIND and not with_indices:
            continue
        destination = target / fit.parent.name / fit.name
        refuse_other_folder(destination)
        with new_folder(destination) as staging:
            shutil.copytree(fit, staging, dirs_exist_ok=True)
            replace_folder(staging, destination)


def _list_fits(fitted: Path) -> list[Path]:
    """Return the folders of all fits of a run."""
    fits = [record.parent for record in sorted(fitted.glob(f"*/*/{RECORD_FILE}"))]
    # A name with a dot is being written, or was left by a killed process.
    return [fit for fit in fits if not fit.name.startswith(".")]


def _adopt_fits(fitted: Path, bundle: Bundle) -> None:
    """Make fits of the model that a merged bundle was merged from fits of the merged model."""
    fits = _list_fits(fitted)
    if not fits or not isinstance(bundle, MergedBundle):
        return
    old = hash_weights(bundle.original)
    new = hash_weights(bundle)
    for fit in fits:
        replace_model_hash(fit, old, new)


def _is_our_card(file: Path) -> bool:
    """Return whether a file is the card of a text VAE, and not the user's own README."""
    try:
        return "\nlibrary_name: textvae\n" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _move_files(staging: Path, folder: Path, is_elsewhere: bool) -> None:
    """Move files into a folder, replacing those of the same name; the weights come last.

    Args:
        is_elsewhere: the folder is not the model's own run, so its records describe another
            model, which is replaced.
    """
    if is_elsewhere and read_model_type(folder) == "textvae":
        for name in _OUTDATED_FILES:
            if not (staging / name).exists() and (folder / name).is_file():
                remove(folder / name)
        card = folder / "README.md"
        if not (staging / card.name).exists() and _is_our_card(card):
            remove(card)
    for file in sorted(staging.iterdir(), key=lambda file: file.name == WEIGHTS_FILE):
        flush_to_disk(file)
        file.replace(folder / file.name)
