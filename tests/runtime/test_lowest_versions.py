"""The lowest versions that pyproject.toml allows are those that `make test-lowest` installs."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
UNTESTED = {"mauve-text", "umap-learn"}  # extras that the development installation leaves out


def allowed():
    """Return the requirements of the package and of its extras, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [
        line
        for name, lines in project["optional-dependencies"].items()
        if name != "dev"
        for line in lines
    ]
    requirements = [Requirement(line) for line in (*project["dependencies"], *extras)]
    return {each.name: each.specifier for each in requirements if each.name not in UNTESTED}


def pins(file):
    """Return the versions that a file of constraints names, by name in lower case."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): Version(version) for name, version in pairs}


def test_the_lowest_versions_are_the_lower_bounds_of_pyproject():
    """Each dependency has one; torch is the one that is tested everywhere."""
    lowest = {}
    for name, specifier in allowed().items():
        [bound] = [Version(part.version) for part in specifier if part.operator == ">="]
        lowest[name.lower().replace("_", "-")] = bound
    lowest["torch"] = pins("constraints.txt")["torch"]
    assert pins("constraints-lowest.txt") == lowest


def test_the_pinned_versions_are_within_the_bounds_of_pyproject():
    """What `make test` installs is what the package says it works with."""
    pinned = pins("constraints.txt")
    outside = {
        name
        for name, specifier in allowed().items()
        if pinned[name.lower().replace("_", "-")] not in specifier
    }
    assert outside == set()
