"""The README: every command and every Python example in it runs, on a tiny run."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

import textvae
from tests.tiny_run import SENTENCES, SETTINGS
from textvae.cli import main

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for language, block in BLOCKS
    if language in ("bash", "console")
    for line in block.splitlines()
    if line.removeprefix("$ ").startswith("textvae ")
]
EXAMPLES = [block for language, block in BLOCKS if language == "python"]
SMALL_PARTS = {name: SETTINGS[name] for name in ("tokenizer", "model")}
TINY = [
    f"{section}.{name}={value}"
    for section, values in SETTINGS.items()
    for name, value in values.items()
    if not isinstance(value, dict)
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_run) -> Path:
    """A folder where the files and runs of the README stand."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("my.txt", "other.txt"):
        (folder / name).write_text("\n".join(SENTENCES) + "\n")
    shutil.copytree(tiny_run, folder / "runs" / "demo")
    shutil.copytree(tiny_run, folder / "runs" / "mine")
    shutil.copytree(README.parent / "configs", folder / "configs")
    return folder


def on_a_small_scale(command: str) -> list[str]:
    """Return the command's words; a training gets tiny settings beside its own, and may replace what stands."""
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "train" and "--resume" not in words:
        given = {word.split("=")[0] for word in words}
        tiny = [setting for setting in TINY if setting.split("=")[0] not in given]
        tiny = [
            setting for setting in tiny if "--init" not in words or not setting.startswith(("tokenizer.", "model."))
        ]
        words += [*tiny, "--overwrite"]
    if words[0] == "compare":
        words[words.index("--seeds") + 1] = "1"
        words += ["data.corpus=my.txt", *TINY, "--samples", "2", "--limit", "4"]
    if "--samples" in words:
        words[words.index("--samples") + 1] = "2"
    return words


def test_every_command_of_the_readme_runs(workplace, monkeypatch):
    """In their order, since later ones use what earlier ones wrote."""
    monkeypatch.chdir(workplace)
    for command in COMMANDS:
        assert main(on_a_small_scale(command)) == 0, command


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_python_example_of_the_readme_runs(workplace, monkeypatch, example):
    """As it stands, with a trained run where it names one, and tiny parts where it trains."""
    monkeypatch.chdir(workplace)
    exec(example.replace("training={", f"device='cpu', **{SMALL_PARTS!r}, training={{"), {})


def test_the_readme_names_the_folders_there_are():
    """The layout lists every module and folder of the package."""
    layout = README.read_text(encoding="utf-8")
    package = Path(textvae.__file__).parent
    modules = [path.name for path in package.glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    folders = [f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name[0] != "_"]
    assert not [name for name in [*modules, *folders] if name not in layout]
    assert os.access(package / "py.typed", os.R_OK)
