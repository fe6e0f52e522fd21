"""The page on techniques: each technique has a row, and each example is a valid setting."""

import re
from pathlib import Path

import pytest
import yaml

from textvae.objective.techniques import TECHNIQUES
from textvae.settings.reading import read_settings

PAGE = (Path(__file__).parents[2] / "docs" / "techniques.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_setting(example):
    """The settings have the techniques that the example names."""
    values = yaml.safe_load(example)
    entries = values.get("objective", {}).get("techniques", {})
    named = {name for name, entry in entries.items() if entry is not False}
    assert named <= set(read_settings(base=values).objective.techniques)


def test_every_technique_has_a_row_with_each_of_its_settings():
    """The row of a technique begins with its name."""
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    for name, technique in TECHNIQUES.items():
        for setting in set(technique.Settings.model_fields) - {"kind"}:
            assert f"`{setting}`" in rows[name], f"{name}.{setting}"
