"""What PyPI shows of the README: no link leads to a file that only the repository has."""

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def unlink_paths(monkeypatch):
    """The function of the build script; hatchling, which only builds need, is replaced."""
    interface = ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    return runpy.run_path(str(ROOT / "hatch_build.py"))["unlink_paths"]


def test_the_long_description_has_no_relative_link(unlink_paths):
    """Links to other sites and to headings stay."""
    text = unlink_paths((ROOT / "README.md").read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_a_link_to_a_file_becomes_its_text_and_its_path(unlink_paths):
    """The path is not repeated, and other links are left alone."""
    readme = "[A](docs/a.md#b) [docs/c.md](docs/c.md) [D](https://d.org) [E](#e) ![F](f.webp)"
    plain = "A (docs/a.md) docs/c.md [D](https://d.org) [E](#e) F (f.webp)\n"
    assert unlink_paths(readme).startswith(plain)


def test_the_build_reads_the_long_description_from_the_hook():
    """A readme in the table of the project would be used as it is."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "[tool.hatch.metadata.hooks.custom]" in text
    assert 'dynamic = ["readme", "version"]' in text
