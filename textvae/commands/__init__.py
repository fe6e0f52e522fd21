"""The commands: parse, call the library, print. One file a group of verbs: its arguments and what it does.

Nothing heavy is imported before a command runs.
"""

from textvae.commands import comparing, editing, judging, machine, reading, training, writing
from textvae.commands.basics import Command

GROUPS = (training, judging, writing, editing, reading, machine, comparing)  # in the order that --help lists
COMMANDS: dict[str, Command] = {verb: command for group in GROUPS for verb, command in group.COMMANDS.items()}

__all__ = ["COMMANDS", "GROUPS"]
