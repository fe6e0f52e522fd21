"""What building adds to the package: a long description without relative links, and the pages."""

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from textvae.cli.docs import list_pages

ROOT = Path(__file__).parents[1]


@pytest.fixture
def build_script(monkeypatch):
    """The names of the build script; hatchling, which only builds need, is replaced."""
    for kind, name in (("builders.hooks", "BuildHook"), ("metadata", "MetadataHook")):
        interface = ModuleType(f"hatchling.{kind}.plugin.interface")
        setattr(interface, f"{name}Interface", object)
        monkeypatch.setitem(sys.modules, interface.__name__, interface)
    return runpy.run_path(str(ROOT / "hatch_build.py"))


@pytest.fixture
def unlink_paths(build_script):
    """The function that removes relative links."""
    return build_script["unlink_paths"]


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


@pytest.mark.parametrize("version", ["standard", "editable"])
def test_a_wheel_has_the_pages_that_the_verb_docs_prints(version, build_script):
    """An editable installation reads them where they are."""
    hook = build_script["DocumentationPages"]()
    hook.root = str(ROOT)
    build_data: dict[str, dict[str, str]] = {"force_include": {}}
    hook.initialize(version, build_data)
    pages = {f"textvae/docs/{name}.md" for name in list_pages()}
    assert set(build_data["force_include"].values()) == (set() if version == "editable" else pages)
    assert all(Path(source).is_file() for source in build_data["force_include"])
