"""What building the package adds to it: the long description, and the pages of the documentation.

The long description, which the page on PyPI shows, is the README without relative links.
hatchling runs these hooks (https://hatch.pypa.io/latest/plugins/metadata-hook/custom/ and
https://hatch.pypa.io/latest/plugins/build-hook/custom/).
"""

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

# [text](path#anchor) or ![text](path), unless the path is an address or an anchor of the README itself.
_RELATIVE_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?!https?://|#)(?P<path>[^)#]*)(#[^)]*)?\)")

_NOTE = "\n\n*(Paths in parentheses are those of the source distribution.)*\n"


def unlink_paths(readme: str) -> str:
    """Return a README in which links to files of the repository are text: PyPI does not have the files."""
    return _RELATIVE_LINK.sub(_write_out, readme).rstrip("\n") + _NOTE


def _write_out(link: re.Match[str]) -> str:
    """Return the text of a link, followed by its path unless the text is the path."""
    text, path = link["text"], link["path"]
    return text if text.strip("`") == path else f"{text} ({path})"


class LongDescription(MetadataHookInterface):
    """Sets the project's readme."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the readme to the metadata of the project."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": unlink_paths(readme)}


class DocumentationPages(BuildHookInterface):
    """Adds the pages to a wheel, for `textvae docs`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add every page that is written by hand; those in `reference` come from the code."""
        if version == "editable":  # it reads them where they are
            return
        folder = Path(self.root) / "docs"
        for page in folder.rglob("*.md"):
            name = page.relative_to(folder).as_posix()
            if not name.startswith("reference/"):
                build_data["force_include"][str(page)] = f"textvae/docs/{name}"
