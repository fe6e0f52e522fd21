"""The shell: one line after another, with one loaded model; errors do not end it."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tiny_run import SENTENCES
from textvae.cli import shell
from textvae.cli.main import main
from textvae.terminal import escape_controls
from textvae.vae import TextVAE

A, B, C = SENTENCES[0], SENTENCES[30], SENTENCES[-1]


@pytest.fixture(scope="module")
def vae(tiny_run):
    """The model of the shared run."""
    return TextVAE.from_pretrained(tiny_run, "cpu")


@pytest.fixture
def say(vae, monkeypatch, capsys):
    """Send lines to a shell; return its exit code and what it printed on either stream."""

    def say(*lines, options=()):
        monkeypatch.setattr("textvae.cli.shell.load_vae", lambda _: vae)
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        code = main(["shell", str(vae.folder), *options])
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err.splitlines()

    return say


def test_each_line_is_answered_as_by_the_method(say, vae):
    """Options that are set hold for the lines that follow, and only for verbs that have them."""
    code, out, err = say(
        "set seed 3",
        f"reconstruct {A}",
        "set temperature 0.7",
        "set n 2",
        "complete a man",
        "unset temperature",
        "set steps 3",
        f"interpolate {A} | {B} | {C}",
        f"analogy {A} | {B} | {C}",
        "generate 3",
    )
    assert (code, err) == (0, [])
    expected = vae.reconstruct(A) + vae.complete("a man", 2, temperature=0.7, seed=3)
    expected += vae.interpolate(A, B, C, steps=3)
    expected += [vae.analogy(A, B, C), *vae.generate(3, seed=3)]
    assert out == [escape_controls(text) for text in expected]


def test_every_verb_answers(say):
    """As JSON, each record is one object per line."""
    lines = [
        "set seed 1",
        "set n 1",
        "set latents 2",
        "set beams 2",
        "set samples 2",
        "set draws 2",
    ]
    lines += ["set dimension 1", "set unit prior", "set steps 2"]
    texts = {"infill": "a man ___ a ___.", "interpolate": f"{A} | {B}", "generate": "2"}
    texts["analogy"] = f"{A} | {B} | {C}"
    for verb in shell._VERBS.keys() - {"edit", "neighbors"}:
        for options in ((), ("--json",)):
            code, out, err = say(*lines, f"{verb} {texts.get(verb, A)}", options=options)
            assert (code, err) == (0, []), verb
            assert out, verb
    assert all(isinstance(json.loads(line), dict) for line in out)


WRONG = {
    "writ a man": "is not a verb of the shell: did you mean",
    "set": None,
    "set temprature 1": "did you mean 'temperature'",
    "set temperature": "expected a value",
    "set temperature hot": "temperature",
    "set n 0": "n = 0",
    "set top_p 2": "top_p",
    "unset seed": "it is not set",
    "reconstruct": "expected a text",
    "interpolate a man": "expected interpolate A | B",
    "interpolate a man | ": "before and after each |",
    "analogy a | b": "expected analogy A | B | C",
    "infill a man": "has no blank",
    "edit a man": "say `set attribute NAME` first",
    "traverse a man": "say `set dimension 0` first",
    "generate many": "n = 'many'",
    "generate 0": "n = 0",
    "neighbors a man": "index",
    "\x1b[31m": "\\x1b[31m",
    "": None,
    "# a remark": None,
}


@pytest.mark.parametrize("unit", ["aggregate", "posterior", "prior"])
def test_an_option_may_have_a_value_that_only_one_verb_has(say, unit):
    """`traverse` and `vary` have other units."""
    assert say(f"set unit {unit}") == (0, [], [])


@pytest.mark.parametrize("line", WRONG, ids=ascii)
def test_an_error_does_not_end_the_session(say, line):
    """The error is one line that names the line; the next line is answered, and the code is 2."""
    code, out, err = say(line, "set seed 1", f"reconstruct {A}")
    assert len(out) == 1
    if WRONG[line] is None:
        assert (code, err) == (0, [])
        return
    assert code == 2
    assert len(err) == 1
    assert err[0].startswith("textvae shell: line 1: ")
    assert WRONG[line] in err[0]


def test_a_closed_standard_input_is_refused_before_a_model_is_loaded(tiny_run, monkeypatch, capsys):
    """As after `textvae shell RUN <&-`."""
    monkeypatch.setattr("textvae.cli.shell.load_vae", pytest.fail)
    monkeypatch.setattr("sys.stdin", None)
    assert main(["shell", str(tiny_run)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "standard input is closed" in shown.err


def test_nothing_is_read_after_quit(say):
    """Options that were set are printed by `set` alone, and `help` lists every verb."""
    code, out, err = say("set n 3", "set", "help", "quit", "writ")
    assert (code, err) == (0, [])
    assert out[0] == "n 3"
    assert all(any(line.startswith(verb) for line in out) for verb in shell._VERBS)


def test_at_a_terminal_an_interrupt_ends_the_current_line_only(say, vae, monkeypatch, capsys):
    """There is a prompt for each line, and errors do not change the exit code."""
    answers: Iterator[Any] = iter(
        [KeyboardInterrupt, "generate 1", "reconstruct", f"reconstruct {A}", EOFError]
    )

    def type_line(prompt):
        answer = next(answers)
        if isinstance(answer, str):
            return answer
        raise answer

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("textvae.cli.shell.load_vae", lambda _: vae)
    monkeypatch.setattr("builtins.input", type_line)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(TextVAE, "generate", interrupt)
    assert main(["shell", str(vae.folder)]) == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "textvae shell: interrupted",
        "textvae shell: expected a text after the verb.",
    ]
    assert shown.out.split() == vae.reconstruct(A)[0].split()
