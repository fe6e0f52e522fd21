"""The page about the command line: its commands run, and its table has every extra."""

import re
import shlex
import tomllib

import pytest

from tests.pages import ROOT, commands, furnish
from textvae.cli.main import main
from textvae.settings.examples import list_examples

PAGE = ROOT / "docs" / "command-line.md"


def test_every_command_of_the_page_runs(tmp_path, tiny_run, monkeypatch, capsys):
    """They explain settings, write texts from words and from a file, and print a script."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    (tmp_path / "sentences.txt").write_text("a man\ntwo boys see\n")
    for command in commands(PAGE):
        assert main(shlex.split(command, comments=True)[1:]) == 0, command
        assert capsys.readouterr().out


def test_the_example_config_of_the_page_exists():
    """The page names it as a user would."""
    [name] = re.findall(r"--config (\S+)", PAGE.read_text(encoding="utf-8"))
    assert name in list_examples()


def test_the_page_shows_the_message_for_an_option_that_is_a_setting(capsys):
    """It is broken into two lines there."""
    with pytest.raises(SystemExit):
        main(["train", "my.txt", "--epochs", "5"])
    message = capsys.readouterr().err.strip()
    assert message in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_the_table_has_every_extra_for_users():
    """The extra `all` is explained above it."""
    table = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(table) == project["optional-dependencies"].keys() - {"all", "dev", "docs"}
