"""A skill for coding agents: how to train, check and use a text VAE, as files in Markdown.

`SKILL.md` is in the format of Agent Skills (https://agentskills.io): a name, a description that
says when to use it, and instructions, which route to the other files of the folder.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from textvae.errors import OutputError
from textvae.runtime.files import new_folder, replace_folder

SKILL_FILE = "SKILL.md"


def read_skill() -> str:
    """Return the text of SKILL.md."""
    return (files(__name__) / SKILL_FILE).read_text(encoding="utf-8")


def install_skill(parent: Path) -> Path:
    """Copy the skill's files to the folder `textvae` in a folder of skills; return that folder.

    An earlier copy of the skill is replaced.

    Raises:
        OutputError: the folder `textvae` exists and holds other files.
    """
    folder = parent / "textvae"
    with as_file(files(__name__)) as source:
        pages = sorted(source.glob("*.md"))
        _refuse_other_files(folder, {page.name for page in pages})
        with new_folder(folder) as staging:
            for page in pages:
                shutil.copyfile(page, staging / page.name)
            replace_folder(staging, folder)
    return folder


def _refuse_other_files(folder: Path, names: set[str]) -> None:
    """Refuse a place that holds anything but files of the skill.

    Raises:
        OutputError: it does.
    """
    if not folder.exists():
        return
    is_skill = folder.is_dir() and {file.name for file in folder.iterdir()} <= names
    if not is_skill:
        raise OutputError(
            f"{folder}: exists and is not the skill alone; choose another folder of skills."
        )
