"""The commands: parse, call the library, print. One file a group of verbs: its arguments and what it does.

Nothing heavy is imported before a command runs.
"""

from textvae.cli import (
    anomaly,
    augment,
    bench,
    compare,
    edit,
    evaluate,
    generate,
    infill,
    insight,
    neighbors,
    prior,
    score,
    train,
    uncertainty,
)
from textvae.cli.arguments import Command

# in the order that --help lists
VERB_MODULES = (
    train,
    evaluate,
    generate,
    infill,
    edit,
    insight,
    prior,
    score,
    anomaly,
    uncertainty,
    neighbors,
    augment,
    bench,
    compare,
)


COMMANDS: dict[str, Command] = {
    verb: command for group in VERB_MODULES for verb, command in group.COMMANDS.items()
}


__all__ = ["COMMANDS", "VERB_MODULES"]
