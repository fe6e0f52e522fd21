"""Names in place of local paths, for what is published: a path says more than it should.

It holds the names of users, machines and projects, and means nothing to anybody else.
"""

import os
import re
from collections.abc import Mapping
from pathlib import PurePath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from textvae.data.tables import get_format_suffix
from textvae.runtime.hub import is_hub_name

_HUB_FILES = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)")
# Settings that are no paths, and may contain slashes: names of columns, above all.
_NO_PATHS = {"text_column", "join_columns", "label", "label_columns", "separator", "role", "member"}
_OTHER_SUFFIXES = (".yaml", ".vec", ".bin", ".safetensors")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def hide_local_paths(value: Any) -> Any:
    """Return settings in which every local path and every address is shortened to its last name."""
    if isinstance(value, Mapping):
        return {
            key: part if key in _NO_PATHS else hide_local_paths(part) for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [hide_local_paths(part) for part in value]
    if isinstance(value, str):
        return shorten_path(value)
    return value


def shorten_path(text: str) -> str:
    """Return the last name of a path or an address; the name of a repository stays whole.

    Of an address on the hub, it is the name of the data set.
    """
    if found := _HUB_FILES.match(text):
        return found[1]
    if "://" in text:
        # The rest of an address may hold a password, or the name of a private host.
        return PurePath(urlsplit(text).path).name or urlsplit(text).scheme
    if _WINDOWS_PATH.match(text):
        return PureWindowsPath(text).name
    if "/" not in text or is_repository(text):
        return text
    return PurePath(text).name or text


def is_repository(text: str) -> bool:
    """Whether a name is that of a repository on the hub, and not that of a file or a folder."""
    if "/" not in text or not is_hub_name(text) or text.startswith("."):
        return False
    is_file = get_format_suffix(text) is not None or text.endswith(_OTHER_SUFFIXES)
    return not is_file and not os.path.exists(text)
