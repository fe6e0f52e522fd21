"""Packages that only some uses need: each stands in an extra of ours."""

from importlib.util import find_spec

from textvae.errors import ConfigError


def check_installed(extra: str, what: str, *packages: str) -> None:
    """Refuse to begin what could not be ended.

    Args:
        extra: of textvae, that brings the packages.
        what: needs them, in words with a verb in the plural.

    Raises:
        ConfigError: a package is missing.
    """
    for name in packages:
        if find_spec(name) is None:
            raise ConfigError(
                f"{what} need {name}, which is not installed: pip install 'textvae[{extra}]'"
            )
