"""The page about the explorer: its commands are understood, and its endpoints are those of the API."""

import re
import shlex
import shutil

from tests.pages import ROOT, commands, examples
from textvae.cli.parser import build_parser
from textvae.explorer.api import list_actions
from textvae.explorer.shared_run import SharedRun

PAGE = ROOT / "docs" / "explore.md"


def test_every_command_is_understood():
    """They serve a page until Ctrl-C, so they are parsed and not executed."""
    parser = build_parser()
    for command in commands(PAGE):
        words = shlex.split(command)[1:]
        assert parser.parse_args(words).verb == words[0]


def test_every_endpoint_is_listed(tiny_run):
    listed = re.findall(r"^\| `/(\w+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert listed == list(list_actions(SharedRun(tiny_run), None))


def test_the_pictures_exist_and_are_small():
    pictures = re.findall(r"!\[[^]]+\]\((pictures/[^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures
    assert all((ROOT / "docs" / name).stat().st_size < 150_000 for name in pictures)


def test_the_python_examples_run(tiny_run, tmp_path, monkeypatch):
    """The app of a hosted demo is built, and the client talks to the page of the first example."""
    import gradio

    shutil.copytree(tiny_run, tmp_path / "runs" / "demo")  # a map is saved in it
    monkeypatch.chdir(tmp_path)
    local, hosted, client = examples(PAGE)
    names: dict[str, str] = {}
    exec(local, names)
    try:
        exec(client.replace("http://127.0.0.1:7860", names["address"]), names)
    finally:
        gradio.close_all()
    app = hosted.replace("app.launch()", "assert app.title == 'textvae: demo'")
    assert app != hosted
    exec(app, names)
