"""The page on techniques: every one has a row, and every example is a setting."""

import re
from pathlib import Path

import pytest
import yaml

from textvae.objective.techniques import TECHNIQUES
from textvae.settings.reading import read_settings

PAGE = (Path(__file__).parents[2] / "docs" / "techniques.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_read_as_it_stands(example):
    """What it names is what the settings hold."""
    given = yaml.safe_load(example)
    named = {
        name
        for name, entry in given.get("objective", {}).get("techniques", {}).items()
        if entry is not False
    }
    assert named <= set(read_settings(base=given).objective.techniques)


def test_every_technique_has_a_row_with_each_of_its_settings():
    """And an example or a word on when to use it, by its name."""
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    for name, technique in TECHNIQUES.items():
        for setting in set(technique.Settings.model_fields) - {"kind"}:
            assert f"`{setting}`" in rows[name], f"{name}.{setting}"
