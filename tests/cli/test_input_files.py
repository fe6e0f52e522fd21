"""Input of the verbs: pipes, standard input, options for tables, and the place of each text."""

import io
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

import pytest

from tests.data.tables.reading import COMPRESSORS, zip_files
from tests.tiny_run import SENTENCES, SETTINGS
from textvae import bulk
from textvae.bulk.reading import find_corpus_files
from textvae.cli.input import InputRows
from textvae.cli.main import main
from textvae.comparison.matrix import build_trials
from textvae.data.sources import find_splits
from textvae.data.streaming.files import find_stream_files
from textvae.data.tables import TableOptions, TableSettings
from textvae.errors import ConfigError, DataError
from textvae.runs.run import Run

TABLE = "id;text\n1;a man, old\n2;a dog\n"
TEXTS = ["a man, old", "a dog"]


@contextmanager
def open_pipe(folder, content) -> Iterator[str]:
    """Yield the name of a pipe that holds these bytes."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content], daemon=True)
    writer.start()
    yield str(pipe)
    writer.join(timeout=10)


def fill_standard_input(monkeypatch, content):
    """Replace standard input by these bytes."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def read_input(run: Path, file: object, **tables: Unpack[TableOptions]) -> list[str | None]:
    """Return the texts that a verb reads."""
    return [row.text for row in InputRows(str(file), Run(run), tables)]


@pytest.mark.parametrize("suffix", ["", *COMPRESSORS])
def test_a_pipe_is_read_compressed_or_not(tiny_run, tmp_path, suffix):
    """The shell makes one of <(zcat a.txt.gz)."""
    content = COMPRESSORS[suffix]("a.txt", b"a man\na dog\n") if suffix else b"a man\na dog\n"
    with open_pipe(tmp_path, content) as pipe:
        assert read_input(tiny_run, pipe) == ["a man", "a dog"]


@pytest.mark.parametrize("suffix", ["", *COMPRESSORS])
def test_standard_input_is_read_compressed_or_not(tiny_run, monkeypatch, suffix):
    """A program may pass on what it has downloaded."""
    content = COMPRESSORS[suffix]("a.txt", b"a man\na dog\n") if suffix else b"a man\na dog\n"
    fill_standard_input(monkeypatch, content)
    assert read_input(tiny_run, "-") == ["a man", "a dog"]


def test_a_pipe_may_hold_a_table_if_the_options_say_so(tiny_run, tmp_path):
    """The name of a pipe does not tell its format."""
    with open_pipe(tmp_path, TABLE.encode()) as pipe:
        assert read_input(tiny_run, pipe, format="csv") == TEXTS


def test_a_pipe_with_a_table_is_refused_without_options(tiny_run, tmp_path):
    """Its first line would become a sentence."""
    with (
        open_pipe(tmp_path, TABLE.encode()) as pipe,
        pytest.raises(DataError, match=r"looks like a table.*--separator semicolon"),
    ):
        read_input(tiny_run, pipe)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "csv"},
        {"separator": ";"},
        {"separator": "semicolon", "text_column": "text"},
        {"format": "csv", "header": True, "text_column": "2"},
    ],
)
def test_standard_input_may_be_a_table_if_the_options_say_so(tiny_run, monkeypatch, options):
    """Options for tables alone do not say that it is one."""
    fill_standard_input(monkeypatch, TABLE.encode())
    assert read_input(tiny_run, "-", **options) == TEXTS


@pytest.mark.parametrize(
    "option", [{"header": False}, {"join_columns": ["a"]}, {"text_column": "2", "format": "txt"}]
)
def test_options_of_tables_are_refused_if_standard_input_is_text(tiny_run, option):
    """The message says how to read it as a table."""
    with pytest.raises(ConfigError, match=r"is for tables.*--format csv"):
        InputRows("-", Run(tiny_run), option)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.txt", {"text_column": "body"}, "--text-column is for tables, and"),
        ("a.txt.gz", {"header": True}, "--header is for tables, and"),
        ("a", {"quoting": "none"}, "--quoting is for tables, and"),
        ("a.txt", {"join_columns": ["a", "b"]}, "--join-column is for tables, and"),
        ("a.csv", {"text_column": "body", "format": "txt"}, "is read as text, one sentence"),
        ("a.jsonl", {"header": False}, "--header is for .csv and .tsv files, and"),
        ("a.json", {"separator": ";"}, "--separator is for .csv and .tsv files, and"),
        ("a.parquet", {"quoting": "none"}, "is read as .parquet; leave it out"),
        ("a.parquet", {"encoding": "cp1252"}, "--encoding is for text, and"),
    ],
)
def test_an_option_that_does_not_apply_to_the_file_is_refused(
    tiny_run, tmp_path, name, options, words
):
    """It would be ignored, and the user must have meant something by it."""
    file = tmp_path / name
    file.write_bytes(b"a man\n")
    with pytest.raises(ConfigError, match=re.escape(words)):
        InputRows(str(file), Run(tiny_run), options)
    with pytest.raises(ConfigError, match=re.escape(words)):
        bulk.run("encode", tiny_run, tmp_path / "out", str(file), tables=options)


def test_training_reads_standard_input_and_pipes(tmp_path, monkeypatch):
    """Each is read once, for the splits that are written to the disk."""
    content = "\n".join(SENTENCES).encode()
    fill_standard_input(monkeypatch, content)
    rows = find_splits("-", TableSettings())["train"]
    assert [row["text"] for row in rows()] == SENTENCES
    with open_pipe(tmp_path, content) as pipe:
        rows = find_splits(pipe, TableSettings())["train"]
        assert [row["text"] for row in rows()] == SENTENCES
    with pytest.raises(DataError, match="is a pipe, which can be read only once"):
        next(rows())


def test_what_reads_its_input_again_refuses_a_pipe(tmp_path):
    """A second reading would find nothing, or wait for ever."""
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    config = tmp_path / "a.yaml"
    config.write_text(json.dumps(SETTINGS))
    for name in (pipe, "-", "/dev/null"):
        with pytest.raises(DataError, match="cannot be processed in shards"):
            find_corpus_files(name)
        with pytest.raises(DataError, match="cannot be read again in each epoch"):
            find_stream_files(name)
        with pytest.raises(DataError, match="is a pipe, which only one run could read"):
            build_trials([config], [name], 1, (), tmp_path)


def test_an_empty_device_is_refused(tiny_run):
    """It can be opened, but holds nothing."""
    with pytest.raises(DataError, match="/dev/null: is empty"):
        read_input(tiny_run, "/dev/null")


def test_the_encoding_of_training_is_not_taken_over(tiny_run, tmp_path):
    """A verb reads another file, and would turn its text into nonsense."""
    (tmp_path / "a.txt").write_text("naïve\n", encoding="utf-8")
    assert read_input(tiny_run, tmp_path / "a.txt") == ["naïve"]
    (tmp_path / "b.txt").write_text("naïve\n", encoding="cp1252")
    with pytest.raises(DataError, match=r"b\.txt, line 1: is not UTF-8.*--encoding cp1252"):
        read_input(tiny_run, tmp_path / "b.txt")
    assert read_input(tiny_run, tmp_path / "b.txt", encoding="cp1252") == ["naïve"]


def test_each_row_has_its_file_number_and_line(tiny_run, tmp_path):
    """A cell may span lines, and blank lines are not rows of a table with several columns."""
    (tmp_path / "a.csv").write_text('text,n\n"one, of\ntwo lines, then",1\n\nnext,2\n')
    (tmp_path / "b.txt").write_text("first\n\nthird\n")
    places = [
        (os.path.basename(row.file), row.number, row.line, row.text)
        for row in InputRows(str(tmp_path), Run(tiny_run))
    ]
    assert places == [
        ("a.csv", 1, 2, "one, of\ntwo lines, then"),
        ("a.csv", 2, 5, "next"),
        ("b.txt", 1, 1, "first"),
        ("b.txt", 2, 2, None),
        ("b.txt", 3, 3, "third"),
    ]


def test_a_bad_row_in_a_folder_is_named_with_its_file(tiny_run, tmp_path):
    """The number alone would not say where it is."""
    (tmp_path / "a.txt").write_text("fine\n")
    (tmp_path / "b.csv").write_text("text\n1\n2\n")
    with pytest.raises(DataError, match=r"b\.csv: row 1: column 'text' holds 1, not text"):
        read_input(tiny_run, tmp_path)


def test_options_of_a_verb_read_a_table_without_names_from_an_archive(tiny_run, tmp_path, capsys):
    """Each text is printed with its file, its row and its line."""
    archive = tmp_path / "a.zip"
    files = {"a.csv": "1|naïve|x\n2|old|y\n".encode("cp1252"), "b.csv": b"1|wrong|x\n"}
    archive.write_bytes(zip_files(files))
    options = ["--member", "a.csv", "--no-header", "--text-column", "2", "--encoding", "cp1252"]
    command = ["score", str(tiny_run), str(archive), *options, "--samples", "2", "--json"]
    assert main(command) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    places = [(record["file"], record["row"], record["line"], record["text"]) for record in records]
    assert places == [(str(archive), 1, 1, "naïve"), (str(archive), 2, 2, "old")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--encoding", "cp9999"], "is unknown"),
        (["--separator", "ab"], "expected one character"),
        (["--text-column", "3"], "say whether this line"),
        (["--text-column", "body"], "there is no column 'body'"),
        (["--join-column", "id", "--join-column", "body"], "there is no column 'body'"),
        (["--no-header"], "Give the number of the column, 1 to 2"),
        (["--member", "a.csv"], "is no .zip archive"),
        (["--format", "json"], "line 1: is not JSON"),
        (["--encoding", "utf-16"], "has no byte order mark"),
        (["--text-column", "text", "--join-column", "id"], "leave one of the two out"),
    ],
)
def test_options_that_do_not_fit_the_file_are_refused(tiny_run, tmp_path, capsys, options, words):
    """The exit code is that of wrong input, and the message is one line."""
    (tmp_path / "a.csv").write_text(TABLE)
    assert main(["score", str(tiny_run), str(tmp_path / "a.csv"), *options]) == 2
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""
