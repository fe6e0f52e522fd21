"""Pages of documentation whose commands and Python examples are run, on a tiny run."""

import re
import shlex
import shutil
from pathlib import Path

from tests.tiny_run import SENTENCES, SETTINGS

ROOT = Path(__file__).parents[1]
SMALL_PARTS = {name: SETTINGS[name] for name in ("tokenizer", "model")}
TINY = [
    f"{section}.{name}={value}"
    for section, values in SETTINGS.items()
    for name, value in values.items()
    if not isinstance(value, dict)
]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return a page's blocks of code, each with its language."""
    return re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return the `textvae` commands of a page."""
    lines = [
        line.removeprefix("$ ")
        for language, block in blocks(page)
        if language in ("bash", "console")
        for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith("textvae ")]


def examples(page: Path) -> list[str]:
    """Return the Python examples of a page."""
    return [block for language, block in blocks(page) if language == "python"]


def furnish(folder: Path, run: Path) -> Path:
    """Put the files and runs that pages speak of into a folder, and return it."""
    for name in ("my.txt", "other.txt"):
        (folder / name).write_text("\n".join(SENTENCES) + "\n")
    rows = [f"{sentence},{'two' if 'two' in sentence else 'one'}" for sentence in SENTENCES]
    (folder / "labelled.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    for name in ("demo", "mine"):
        shutil.copytree(run, folder / "runs" / name)
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def on_a_small_scale(command: str) -> list[str]:
    """Return the command's words; a training gets tiny settings beside its own, and may replace what stands."""
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "train" and "--resume" not in words:
        given = {word.split("=")[0] for word in words}
        tiny = [setting for setting in TINY if setting.split("=")[0] not in given]
        tiny = [
            setting
            for setting in tiny
            if "--init" not in words or not setting.startswith(("tokenizer.", "model."))
        ]
        words += [*tiny, "--overwrite"]
    if words[0] == "compare":
        words[words.index("--seeds") + 1] = "1"
        words += ["data.corpus=my.txt", *TINY, "--samples", "2", "--limit", "4"]
    if "--samples" in words:
        words[words.index("--samples") + 1] = "2"
    return words
