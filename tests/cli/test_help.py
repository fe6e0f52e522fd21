"""The help texts: every argument of every verb has one, and it states the default."""

from argparse import SUPPRESS, Action, ArgumentParser

import pytest

from tests.cli.test_no_foreign_code import VERBS
from textvae.bulk.verbs import VERBS as BULK_VERBS
from textvae.cli.arguments import _SHARD_ROWS


def actions_of(command: ArgumentParser) -> list[Action]:
    return [action for action in command._actions if action.dest != "help"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_has_a_help_text(verb):
    """It is a phrase, not only a default."""
    missing = [
        action.dest
        for action in actions_of(VERBS[verb])
        if action.help in (None, SUPPRESS) or action.help.startswith("(default")
    ]
    assert missing == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_text_states_the_default(verb):
    """Its value is that of the parser."""
    for action in actions_of(VERBS[verb]):
        if action.default in (None, False, []):
            continue
        assert action.help is not None, action.dest
        assert f"(default: {format_default(action.default)})" in action.help, action.dest


def format_default(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_help_text_states_the_rows_per_shard_of_each_verb():
    """The help cannot import the table of bulk verbs, which imports torch."""
    assert {verb: entry.shard_rows for verb, entry in BULK_VERBS.items()} == _SHARD_ROWS
