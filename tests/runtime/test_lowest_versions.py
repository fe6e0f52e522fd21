"""Version bounds: `make test-lowest` installs the lowest versions that pyproject.toml allows."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
# The development installation leaves these extras out.
UNTESTED = {"bitsandbytes", "mauve-text", "umap-learn"}


def allowed():
    """Return the version bounds of the package's dependencies and its extras, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra != "dev":
            lines += requirements
    bounds = {}
    for requirement in map(Requirement, lines):
        if requirement.name not in UNTESTED:
            bounds[requirement.name] = requirement.specifier
    return bounds


def pins(file):
    """Return the pinned versions of a constraints file, by normalized name."""
    versions = {}
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            versions[normalize(name)] = Version(version)
    return versions


def normalize(name):
    """Return a package's name in lower case with hyphens, as PyPI compares names."""
    return name.lower().replace("_", "-")


def test_the_lowest_versions_are_the_lower_bounds_of_pyproject():
    """Only torch has one version everywhere, because it is large to install."""
    lowest = {}
    for name, specifier in allowed().items():
        [bound] = [Version(part.version) for part in specifier if part.operator == ">="]
        lowest[normalize(name)] = bound
    lowest["torch"] = pins("constraints.txt")["torch"]
    assert pins("constraints-lowest.txt") == lowest


def test_the_pinned_versions_are_within_the_bounds_of_pyproject():
    """`make test` installs versions that the package says it supports."""
    pinned = pins("constraints.txt")
    for name, specifier in allowed().items():
        assert pinned[normalize(name)] in specifier, name
