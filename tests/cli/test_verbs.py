"""The table of verbs is what the modules define, and a module is only imported for its own verbs."""

import pkgutil
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from importlib import import_module
from itertools import groupby
from typing import Any

import pytest

import textvae.cli
from textvae.cli.main import main
from textvae.cli.parser import build_parser, import_verb
from textvae.cli.verbs import ALIASES, SYNONYMS, VERBS

MODULES = sorted({verb.module for verb in VERBS.values()})

# What takes a tenth of a second or more to import. The list of verbs needs none of them.
SLOW = ("torch", "transformers", "datasets", "numpy", "pydantic", "yaml", "huggingface_hub")


def find_subparsers(parser: ArgumentParser) -> Any:
    [action] = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    return action


def list_imports(*arguments: str) -> set[str]:
    """Return the modules that are imported after a command, in a process of its own."""
    code = (
        "import contextlib, io, sys\n"
        "from textvae.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(sys.argv[1:])\n"
        "print(*sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_defines_the_verbs_that_the_table_says(module):
    """Its functions and its parsers have the same names."""
    verbs = {name for name, verb in VERBS.items() if verb.module == module}
    assert import_module(f"textvae.cli.{module}").COMMANDS.keys() == verbs
    assert find_subparsers(build_parser([next(iter(verbs))])).choices.keys() == verbs


def test_the_table_lists_every_module_that_has_verbs():
    """A module that the table does not list could not be reached."""
    modules = [module.name for module in pkgutil.iter_modules(textvae.cli.__path__)]
    with_verbs = [
        name for name in modules if hasattr(import_module(f"textvae.cli.{name}"), "COMMANDS")
    ]
    assert with_verbs == MODULES


def test_the_table_has_the_summaries_of_the_modules():
    """The list of verbs says what the help of each verb begins with."""
    actions = find_subparsers(build_parser())._choices_actions
    summaries = {action.dest: action.help for action in actions}
    assert summaries == {name: verb.summary for name, verb in VERBS.items()}


def test_the_verbs_of_a_group_follow_one_another():
    """Each heading appears once, and the help lists every verb below one."""
    groups = [group for group, _ in groupby(VERBS.values(), lambda verb: verb.group)]
    assert len(groups) == len(set(groups))
    shown = build_parser([]).format_help()
    assert all(f"\n{group}:\n" in shown for group in groups)
    assert all(f"\n  {name} " in shown and verb.summary in shown for name, verb in VERBS.items())


def test_the_list_of_verbs_is_printed_without_importing_any():
    """It is fast because it only reads the table."""
    imported = list_imports("--help")
    assert not imported.intersection(SLOW)
    assert not imported & {f"textvae.cli.{module}" for module in MODULES}


def test_a_verb_imports_no_other_verb():
    """What one verb needs does not slow down another."""
    imported = list_imports("infill", "--help")
    assert imported & {f"textvae.cli.{module}" for module in MODULES} == {"textvae.cli.infill"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("genrate", "generate"), ("evalute", "evaluate"), *SYNONYMS.items()],
)
def test_an_unknown_verb_is_refused_with_the_one_that_was_meant(written, meant, capsys):
    """A misspelled verb, or another word for one."""
    with pytest.raises(SystemExit, match="2"):
        main([written, "run"])
    message = f"textvae: unknown verb: {written!r}; did you mean {meant!r}? See textvae --help\n"
    assert capsys.readouterr().err == message


def test_no_verb_at_all_is_refused(capsys):
    """The message says where the verbs are listed."""
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err == "textvae: expected a verb. See textvae --help\n"


@pytest.mark.parametrize(("written", "verb"), ALIASES.items())
def test_another_spelling_of_a_verb_is_accepted(written, verb, tmp_path, capsys):
    """Messages name the verb as the help lists it."""
    assert main([written, str(tmp_path / "missing"), "a man"]) == 2
    assert capsys.readouterr().err.startswith(f"textvae {verb}: ")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--versoin"], "did you mean '--version'?"),
        (["generate", "run", "--temprature", "1"], "did you mean '--temperature'?"),
        (["prior", "fti", "run"], "did you mean 'fit'?"),
    ],
)
def test_a_misspelled_argument_is_refused_with_the_one_that_was_meant(arguments, hint, capsys):
    """It may be an option, or the second word of a verb."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert hint in capsys.readouterr().err


def test_an_entry_of_the_table_leads_to_its_module():
    """`import_verb` returns the module that can execute the verb."""
    assert "neighbors" in import_verb("neighbors").COMMANDS
    assert "index" in import_verb("neighbors").COMMANDS
