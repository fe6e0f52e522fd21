"""A model on its way elsewhere: to another folder, or to the Hugging Face hub, with all that belongs to it."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi

from textvae.errors import OutputError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import WEIGHTS_FILE, save_bundle
from textvae.runs.fitted import FITTED_FOLDER, RECORD_FILE, refuse_other_folder
from textvae.runs.run import is_run, is_unfinished, read_model_type
from textvae.runtime.files import (
    clean_up_after_kill,
    flush_to_disk,
    new_folder,
    remove,
    replace_folder,
)

_RECORD_FILES = ("README.md", "settings.yaml", "measures.json")  # of a run, beside its model


_OF_ANOTHER = (
    "settings.yaml",
    "measures.json",
    "model_summary.json",
    "report.html",
)  # of a model that is replaced


def save_with_records(bundle: Bundle, run: Path | None, folder: Path) -> None:
    """Save a model as safetensors and JSON; from its run, if it has one, the records and what was fitted.

    Each file appears whole, the weights last; a text VAE that is there already is replaced.

    Raises:
        OutputError: the folder holds files of the same names that belong to something else.
    """
    exists = folder.is_dir()
    place = folder / "model" if exists else folder
    clean_up_after_kill(place)
    is_elsewhere = run is None or not (exists and folder.samefile(run))
    with new_folder(place) as staging:
        save_bundle(bundle, staging)
        for name in _RECORD_FILES:
            if run is not None and is_elsewhere and (run / name).is_file():
                shutil.copyfile(run / name, staging / name)
        _refuse_other_files(folder, [file.name for file in staging.iterdir()], is_elsewhere)
        if run is not None and is_elsewhere:
            _copy_fitted(
                run / FITTED_FOLDER, folder / FITTED_FOLDER if exists else staging / FITTED_FOLDER
            )
        if exists:
            _move_files(staging, folder, is_elsewhere)
        else:
            staging.rename(folder)


def _refuse_other_files(folder: Path, names: list[str], is_elsewhere: bool) -> None:
    """Refuse to write over files that do not belong to a finished text VAE."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder.")
    if is_unfinished(folder):
        raise OutputError(
            f"{folder}: holds a run whose training has not finished; choose another folder."
        )
    if (
        is_elsewhere and is_run(folder) and (folder / "corpus").is_dir()
    ):  # which would then be another model's
        raise OutputError(f"{folder}: holds another run, with its corpus; choose another folder.")
    taken = sorted(name for name in names if os.path.lexists(folder / name))
    if taken and read_model_type(folder) != "textvae":
        raise OutputError(
            f"{folder}: holds {', '.join(taken)}, and no text VAE that these belong to; choose another folder."
        )


def _copy_fitted(source: Path, target: Path) -> None:
    """Copy what was fitted, part by part, each whole."""
    for record in sorted(source.glob(f"*/*/{RECORD_FILE}")):
        part = record.parent
        if part.name.startswith("."):  # being written, or left by a killed process
            continue
        place = target / part.parent.name / part.name
        refuse_other_folder(place)
        with new_folder(place) as staging:
            shutil.copytree(part, staging, dirs_exist_ok=True)
            replace_folder(staging, place)


def _move_files(staging: Path, folder: Path, is_elsewhere: bool) -> None:
    """Move files to a folder, those of the same name being replaced; the weights come last.

    Args:
        is_elsewhere: the folder is not the model's own run, so that records there are of a model that is replaced.
    """
    if is_elsewhere and read_model_type(folder) == "textvae":
        for name in _OF_ANOTHER:
            if not (staging / name).exists() and (folder / name).is_file():
                remove(folder / name)
    for file in sorted(staging.iterdir(), key=lambda file: file.name == WEIGHTS_FILE):
        flush_to_disk(file)
        file.replace(folder / file.name)


def push_to_hub(bundle: Bundle, run: Path | None, repository: str, private: bool) -> str:
    """Upload what `save_with_records` saves; return its address."""
    hub = HfApi()
    hub.create_repo(repository, private=private, exist_ok=True)
    with TemporaryDirectory() as folder:
        save_with_records(bundle, run, Path(folder))
        return str(hub.upload_folder(repo_id=repository, folder_path=folder))
