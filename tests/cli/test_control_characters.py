"""Control characters of texts, names and columns never reach the terminal."""

import json
import shutil
from pathlib import Path

import pytest

from tests.tiny_run import SENTENCES
from textvae.cli.main import main
from textvae.terminal import escape_controls

TITLE = "\x1b]0;title\x07"  # sets the title of a terminal
SHOWN = "\\x1b]0;title\\x07"


def run(*arguments: str) -> int:
    """Run a command on the CPU."""
    return main([*arguments, "--device", "cpu"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three sentences, with control characters in the text, and a line break in one."""
    path = tmp_path / "texts.jsonl"
    texts = [f"a man {TITLE}", "a dog\nrides\x9b31m a bike\u2028.", "a wave."]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


@pytest.mark.parametrize(
    ("verb", "options", "lines"),
    [
        ("score", ["--samples", "2"], 1),
        ("uncertainty", ["--draws", "2"], 2),
        ("reconstruct", [], 2),
    ],
)
def test_each_record_has_its_lines_and_no_control_character(
    tiny_run, file, capsys, verb, options, lines
):
    """A line break within a text is printed as an escape."""
    assert run(verb, str(tiny_run), str(file), *options) == 0
    shown = capsys.readouterr()
    assert SHOWN in shown.out
    assert len(shown.out.rstrip("\n").split("\n")) == 3 * lines
    assert shown.out.replace("\n", "").isprintable()
    assert shown.err.replace("\n", "").isprintable()


def test_json_has_the_exact_texts(tiny_run, file, capsys):
    """A program gets the characters, and the terminal gets the escapes of JSON."""
    assert run("score", str(tiny_run), str(file), "--samples", "2", "--json") == 0
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    first, second, _ = [json.loads(line)["text"] for line in shown.splitlines()]
    assert first == f"a man {TITLE}"
    assert "\x9b31m" in second


def test_neighbors_are_printed_one_per_line(tiny_run, file, tmp_path, capsys):
    """The indexed sentences come from a file that anybody may have written."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    assert run("index", str(folder), str(file)) == 0
    capsys.readouterr()
    assert run("neighbors", str(folder), SENTENCES[0], "-k", "3") == 0
    shown = capsys.readouterr().out
    assert SHOWN in shown
    assert len(shown.splitlines()) == 3
    assert shown.replace("\n", "").isprintable()


def test_generated_texts_are_printed_one_per_line(tiny_run, capsys):
    """A model of bytes may write any of them."""
    assert run("generate", str(tiny_run), "-n", "200", "--temperature", "5") == 0
    shown = capsys.readouterr().out
    assert len(shown.split("\n")) == 201
    assert all(escape_controls(line) == line for line in shown.split("\n"))


def test_standard_output_of_any_encoding_takes_any_text(tiny_run, tmp_path, monkeypatch):
    """What the encoding lacks is printed as an escape; an error would lose the rest."""
    file = tmp_path / "texts.txt"
    file.write_text("un café.\na man.\n", encoding="utf-8")
    output = tmp_path / "output"
    with output.open("w", encoding="ascii") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert run("score", str(tiny_run), str(file), "--samples", "2") == 0
    assert "un caf\\xe9." in output.read_text()
