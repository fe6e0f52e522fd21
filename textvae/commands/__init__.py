"""The commands: parse, call the library, print. One file a group of verbs: its arguments and what it does.

Nothing heavy is imported before a command runs.
"""

from textvae.commands import (
    anomalies,
    augmenting,
    comparing,
    doubting,
    editing,
    indexing,
    infilling,
    insights,
    judging,
    machine,
    priors,
    reading,
    training,
    writing,
)
from textvae.commands.basics import Command

# in the order that --help lists
GROUPS = (
    training,
    judging,
    writing,
    infilling,
    editing,
    insights,
    priors,
    reading,
    anomalies,
    doubting,
    indexing,
    augmenting,
    machine,
    comparing,
)
COMMANDS: dict[str, Command] = {verb: command for group in GROUPS for verb, command in group.COMMANDS.items()}

__all__ = ["COMMANDS", "GROUPS"]
