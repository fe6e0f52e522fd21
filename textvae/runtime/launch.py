"""The environment variables in which a launcher describes the processes it has started.

torchrun and `accelerate launch` set them. They may also be left over from an earlier
launch, or from a job of the cluster that has nothing to do with textvae.
"""

import os

from textvae.errors import ConfigError
from textvae.terminal import quote_value

_NUMBERS = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_PORT")
_NEEDED = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_ADVICE = (
    "Start several processes with torchrun or accelerate launch, which set it; "
    "for a single process, unset WORLD_SIZE, RANK and LOCAL_RANK."
)


def has_several_processes() -> bool:
    """Return whether a launcher has started more than one process."""
    size = os.environ.get("WORLD_SIZE", "")
    return size.isdecimal() and int(size) > 1


def is_first_process() -> bool:
    """Return whether this process reports what all processes of a launch find."""
    return not has_several_processes() or os.environ.get("RANK", "0") == "0"


def check_launch() -> None:
    """Check the variables before the libraries read them.

    Raises:
        ConfigError: one is missing or is not a number.
    """
    for name in _NUMBERS:
        value = os.environ.get(name)
        if value is not None and not value.isdecimal():
            raise ConfigError(
                f"the environment has {name} = {quote_value(value)}; expected a number. {_ADVICE}"
            )
    # accelerate connects to other processes if it finds one of these two.
    if not has_several_processes() and "LOCAL_RANK" not in os.environ:
        return
    for name in _NEEDED:
        if name not in os.environ:
            found = "WORLD_SIZE" if "WORLD_SIZE" in os.environ else "LOCAL_RANK"
            raise ConfigError(
                f"the environment has {found} = {os.environ[found]}, as for a process of a "
                f"launcher, but {name} is not set. {_ADVICE}"
            )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if rank >= size:
        raise ConfigError(
            f"the environment has RANK = {rank} and WORLD_SIZE = {size}; "
            f"expected a RANK from 0 to {size - 1}. {_ADVICE}"
        )
