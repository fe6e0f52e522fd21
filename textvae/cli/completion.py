"""The verb `completion`: a script with which a shell completes verbs, options and their values.

The script is generated from the parsers, so it knows what --help shows. Where nothing of
ours fits, the shell completes the names of files.
"""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator

from textvae.cli.arguments import Command, Subparsers, add_verb, list_suggestions
from textvae.cli.parser import build_parser, list_steps

_BASH = """\
_textvae() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
    local verb="" word options="" words=""
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
        case "$verb $word" in
            %(verbs)s) verb="$verb $word" ;;
        esac
    done
    case "$verb" in
%(options)s
    esac
    case "$verb $previous" in
%(values)s
    esac
    if [[ "$current" == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    elif [[ -n "$words" ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    fi
}
complete -o default -o bashdefault -F _textvae textvae
"""

# `bashcompinit` needs `compdef`, which `compinit` defines; many start-up files have called it already.
_ZSH = """\
(( $+functions[compdef] )) || { autoload -U +X compinit && compinit -i; }
autoload -U +X bashcompinit && bashcompinit
"""


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    completion = add_verb(
        verbs, "completion", "print a script that lets a shell complete verbs and options"
    )
    completion.add_argument(
        "shell", choices=_SCRIPTS, metavar="bash|zsh|fish", help="shell to print the script for"
    )


def _completion(options: Namespace) -> None:
    """Print the script of a shell."""
    print(_SCRIPTS[options.shell](build_parser()), end="")


def _write_bash(parser: ArgumentParser) -> str:
    """Return the script for bash."""
    verbs: list[str] = []
    options: list[str] = []
    values: list[str] = []
    for verb, command in _list_commands(parser):
        key = f" {verb}" if verb else ""
        if verb:
            verbs.append(f'"{key}"')
        words = " ".join([*list_steps(command), *_list_choices(command)])
        flags = " ".join(
            flag for action in _list_options(command) for flag in action.option_strings
        )
        options.append(f'        "{key}") words="{words}"; options="{flags}" ;;')
        for action in _list_options(command):
            chosen = " ".join(_list_values(action))
            if chosen:
                patterns = "|".join(f'"{key} {flag}"' for flag in action.option_strings)
                values.append(f'        {patterns}) words="{chosen}" ;;')
    return _BASH % {
        "verbs": "|".join(verbs),
        "options": "\n".join(options),
        "values": "\n".join(values),
    }


def _write_zsh(parser: ArgumentParser) -> str:
    """Return the script for zsh, which can use that for bash once its completion is loaded."""
    return f"{_ZSH}{_write_bash(parser)}"


def _write_fish(parser: ArgumentParser) -> str:
    """Return the script for fish, which shows what each verb and option does."""
    return "".join(f"complete -c textvae {line}\n" for line in _list_fish_lines(parser))


def _list_fish_lines(parser: ArgumentParser) -> Iterator[str]:
    """Yield the arguments of fish's `complete` for each verb and option."""
    for verb, command in _list_commands(parser):
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in verb.split())
        steps = list_steps(command)
        if steps:
            missing = f"not __fish_seen_subcommand_from {' '.join(steps)}"
            condition = f"{seen}; and {missing}" if verb else missing
            for name, step in steps.items():
                yield f"-n '{condition}' -f -a {name} -d {_quote_for_fish(step.description or '')}"
        choices = _list_choices(command)
        if choices:
            yield f"-n '{seen}' -f -a '{' '.join(choices)}'"
        for action in _list_options(command):
            flags = " ".join(_write_fish_flag(flag) for flag in action.option_strings)
            value = _write_fish_values(action)
            takes_value = f" {value}" if action.nargs != 0 else ""
            values = {**vars(action), "prog": command.prog}
            text = _quote_for_fish((action.help or "") % values)
            yield f"-n '{seen or '__fish_use_subcommand'}' {flags}{takes_value} -d {text}"


def _write_fish_flag(flag: str) -> str:
    """Return an option as fish's `complete` takes it: `-l name`, or `-s n` for a single letter."""
    return f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"


def _write_fish_values(action: argparse.Action) -> str:
    """Return what fish offers as the value of an option: its words, or names of files."""
    words = _list_values(action)
    if not words:
        return "-r"
    only = "-x" if action.choices else "-r"  # words that are not the only ones: files, too
    return f"{only} -a '{' '.join(words)}'"


def _quote_for_fish(text: str) -> str:
    """Return a text in single quotes, up to its first semicolon."""
    escaped = text.partition(";")[0].replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _list_commands(parser: ArgumentParser, verb: str = "") -> Iterator[tuple[str, ArgumentParser]]:
    """Yield the parser itself, with an empty name, and every verb and every step of a verb."""
    yield verb, parser
    for name, command in list_steps(parser).items():
        yield from _list_commands(command, f"{verb} {name}".strip())


def _list_choices(parser: ArgumentParser) -> list[str]:
    """Return the values of a positional argument that has choices."""
    positional = [action for action in parser._actions if not action.option_strings]
    chosen = [action.choices or () for action in positional if action.nargs != argparse.PARSER]
    return [str(value) for choices in chosen for value in choices]


def _list_values(action: argparse.Action) -> list[str]:
    """Return the words that an option takes as its value, or those that it suggests."""
    return [str(value) for value in action.choices or list_suggestions(action)]


def _list_options(parser: ArgumentParser) -> list[argparse.Action]:
    """Return the options of a parser, without its positional arguments."""
    return [action for action in parser._actions if action.option_strings]


_SCRIPTS: dict[str, Callable[[ArgumentParser], str]] = {
    "bash": _write_bash,
    "zsh": _write_zsh,
    "fish": _write_fish,
}

COMMANDS: dict[str, Command] = {"completion": _completion}
