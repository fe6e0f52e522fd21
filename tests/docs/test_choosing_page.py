"""The page on choosing a technique: its settings are accepted, and it names every technique."""

import re
from pathlib import Path

import pytest

from textvae.objective.techniques import TECHNIQUES
from textvae.settings.reading import read_settings

PAGE = Path(__file__).parents[2] / "docs" / "choosing-a-technique.md"
TEXT = PAGE.read_text(encoding="utf-8")
SETTINGS = re.findall(
    r"`((?:data|tokenizer|model|objective|training)[.=][^`]*=[^`]*|objective=\w+)`", TEXT
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_of_the_page_is_accepted(setting):
    """One piece of code can have several settings, which belong together."""
    read_settings(overrides=setting.split())


def test_the_page_says_what_each_technique_costs():
    """The rows of its second table begin with the names of techniques."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(TECHNIQUES)
