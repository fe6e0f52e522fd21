"""The verb `skill`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_verb


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    skill = add_verb(verbs, "skill", "print the skill for coding agents, or install it")
    skill.add_argument(
        "--output",
        metavar="FOLDER",
        help="folder of skills to copy the skill to, as the folder textvae in it "
        "(default: print SKILL.md)",
    )


def _skill(options: Namespace) -> None:
    """Print the skill, or copy its files and print where they are."""
    from pathlib import Path

    from textvae.skill import install_skill, read_skill

    if options.output is None:
        print(read_skill(), end="")
    else:
        print(install_skill(Path(options.output)))


COMMANDS: dict[str, Command] = {"skill": _skill}
