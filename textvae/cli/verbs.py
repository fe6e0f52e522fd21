"""The verbs, each in a module with its arguments and its function, in the order that --help lists.

Verbs that belong together share a module. A function parses options, calls the
library and prints; nothing heavy is imported before it runs.
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
    tune,
    uncertainty,
)
from textvae.cli.arguments import Command

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
    tune,
)

COMMANDS: dict[str, Command] = {}
for _module in VERB_MODULES:
    COMMANDS.update(_module.COMMANDS)

__all__ = ["COMMANDS", "VERB_MODULES"]
