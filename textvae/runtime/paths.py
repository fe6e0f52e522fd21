"""Names of files and folders that a caller passes."""

import os
from pathlib import Path

from textvae.errors import ConfigError
from textvae.terminal import quote_value

_MAX_NAME_BYTES = 255  # of a file or a folder, on all usual file systems


def require_path(value: object, name: str) -> Path:
    """Return the name of a file or a folder as a path; `~` is the home folder.

    The shell replaces `~` at the beginning of a word only, and not in --output=~/runs. A name
    that exists as it is written, or that is not of a user's folder, is not changed.

    Args:
        name: what has this name, for the message.

    Raises:
        ConfigError: it is of another type, is empty, or no file can have it.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigError(f"{name} = {quote_value(value)}: expected a name, such as runs/vae.")
    try:
        longest = max(map(len, os.fsencode(text).split(os.fsencode(os.sep))))
    except UnicodeEncodeError:
        raise ConfigError(
            f"{name} = {quote_value(value)}: no file can have this name, because it contains half "
            "of a surrogate pair."
        ) from None
    if longest > _MAX_NAME_BYTES:
        raise ConfigError(
            f"{name} = {quote_value(value)}: there is no such file, because a name has at most "
            f"{_MAX_NAME_BYTES} bytes and this one has {longest:,}."
        )
    path = Path(text)
    if not text.startswith("~") or path.exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def expand_home(path: Path, name: str) -> Path:
    """Return a path in which `~` is replaced by the home folder of a user.

    Raises:
        ConfigError: there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ConfigError(f"{name} = {quote_value(str(path))}: there is no such user.") from None
