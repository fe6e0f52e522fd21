"""The skill for coding agents: its commands exist, its links lead to its files, and it installs."""

import re
import shlex
from importlib.resources import files

import pytest
import yaml

from tests.pages import ROOT, blocks
from textvae.cli.main import main
from textvae.cli.parser import build_parser
from textvae.errors import OutputError
from textvae.skill import install_skill, read_skill

FOLDER = ROOT / "textvae" / "skill"
PAGES = sorted(FOLDER.glob("*.md"))


def commands_of(page):
    """Return the commands of a page: the lines of its code, and those in its tables and text."""
    code = [line for _, block in blocks(page) for line in block.splitlines()]
    inline = re.findall(r"`(textvae [^`]+)`", page.read_text(encoding="utf-8"))
    found = [line.split("#")[0] for line in code if line.startswith("textvae ")] + inline
    # `textvae tune` alone names a verb, and is no command.
    return [
        command for command in found if not re.fullmatch(r"[a-z ]+|.* (VERB|SECTION).*", command)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_one_that_the_command_line_takes(page):
    """An agent that copies a command gets no error about a verb or an option."""
    for command in commands_of(page):
        words = shlex.split(command)[1:]
        options = [word for word in words if words[0] != "train" or "=" not in word]
        build_parser().parse_args(options)


def test_the_skill_has_the_name_and_the_description_that_agents_read_first():
    """The format asks for at most 64 and 1,024 characters."""
    head = yaml.safe_load(read_skill().split("---")[1])
    assert head["name"] == "textvae"
    assert 100 < len(head["description"]) <= 1024


def test_the_skill_routes_to_each_of_its_files():
    """No page is left out, and no link leads nowhere."""
    linked = set(re.findall(r"\]\((\w+\.md)\)", read_skill()))
    assert linked == {page.name for page in PAGES} - {"SKILL.md"}


def test_an_installed_skill_has_all_files_and_replaces_an_earlier_one(tmp_path):
    """Installing twice gives the same files as installing once."""
    for _ in range(2):
        folder = install_skill(tmp_path / "skills")
    assert folder == tmp_path / "skills" / "textvae"
    for page in PAGES:
        assert (folder / page.name).read_bytes() == (
            files("textvae.skill") / page.name
        ).read_bytes()
    assert len(list(folder.iterdir())) == len(PAGES)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_other_files_are_not_replaced_by_the_skill(tmp_path, kind):
    """What the user has there stays."""
    place = tmp_path / "textvae"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="choose another folder"):
        install_skill(tmp_path)
    assert place.exists()


def test_the_verb_prints_the_skill_or_where_it_was_installed(tmp_path, capsys):
    """Without an output, an agent reads it from standard output."""
    assert main(["skill"]) == 0
    assert capsys.readouterr().out == read_skill()
    assert main(["skill", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'textvae'}\n"
