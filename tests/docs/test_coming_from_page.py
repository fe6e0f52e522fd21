"""The page for users of other projects: what it names on our side exists, and its command works."""

import re

import pytest

import textvae
from tests.pages import ROOT, commands, furnish, on_a_small_scale
from textvae.cli.main import main
from textvae.cli.parser import build_parser
from textvae.errors import ConfigError
from textvae.settings.reading import read_settings

PAGE = ROOT / "docs" / "coming-from.md"
TEXT = PAGE.read_text(encoding="utf-8")
CODE = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)))
SECTIONS = ("data", "tokenizer", "model", "objective", "training")
KEYS = [code for code in CODE if code.startswith(tuple(f"{name}." for name in SECTIONS))]
COMMANDS = [code for code in CODE if code.startswith("textvae ")]
METHODS = sorted(set(re.findall(r"`TextVAE\.(\w+)`", TEXT)))
UNSUITABLE = "?"  # no setting has it as its value


@pytest.mark.parametrize("key", KEYS)
def test_a_setting_of_the_page_exists(key):
    """With its value, if it has one; otherwise the message is about the value, not the key."""
    name = key.partition("=")[0]
    parts = [name.split(".")[0], *name.split(".")[1:]]
    chosen = []
    if parts[:2] in (["model", "encoder"], ["model", "decoder"]) and len(parts) > 2:
        kinds = ["lstm", "pretrained", "side_tuned", "transformer"]
        if parts[1] == "encoder":
            kinds.remove("side_tuned")
        chosen = [[f"{'.'.join(parts[:2])}.kind={kind}"] for kind in kinds]
    for kind in chosen or [[]]:
        value = key.partition("=")[2] or UNSUITABLE
        try:
            read_settings(overrides=[*kind, f"{name}={value}"])
            return
        except ConfigError as error:
            if "is not a setting" not in str(error) and "is unknown" not in str(error):
                return
            last = error
    if "=" not in key and f"{name} = '{UNSUITABLE}'" in str(last):
        return
    raise last


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_verb_on_the_page_exist(command, capsys):
    """A verb is named with an option of its own, or without."""
    _, verb, *words = command.split()
    path = [verb, words[0]] if verb == "prior" else [verb]  # it has a verb of its own
    with pytest.raises(SystemExit):
        build_parser([verb]).parse_args([*path, "--help"])
    printed = capsys.readouterr().out
    for option in re.findall(r"(?<!\w)--?[a-z][a-z-]*", " ".join(words)):
        assert option in printed


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_the_page_exists(method):
    """Of the trained model."""
    assert callable(getattr(textvae.TextVAE, method))


def test_the_command_of_the_page_runs(tmp_path, tiny_run, monkeypatch):
    """The nearest thing to Sentence-VAE."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    text = TEXT.replace("\\\n", "")
    joined = tmp_path / "page.md"
    joined.write_text(text, encoding="utf-8")
    [command] = commands(joined)
    words = on_a_small_scale(command)
    words.remove("training.epochs=10")
    assert main(words) == 0
