"""The README: every command and every Python example in it works, with a tiny run."""

import os
from pathlib import Path

import pytest

import textvae
from tests.pages import ROOT, SMALL_PARTS, commands, examples, furnish, on_a_small_scale
from textvae.cli.main import main

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_run) -> Path:
    """A folder with the files and runs that the README uses."""
    return furnish(tmp_path_factory.mktemp("readme"), tiny_run)


def test_every_command_of_the_readme_runs(workplace, monkeypatch):
    """They run in their order, since later ones read files that earlier ones write."""
    monkeypatch.chdir(workplace)
    for command in commands(README):
        assert main(on_a_small_scale(command)) == 0, command


@pytest.mark.parametrize("example", examples(README))
def test_every_python_example_of_the_readme_runs(workplace, monkeypatch, example):
    """Only training is changed: it gets tiny parts."""
    monkeypatch.chdir(workplace)
    exec(example.replace("training={", f"device='cpu', **{SMALL_PARTS!r}, training={{"), {})


def test_the_readme_names_every_module_and_folder():
    """Its layout is that of the package."""
    layout = README.read_text(encoding="utf-8")
    package = Path(textvae.__file__).parent
    modules = [
        path.name
        for path in package.glob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    ]
    folders = [
        f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name[0] != "_"
    ]
    assert not [name for name in [*modules, *folders] if name not in layout]
    assert os.access(package / "py.typed", os.R_OK)
