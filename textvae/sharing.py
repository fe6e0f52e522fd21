"""A model on its way elsewhere: to another folder, or to the Hugging Face hub, with all that belongs to it."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi

from textvae.bundle import Bundle, save_bundle
from textvae.fitted import FOLDER

RECORDS = ("README.md", "settings.yaml", "measures.json")  # of a run, beside its model


def save_with_records(bundle: Bundle, run: Path | None, folder: Path) -> None:
    """Save a model as safetensors and JSON; from its run, if it has one, the records and what was fitted."""
    save_bundle(bundle, folder)
    for name in RECORDS:
        if run is not None and (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    if run is not None and (run / FOLDER).is_dir():
        shutil.copytree(run / FOLDER, folder / FOLDER, dirs_exist_ok=True)


def push_to_hub(bundle: Bundle, run: Path | None, repository: str, private: bool) -> str:
    """Upload what `save_with_records` saves; return its address."""
    hub = HfApi()
    hub.create_repo(repository, private=private, exist_ok=True)
    with TemporaryDirectory() as folder:
        save_with_records(bundle, run, Path(folder))
        return str(hub.upload_folder(repo_id=repository, folder_path=folder))
