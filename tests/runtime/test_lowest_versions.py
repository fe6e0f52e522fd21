"""Version bounds: `make test-lowest` installs the lowest versions that pyproject.toml allows."""

import re
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
        if extra not in ("all", "dev"):  # they name other extras
            lines += requirements
    bounds = {}
    for requirement in map(Requirement, lines):
        if requirement.name not in UNTESTED:
            bounds[requirement.name] = requirement.specifier
    return bounds


def read_extras():
    """Return the requirements of each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"]


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


def test_the_extra_all_has_every_extra_for_users():
    """Only what builds the documentation, and what develops the package, is left out."""
    extras = read_extras()
    [requirement] = map(Requirement, extras["all"])
    assert requirement.extras == extras.keys() - {"all", "dev", "docs"}


def test_every_extra_that_a_message_names_exists():
    """The message is a command that works."""
    named = set()
    for file in (ROOT / "textvae").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        named.update(re.findall(r"textvae\[([a-z-]+)\]", text))
        named.update(re.findall(r'check_installed\(\s*"([a-z-]+)"', text))
    assert named
    assert named <= read_extras().keys()
