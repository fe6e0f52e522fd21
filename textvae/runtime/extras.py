"""Optional packages: some uses need one, and an extra of textvae installs it."""

from importlib.util import find_spec

from textvae.errors import ConfigError

# Arguments of `check_installed`: the extra, what needs it, and its packages.
REPORT_REQUIREMENTS = ("report", "reports", "matplotlib", "jinja2")


def check_installed(extra: str, what: str, *packages: str) -> None:
    """Check that optional packages are installed, before any work begins.

    Args:
        extra: the extra of textvae that installs the packages.
        what: what needs them; it begins the message and takes a plural verb.
        packages: the names they are imported by.

    Raises:
        ConfigError: a package is missing; the message says how to install it.
    """
    for name in packages:
        if find_spec(name) is None:
            raise ConfigError(
                f"{what} need {name}, which is not installed: pip install 'textvae[{extra}]'"
            )
