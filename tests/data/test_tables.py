"""Tables: cells are read as they are written, and what could be misread is refused."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import prepared, write
from textvae.data.sources import find_splits
from textvae.data.tables import (
    BYTES_PER_READ,
    MAX_LINE_LENGTH,
    TableSettings,
    as_label,
    as_number,
)
from textvae.data.tables.lines import split_lines
from textvae.errors import DataError


def read_rows(file, quoting="auto", column="text"):
    """Return the rows of a file."""
    return list(
        find_splits(str(file), TableSettings(text_column=column, quoting=quoting))["train"]()
    )


def check_refused(file, words, quoting="auto"):
    """Check that reading a file fails with these words."""
    with pytest.raises(DataError, match=re.escape(words)):
        read_rows(file, quoting)


def test_a_quote_in_a_tsv_is_a_character(tmp_path):
    """Two stray quotes do not swallow the rows between them."""
    lines = [f"sentence {number}\t{number}" for number in range(400)]
    lines[50] = f'"{lines[50]}'
    lines[350] = f'"{lines[350]}'
    read = read_rows(write(tmp_path / "a.tsv", "\n".join(["text\tn", *lines]) + "\n"))
    assert [f"{row['text']}\t{row['n']}" for row in read] == lines


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["one,1", '"two,2', "three,3", 'four",4', "five,5"], 3),
        (["one,1", '"two,2', 'three",3'], 3),
        (["one,1", '"two,2', "three,3"], 3),
        (["one,1", '"two" and more,2'], 3),
        (["one,1", '"two,2', '"three,3', "four,4"], 3),
        (["one, 1", '"two, 2', "three, 3", 'four", 4'], 3),
    ],
)
def test_a_stray_quote_in_a_csv_is_refused_where_it_begins(tmp_path, lines, line):
    """The message names the setting that makes it a character."""
    file = write(tmp_path / "a.csv", "\n".join(["text,n", *lines]) + "\n")
    check_refused(file, f"a.csv, line {line}: a quote")
    check_refused(file, "set data.quoting=none")
    assert [row["n"].strip() for row in read_rows(file, "none")] == [
        line.rpartition(",")[2].strip() for line in lines
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_with_line_breaks_in_quotes_is_one_cell(tmp_path, end):
    """Commas followed by a space are those of prose, not of rows."""
    text = f"first, a line{end}then, another{end}{end}and the last"
    file = write(tmp_path / "a.csv", f'id,text,n{end}7,"{text}",1{end}8,short,2{end}')
    assert read_rows(file) == [
        {"id": "7", "text": text, "n": "1"},
        {"id": "8", "text": "short", "n": "2"},
    ]


def test_a_cell_that_looks_like_rows_is_read_if_the_settings_say_so(tmp_path):
    """In a table with one column nothing else can show it, so the settings must say so."""
    file = write(tmp_path / "a.csv", 'text\n"one\ntwo"\nthree\n')
    check_refused(
        file,
        "a.csv, line 2: a quoted cell begins here and spans 2 lines, most of which look like rows.",
    )
    assert [row["text"] for row in read_rows(file, "quoted")] == ["one\ntwo", "three"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_cell_is_exactly_its_characters(tmp_path, name):
    """A cell never becomes a number, truth value, date or missing value, in any block of rows."""
    cells = [
        "00",
        "1",
        "2.5",
        "12345678901234567890",
        "true",
        "2020-01-01",
        "NA",
        "",
        "1e3",
        " a ",
    ] * 900
    separator = "\t" if name == "a.tsv" else ","
    lines = [f"text{separator}n", *(f"word{separator}{cell}" for cell in cells)]
    read = read_rows(write(tmp_path / name, "\n".join(lines)))
    assert [row["n"] for row in read] == cells


def test_labels_of_a_table_are_its_cells_without_spaces_around(tmp_path):
    """A `2.5` in a later block does not turn an earlier `1` into `1.0`."""
    labels = [" 01", "1 ", "true"] * 4000 + ["2.5"] * 8
    lines = [f"the sentence {number},{label}" for number, label in enumerate(labels)]
    file = write(tmp_path / "a.csv", "\n".join(["text,label", *lines]))
    _, splits = prepared(tmp_path / "out", file, label_columns=["label"])
    for split in splits.values():
        assert set(split["label"]) <= {"01", "1", "true", "2.5"}
    assert {"01", "1", "true"} <= set(splits["train"]["label"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_values_of_json_become_text_as_they_are_spelled(tmp_path, name):
    """A column may contain text in one row and numbers in another."""
    spelled = [
        "1",
        "1.0",
        "1.50",
        "1e3",
        "12345678901234567890",
        "0.12345678901234567890",
        "true",
        "null",
        '"a"',
    ]
    lines = [f'{{"text": "t", "label": {value}}}' for value in spelled]
    text = "\n".join(lines) if name == "a.jsonl" else f"[{', '.join(lines)}]"
    read = [as_label(row["label"]) for row in read_rows(write(tmp_path / name, text))]
    assert read == [{"null": ""}.get(value, value.strip('"')) for value in spelled]


def test_whole_numbers_of_parquet_stay_whole_next_to_missing_ones(tmp_path):
    """A reader that converts them to floats would call a label 1.0."""
    table = {"text": ["a", "b", "c"], "n": pa.array([1, None, 3]), "x": [1.5, 2.0, None]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    read = read_rows(tmp_path / "a.parquet")
    assert [as_label(row["n"]) for row in read] == ["1", "", "3"]
    assert [as_label(row["x"]) for row in read] == ["1.5", "2.0", ""]


def test_a_column_of_numbers_is_not_a_column_of_text(tmp_path):
    """In a .csv file only the cells can show it; one text among them makes it a column of text."""
    numbers = read_rows(write(tmp_path / "a.csv", "text\n1\n2.5\n"))
    assert not any(isinstance(row["text"], str) for row in numbers)
    mixed = read_rows(write(tmp_path / "b.csv", "text\n42\na man\n7\n"))
    assert [row["text"] for row in mixed] == ["42", "a man", "7"]


@pytest.mark.parametrize("value", ["7", "-2.5", "1e3", ".5"])
def test_a_spelled_number_equals_the_number_and_keeps_its_spelling(value):
    """A spelled number can be used in calculations and shown as it was written."""
    assert as_number(value) == float(value)
    assert str(as_number(value)) == value


@pytest.mark.parametrize("value", ["seven", "nan", "1_000", "", "1 2"])
def test_what_spells_no_number_stays_text(value):
    """Words that Python would convert to numbers are text too."""
    assert as_number(value) is value


def test_a_long_cell_is_read(tmp_path):
    """The cell is longer than the default limit of Python's csv module."""
    text = "word " * 40_000
    assert read_rows(write(tmp_path / "a.csv", f'text,n\n"{text}",1\n'))[0]["text"] == text


def test_names_of_columns_lose_the_spaces_around_them(tmp_path):
    """The byte order mark is removed too, whether the names are quoted or not."""
    file = write(tmp_path / "a.csv", b'\xef\xbb\xbf"text", label \na,1\n')
    assert read_rows(file) == [{"text": "a", "label": "1"}]


def test_two_columns_of_one_name_are_refused(tmp_path):
    """The user may mean either of them."""
    check_refused(
        write(tmp_path / "a.csv", "text,n,text\na,1,b\n"),
        "a.csv, line 1: names the column 'text' twice",
    )
    check_refused(
        write(tmp_path / "a.jsonl", '{"text": "a", "text": "b"}\n'),
        "a.jsonl, line 1: names a key twice",
    )


def test_a_row_with_too_few_cells_is_refused(tmp_path):
    """Such a row may be half of a text with a line break."""
    file = write(tmp_path / "a.csv", "text,n\n\none,1\nhalf of\na text,2\n")
    check_refused(file, "a.csv, line 4: has 1 field, and the first line names 2 columns.")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl"])
def test_line_ends_that_are_carriage_returns_alone_are_refused(tmp_path, name):
    """The whole file would be a single line."""
    file = write(tmp_path / name, "text,n\rone,1\rtwo,2\r")
    check_refused(file, "its lines end with carriage returns alone; convert it")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv"])
def test_a_last_line_feed_does_not_hide_that_lines_end_with_carriage_returns(tmp_path, name):
    """Some editors add one."""
    file = write(tmp_path / name, "text,n\rone,1\rtwo,2\n")
    check_refused(file, "its lines end with carriage returns alone; convert it")


def test_carriage_returns_inside_of_lines_are_read():
    """A log of progress bars has many of them."""
    blocks = [b"start\none\rtwo\rthree\rfour\nend\n"]
    assert list(split_lines(iter(blocks))) == [b"start", b"one\rtwo\rthree\rfour", b"end"]


def test_line_ends_may_be_cut_in_two_by_a_block():
    """Their carriage returns are not inside of a line."""
    blocks = [b"one\r", b"\ntwo\r", b"\nthree\r", b"\n"]
    assert list(split_lines(iter(blocks))) == [b"one\r", b"two\r", b"three\r"]


def test_a_carriage_return_in_an_unquoted_cell_is_refused(tmp_path):
    """The carriage return may be the end of a line."""
    check_refused(
        write(tmp_path / "a.csv", "text,n\none\rtwo,1\n"),
        "a.csv, line 2: a cell holds a carriage return",
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_a_nul_byte_in_a_table_is_refused_with_its_line(tmp_path, name):
    """The NUL byte may be in any column."""
    content = (
        b'{"text": "a", "n": 1}\n{"text": "a", "n": "\\u0000"}\n'
        if name == "a.jsonl"
        else b"text\na\0\n"
    )
    check_refused(write(tmp_path / name, content), f"{name}, line 2: holds a NUL byte")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_nested_too_deep_is_refused_with_its_line(tmp_path, name):
    """Other readers crash."""
    deep = '{"text": ' + "[" * 100_000
    text = f'{{"text": "a"}}\n{deep}\n' if name == "a.jsonl" else f'[{{"text": "a"}},\n{deep}'
    check_refused(write(tmp_path / name, text), f"{name}, line 2: is nested too deep")


def test_a_list_of_json_objects_is_read_in_pieces(tmp_path):
    """A piece may end anywhere, and the file may be gzipped."""
    records = [
        {"text": f'{number} naïve [{{\\"', "n": number} for number in range(BYTES_PER_READ // 20)
    ]
    for indent in (None, 1):
        file = write(tmp_path / "a.json.gz", json.dumps(records, ensure_ascii=False, indent=indent))
        assert read_rows(file) == records


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[{"text": "a"},\n{"text": "b"}',
            "line 2: is not JSON: expected a comma or the end of the list, got ''",
        ),
        (
            '[{"text": "a"},\n{"text" "b"}]',
            "line 2: is not JSON: Expecting ':' delimiter at character 9",
        ),
        ('[{"text": "a"},\n"b"]', "line 2: holds no JSON object; expected a list of objects"),
        (
            '[{"text": "a"}]\n\n{"text": "b"}',
            "line 3: is not JSON: '{' follows the end of the list",
        ),
        ('{"text":\n ["a"]', "line 2: is not JSON"),
        ('{"text": 1' + "0" * 5000 + "}", "line 1: holds a number with too many digits"),
    ],
)
def test_broken_json_is_refused_with_its_line(tmp_path, text, words):
    """Broken JSON may be in a list or in a file of lines."""
    check_refused(write(tmp_path / "a.json", text), f"a.json, {words}")


def test_a_json_object_without_a_key_of_the_first_has_no_value_there(tmp_path):
    """Some programs leave nulls out; blank lines are not rows."""
    file = write(tmp_path / "a.jsonl", '{"text": "a", "n": 1}\n\n{"text": "b"}\n')
    assert read_rows(file) == [{"text": "a", "n": 1}, {"text": "b", "n": None}]


@pytest.mark.parametrize("name", ["data[1]", "a*b", "a?", "a::b"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_a_file_is_read_by_its_name_and_not_by_a_pattern(tmp_path, name, suffix):
    """As a pattern, the name would match another file."""
    for stem, text in ((name, "right"), ("data1", "wrong"), ("aXb", "wrong"), ("ab", "wrong")):
        content = {".csv": f"text\n{text}\n", ".jsonl": json.dumps({"text": text}), ".txt": text}[
            suffix
        ]
        write(tmp_path / f"{stem}{suffix}", content)
    assert [row["text"] for row in read_rows(tmp_path / f"{name}{suffix}")] == ["right"]


def test_a_line_without_end_is_refused_before_memory_is_full(tmp_path):
    """A small compressed file may contain gigabytes of it."""
    (tmp_path / "a.csv.gz").write_bytes(
        gzip.compress(b"text\n" + b" " * (MAX_LINE_LENGTH + BYTES_PER_READ), 1)
    )
    check_refused(tmp_path / "a.csv.gz", "a line has over 64 MiB")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_blank_line_of_a_table_with_one_column_is_a_row(tmp_path, name):
    """The row's text is blank, as in a text file, and later rows keep their numbers."""
    file = write(tmp_path / name, "\ntext\none\n\n  \ntwo\n")
    assert [row["text"].strip() for row in read_rows(file)] == ["one", "", "", "two"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", ["text,n", "one,1", "", "two,2"]),
        ("a.jsonl", ['{"text": "one"}', "", " ", '{"text": "two"}']),
    ],
)
def test_a_blank_line_among_several_columns_is_no_row_and_a_note_says_so(
    tmp_path, capsys, name, lines
):
    """Anyone who compares rows with lines learns which lines are not counted."""
    assert [row["text"] for row in read_rows(write(tmp_path / name, "\n".join(lines) + "\n"))] == [
        "one",
        "two",
    ]
    note = (
        "2 blank lines are not rows (lines 2, 3)"
        if name == "a.jsonl"
        else "1 blank line is not a row (line 3)"
    )
    assert f"{name}: {note}; rows are counted without them." in capsys.readouterr().err


@pytest.mark.parametrize("line", ['"he said ""no"""\t1', '""\t1'])
def test_a_tsv_whose_cells_are_quoted_is_not_read_with_its_quotes(tmp_path, line):
    """A program that doubles quotes uses them to delimit cells; the settings decide."""
    file = write(tmp_path / "a.tsv", f"text\tn\none\t1\n{line}\n")
    check_refused(file, "a.tsv, line 3: has a cell in quotes with doubled quotes in it")
    assert read_rows(file, "none")[1]["text"] == line.removesuffix("\t1")
    assert '""' not in read_rows(file, "quoted")[1]["text"]


def test_a_tsv_whose_columns_are_named_in_quotes_is_refused_with_the_setting(tmp_path):
    """Otherwise the quotes would become part of the names."""
    file = write(tmp_path / "a.tsv", '"text"\t"n"\n"one"\t"1"\n')
    check_refused(file, "a.tsv, line 1: names its columns in quotes")
    assert read_rows(file, "quoted") == [{"text": "one", "n": "1"}]
