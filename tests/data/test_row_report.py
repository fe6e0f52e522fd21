"""Blank and long rows: every command answers row by row, and reports which were blank or cut."""

import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.tiny import SENTENCES as KNOWN_TEXTS
from tests.tiny_run import LABELLED, SENTENCES
from textvae.cli.input import InputRows
from textvae.cli.main import main
from textvae.data.row_report import RowNumbers, find_texts
from textvae.errors import ConfigError, DataError
from textvae.runs.run import Run
from textvae.vae import TextVAE

LONG = "a man rides a wave. " * 100
LINES = [SENTENCES[0], "", SENTENCES[50], "  \t", LONG.strip()]
LABELS = ["out", "home", "out", "home", "home", "out"]
TWO_CLASSES = [
    ("", "out"),
    *zip(KNOWN_TEXTS[:3], LABELS[:3], strict=True),
    ("", ""),
    *zip(KNOWN_TEXTS[3:], LABELS[3:], strict=True),
]
BLANK = "2 of 5 rows are blank (rows 2, 4)"


@pytest.fixture
def file(tmp_path):
    """Return a file with two blank rows and a text that is too long."""
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(LINES) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def fitted_run(tiny_run, tmp_path_factory):
    """Return a run with a fitted attribute and anomaly calibration, but without an index."""
    run = tmp_path_factory.mktemp("fitted") / "run"
    shutil.copytree(tiny_run, run)
    vae = TextVAE.from_pretrained(run, "cpu")
    texts, labels = zip(*LABELLED, strict=True)
    vae.fit_attribute(texts, labels, name="count")
    vae.fit_anomaly(SENTENCES[:30])
    return run


def run_command(*words):
    """Run a command on the CPU; return its exit status."""
    return main([*map(str, words), "--device", "cpu"])


def fill(words, run, file):
    """Return the words of a command with its run and its file filled in."""
    values = {"RUN": str(run), "FILE": str(file)}
    return [values.get(word, word) for word in words]


def read_notes(capsys):
    """Return the standard output, and the lines of standard error that are notes."""
    shown = capsys.readouterr()
    return shown.out, [line for line in shown.err.splitlines() if line.startswith("note: ")]


ROW_BY_ROW = {
    "reconstruct": (["reconstruct", "RUN", "FILE"], "original", 2),
    "score": (["score", "RUN", "FILE", "--samples", "2"], "text", 1),
    "anomaly score": (["anomaly", "score", "RUN", "FILE"], "text", 1),
    "uncertainty": (["uncertainty", "RUN", "FILE", "--draws", "2"], "text", 2),
    "edit": (["edit", "RUN", "--file", "FILE", "--attribute", "count"], "original", 1),
}


@pytest.mark.parametrize("verb", ROW_BY_ROW)
def test_json_has_a_record_for_each_row_with_its_number(fitted_run, file, capsys, verb):
    """The record of a blank row has the same keys, and null for all of them but its place."""
    words, text_field, _ = ROW_BY_ROW[verb]
    assert run_command(*fill(words, fitted_run, file), "--json") == 0
    out, reported = read_notes(capsys)
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["row"] for record in records] == [1, 2, 3, 4, 5]
    assert [record[text_field] for record in records] == [line.strip() or None for line in LINES]
    assert records[1] == {**dict.fromkeys(records[0]), "file": file, "row": 2, "line": 2}
    assert reported[0] == f"note: {file}: {BLANK}: written as null."


@pytest.mark.parametrize("verb", ROW_BY_ROW)
def test_plain_output_keeps_blank_lines_in_their_places(fitted_run, file, capsys, verb):
    """A blank row takes as many lines as any other; each note is one line on standard error."""
    words, _, height = ROW_BY_ROW[verb]
    assert run_command(*fill(words, fitted_run, file)) == 0
    out, reported = read_notes(capsys)
    lines = out.splitlines()
    assert len(lines) == 5 * height
    rows = [lines[start : start + height] for start in range(0, len(lines), height)]
    assert [number for number, row in enumerate(rows, start=1) if not "".join(row)] == [2, 4]
    cut = "1 text is longer than the model reads (row 5): only the beginning is used."
    assert reported == [f"note: {file}: {BLANK}: written as blank lines.", f"note: {file}: {cut}"]


def test_without_blank_or_long_rows_nothing_is_printed(tiny_run, tmp_path, capsys):
    """Standard error stays empty if there is nothing to report."""
    (tmp_path / "fine.txt").write_text("a man rides a wave.\n")
    assert run_command("score", tiny_run, tmp_path / "fine.txt", "--samples", "2") == 0
    assert read_notes(capsys)[1] == []


def test_standard_input_is_answered_line_by_line(tiny_run, capsys, monkeypatch):
    """The lines of standard input are its rows."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\na man.\n")))
    assert run_command("reconstruct", tiny_run, "-", "--json") == 0
    out, reported = read_notes(capsys)
    assert [json.loads(line)["row"] for line in out.splitlines()] == [1, 2]
    assert "standard input: 1 of 2 rows is blank (row 1)" in reported[0]


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_encode_writes_a_vector_for_each_row(tiny_run, file, tmp_path, capsys, suffix):
    """Blank rows get a missing vector and change no other; the record counts both."""
    z = tmp_path / f"z.{suffix}"
    assert run_command("encode", tiny_run, file, "--output", z, "--json") == 0
    out, reported = read_notes(capsys)
    record = json.loads(out)
    assert (record["rows"], record["sentences"]) == (5, 3)
    assert f"{BLANK}: written as {'NaN' if suffix == 'npy' else 'null'}." in reported[0]
    if suffix == "npy":
        vectors = np.load(z)
    else:
        rows = pq.read_table(z)["z"].to_pylist()
        vectors = np.array([row or [np.nan] * 4 for row in rows])
    texts = [line for line in LINES if line.strip()]
    expected = TextVAE.from_pretrained(tiny_run, "cpu").encode(texts)
    np.testing.assert_allclose(vectors[[0, 2, 4]], expected, atol=1e-5)
    assert np.isnan(vectors[[1, 3]]).all()


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_decode_answers_the_vector_of_a_blank_row_with_a_blank_line(
    tiny_run, file, tmp_path, capsys, suffix
):
    """Encoding a file and decoding the vectors keeps rows in their places."""
    z = tmp_path / f"z.{suffix}"
    assert run_command("encode", tiny_run, file, "--output", z) == 0
    capsys.readouterr()
    assert run_command("decode", tiny_run, z) == 0
    out, reported = read_notes(capsys)
    assert [bool(line) for line in out.split("\n")[:5]] == [True, False, True, False, True]
    assert reported == [f"note: {z}: {BLANK}: written as blank lines."]
    assert run_command("decode", tiny_run, z, "--json") == 0
    out, _ = read_notes(capsys)
    assert [json.loads(line)["row"] for line in out.splitlines()] == [1, 2, 3, 4, 5]


def test_decode_refuses_a_vector_that_is_nan_in_part_and_a_file_of_blank_rows(
    tiny_run, tmp_path, capsys
):
    """A partly missing vector is damage; a file of blank rows leaves nothing to write."""
    for name, vector in (("part", [np.nan, 0, 0, 0]), ("blank", [np.nan] * 4)):
        np.save(tmp_path / f"{name}.npy", np.array([vector], dtype="f4"))
        assert run_command("decode", tiny_run, tmp_path / f"{name}.npy") == 2
    shown = capsys.readouterr().err
    assert "not finite" in shown
    assert "every vector is NaN or null" in shown


LEAVING_OUT = {
    "attribute fit": ["attribute", "fit", "RUN", "FILE", "--name", "of-a-file"],
    "augment": ["augment", "RUN", "FILE", "-n", "1", "--temperature", "2"],
    "anomaly fit": ["anomaly", "fit", "RUN", "FILE", "--name", "of-a-file"],
    "insight": ["insight", "RUN", "FILE", "--column", "label"],
    "index": ["index", "RUN", "FILE"],
    "prior fit": ["prior", "fit", "RUN", "FILE"],
    "uncertainty --curve": ["uncertainty", "RUN", "FILE", "--curve", "--draws", "2"],
    "traverse": ["traverse", "RUN", "a man", "--dimension", "0", "--reference", "FILE"],
    "interpolate": [
        "interpolate",
        "RUN",
        "a man",
        "two boys",
        "--path",
        "density",
        "--reference",
        "FILE",
    ],
    "evaluate": ["evaluate", "RUN", "FILE", "--measures", "quick"],
}


@pytest.fixture
def with_blanks(tmp_path):
    """Return a table whose second and fourth texts are blank, and the latter's label too."""
    rows = [*LABELLED[:1], ("", "one"), *LABELLED[1:2], ("  ", ""), *LABELLED[2:]]
    path = tmp_path / "table.csv"
    path.write_text("text,label\n" + "".join(f'"{text}","{label}"\n' for text, label in rows))
    return str(path)


@pytest.mark.parametrize("verb", LEAVING_OUT)
def test_a_command_that_leaves_blank_rows_out_says_so_once(fitted_run, with_blanks, capsys, verb):
    """One note on standard error gives their number and which rows they are."""
    if verb == "index":
        pytest.importorskip("faiss")
    assert run_command(*fill(LEAVING_OUT[verb], fitted_run, with_blanks), "--json") == 0
    (reported,) = [note for note in read_notes(capsys)[1] if "training sentences" not in note]
    assert reported.startswith(f"note: {with_blanks}: 2 of 102 rows ")
    assert "rows 2, 4" in reported


def test_augment_names_the_rows_its_texts_come_from(lstm, tiny_run, tmp_path, capsys):
    """Row numbers are those of the file, blank rows included; labels must match."""
    lstm.save_pretrained(tmp_path)
    shutil.copy(tiny_run / "settings.yaml", tmp_path)
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in TWO_CLASSES))
    words = [
        "augment",
        tmp_path,
        table,
        "-n",
        "3",
        "--text-column",
        "text",
        "--temperature",
        "2",
        "--spread",
        "3",
    ]
    assert run_command(*words, "--json") == 0
    records = [json.loads(line) for line in read_notes(capsys)[0].splitlines()]
    assert records
    for record in records:
        sources = [TWO_CLASSES[row - 1] for row in record["rows"]]
        assert all(text and label == record["label"] for text, label in sources)


def test_a_missing_label_is_named_by_its_row(fitted_run, tmp_path, capsys):
    """Earlier blank rows are counted; a blank row itself needs no label."""
    table = tmp_path / "some.csv"
    table.write_text('text,label\n"",\na man rides a wave.,sea\nthe dog sees his hat.,\n')
    assert run_command("attribute", "fit", fitted_run, table, "--name", "it") == 2
    assert "row 3 has no value in column 'label'" in capsys.readouterr().err


def test_evaluate_says_why_rows_are_left_out_and_how_many_are_cut(tiny_run, file, capsys):
    """The notes give the reasons of cleaning, and the limit at which a text was cut."""
    assert run_command("evaluate", tiny_run, file, "--measures", "quick", "--json") == 0
    out, reported = read_notes(capsys)
    assert json.loads(out)["sentences"] == 3
    assert reported == [
        f"note: {file}: 2 of 5 rows left out (2 blank): rows 2, 4.",
        f"note: {file}: 1 text is cut to 128 tokens, as in training.",
    ]


@pytest.mark.parametrize("method", ["encode", "features"])
def test_python_gives_a_blank_text_nan(lstm, capsys, method):
    """The result has one row per text, and a note says which texts are blank."""
    vectors = getattr(lstm, method)(["a man", " ", "two dogs run ."])
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(vectors[[0, 2]]).any()
    assert read_notes(capsys)[1] == [
        "note: texts: 1 of 3 rows is blank (row 2): NaN in the result."
    ]


def test_python_fits_without_blank_texts(tiny_run, capsys):
    """Blank texts do not change the fitted direction, and a note reports them."""
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    texts, labels = map(list, zip(*LABELLED, strict=True))
    plain = vae.fit_attribute(texts, labels)
    with_blank = vae.fit_attribute(["", *texts], ["two", *labels])
    assert plain.direction.tolist() == with_blank.direction.tolist()
    assert read_notes(capsys)[1] == ["note: texts: 1 of 101 rows is blank (row 1): left out."]


def test_sources_in_python_are_positions_among_all_texts(lstm):
    """Positions count from 0 and include blank texts."""
    found = lstm.augment(*zip(*TWO_CLASSES, strict=True), n=3, temperature=2.0, spread=3.0)
    assert found
    for record in found:
        assert all(TWO_CLASSES[position][0] for position in record["sources"])
        assert {TWO_CLASSES[position][1] for position in record["sources"]} == {record["label"]}


def test_a_folder_with_other_splits_says_which_is_read(tiny_run, tmp_path, capsys):
    """Otherwise nobody would notice that the rows of the other splits are missing."""
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text("a man rides a wave.\n")
    assert [row.number for row in InputRows(str(tmp_path), Run(tiny_run))] == [1]
    assert "only its train split is read. Name a file to read test." in read_notes(capsys)[1][1]


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_input_of_blank_rows_alone_is_refused(tiny_run, monkeypatch, content):
    """Without a sentence there is nothing to answer."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    with pytest.raises(DataError, match=r"holds no sentence|is empty"):
        list(InputRows("-", Run(tiny_run)))


def test_closed_standard_input_is_refused(tiny_run, monkeypatch):
    """The shell closes standard input with `<&-`."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        list(InputRows("-", Run(tiny_run)))


def test_a_line_of_standard_input_that_is_not_utf8_is_named(tiny_run, monkeypatch):
    """The message gives the number of the line."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"fine\ncaf\xe9\n")))
    with pytest.raises(DataError, match="standard input, line 2: is not UTF-8"):
        list(InputRows("-", Run(tiny_run)))


def test_many_rows_are_counted_and_the_first_are_listed():
    """A message stays short, however many rows it reports."""
    rows_found = RowNumbers()
    for row in range(1, 1001):
        rows_found.add(row)
    assert str(rows_found) == "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 990 more"


def test_only_texts_with_more_than_white_space_are_found(capsys):
    """A text of any kind of white space counts as blank."""
    assert find_texts(["", "a", "\u3000\n", "b"]) == [1, 3]
    assert "2 of 4 rows are blank (rows 1, 3)" in read_notes(capsys)[1][0]


def pipe(monkeypatch, content):
    """Replace standard input by these bytes."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input_is_read_as_a_text_file_is(tiny_run, monkeypatch):
    """Byte order mark and carriage returns are removed, and blank rows are counted."""
    pipe(monkeypatch, b"\xef\xbb\xbfa man\r\n\r\nthe dog\n")
    assert [row.text for row in InputRows("-", Run(tiny_run))] == ["a man", None, "the dog"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a man\n\0\n", "standard input, line 2: holds a NUL byte"),
        (b"a man\rthe dog\r", "its lines end with carriage returns alone"),
        (b"a \xff\n", "standard input, line 1: is not UTF-8"),
        (b"\n", "standard input: holds no sentence"),
    ],
)
def test_standard_input_is_refused_for_the_same_reasons_as_a_file(
    tiny_run, monkeypatch, content, words
):
    """The messages are the same as for a file."""
    pipe(monkeypatch, content)
    with pytest.raises(DataError, match=words):
        list(InputRows("-", Run(tiny_run)))


@pytest.mark.parametrize("option", [{"text_column": "body"}, {"quoting": "quoted"}])
def test_options_of_tables_are_refused_for_standard_input(tiny_run, option):
    """As a table, its first line would be taken for a sentence."""
    with pytest.raises(ConfigError, match="is for tables, and standard input is read as text"):
        InputRows("-", Run(tiny_run), option)


@pytest.mark.parametrize(
    "words",
    [
        ["reconstruct", "RUN", "FILE"],
        ["edit", "RUN", "--file", "FILE", "--attribute", "count"],
        ["traverse", "RUN", "a man", "--dimension", "0", "--reference", "FILE"],
        ["interpolate", "RUN", "a man", "the dog", "--path", "density", "--reference", "FILE"],
        ["evaluate", "RUN", "FILE", "--measures", "quick"],
    ],
    ids=lambda words: words[0],
)
def test_commands_that_read_a_table_have_options_for_it(fitted_run, tmp_path, capsys, words):
    """Options choose the text column and whether quotes delimit cells."""
    table = tmp_path / "table.tsv"
    lines = ['"body"\t"n"', *(f'"{text}"\t1' for text in SENTENCES[:30])]
    table.write_text("\n".join(lines) + "\n")
    command = fill(words, fitted_run, table)
    assert run_command(*command, "--text-column", "body", "--quoting", "quoted", "--json") == 0
    assert '\\"' not in capsys.readouterr().out
    assert run_command(*command, "--quoting", "quoted") == 2


def test_rows_of_a_folder_are_counted_in_each_file_and_a_note_says_so(tiny_run, tmp_path, capsys):
    """Files are read in the order of their names."""
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(f"{name} first\n{name} second\n")
    found = [(row.number, row.text) for row in InputRows(str(tmp_path), Run(tiny_run))]
    assert found == [
        (1, "a.txt first"),
        (2, "a.txt second"),
        (1, "b.txt first"),
        (2, "b.txt second"),
    ]
    assert "rows counted in each of them" in capsys.readouterr().err


def test_standard_input_is_not_cut_into_shards(tiny_run, tmp_path, capsys):
    """An interrupted job could not read it again."""
    assert run_command("encode", tiny_run, "-", "--output", tmp_path / "shards") == 2
    assert "standard input cannot be processed in shards" in capsys.readouterr().err
