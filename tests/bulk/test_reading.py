"""Reading for bulk jobs: which files, which rows, and what is refused."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bulk.shards import work, write_files
from textvae.bulk.reading import UnitReader, count_rows, find_corpus_files
from textvae.bulk.units import Unit
from textvae.data.tables import TableSettings
from textvae.errors import DataError

LINES = [f"line {number}" for number in range(20)]


def test_files_are_found_by_folder_pattern_path_and_name(tmp_path):
    """Names are relative to the folder before the first wildcard of a pattern."""
    corpus = write_files(tmp_path / "corpus")
    (corpus / "deep").mkdir()
    (corpus / "deep" / "d.txt").write_text("a man\n")
    names = ["a.txt", "b.txt.gz", "c.jsonl"]
    assert find_corpus_files(str(corpus)) == (corpus, names)
    assert find_corpus_files(str(corpus / "*.txt*")) == (corpus, names[:2])
    assert find_corpus_files(str(corpus / "**" / "*.txt")) == (corpus, ["a.txt", "deep/d.txt"])
    assert find_corpus_files(str(corpus / "c.jsonl")) == (corpus, ["c.jsonl"])
    assert find_corpus_files("captions")[1][0] == "test.txt.gz"


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_each_message_of_chats_is_a_row(tmp_path, name):
    """The number of rows that a Parquet file stores is that of the chats."""
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    rows = [{"messages": chat}, {"messages": chat[:1]}]
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        (tmp_path / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert count_rows(tmp_path / name, TableSettings()) == 3
    read = UnitReader(tmp_path, TableSettings())(Unit(0, 0, 3, name))
    assert read == [(1, "Hi"), (2, "Hello!"), (3, "Hi")]


def test_wildcard_characters_in_the_names_of_files_and_folders_are_literal(tmp_path):
    """Only the part after the last existing folder is a pattern."""
    for folder in ("run[1]", "run1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data[1].csv").write_text(f"text\n{folder}\n")
        (tmp_path / folder / "data1.csv").write_text("text\nwrong\n")
    folder = tmp_path / "run[1]"
    assert find_corpus_files(str(folder / "data[1].csv")) == (folder, ["data[1].csv"])
    assert find_corpus_files(str(folder / "*[[]*.csv")) == (folder, ["data[1].csv"])
    assert UnitReader(folder, TableSettings())(Unit(0, 0, 1, "data[1].csv")) == [(1, "run[1]")]


def test_quoting_can_be_chosen(tiny_run, tmp_path):
    """With it, a tab inside quotes is part of the text; without it, the tab separates fields."""
    (tmp_path / "a.tsv").write_text('text\n"a man\trides"\na dog\n')
    rows = work(
        "encode", tiny_run, tmp_path / "out", tmp_path / "a.tsv", tables={"quoting": "quoted"}
    )
    assert [row["text"] for row in rows] == ["a man\trides", "a dog"]
    with pytest.raises(DataError, match="line 2: has 2 fields, and the first line names 1 column"):
        work("encode", tiny_run, tmp_path / "out", tmp_path / "a.tsv")


@pytest.mark.parametrize("name", ["gone", "*.csv", "empty"])
def test_a_corpus_without_files_is_refused(tmp_path, name):
    """It is a missing path, a pattern without a match, or a folder without readable files."""
    (tmp_path / "empty").mkdir()
    message = f"{name}: no file to read was found; expected .txt"
    with pytest.raises(DataError, match=re.escape(message)):
        find_corpus_files(str(tmp_path / name))


def test_units_may_be_read_in_any_order_and_with_gaps(tmp_path):
    """The reader moves forwards in a file, or reads it again from its beginning."""
    (tmp_path / "a.txt").write_text("\n".join(LINES))
    (tmp_path / "b.txt").write_text("\n".join(reversed(LINES)))
    read = UnitReader(tmp_path, TableSettings())
    for file, first_row, rows in [
        ("a.txt", 3, 2),
        ("a.txt", 9, 4),
        ("b.txt", 0, 1),
        ("a.txt", 0, 3),
        ("a.txt", 1, 1),
    ]:
        lines = LINES if file == "a.txt" else LINES[::-1]
        expected = list(enumerate(lines, start=1))[first_row : first_row + rows]
        assert read(Unit(0, first_row, rows, file)) == expected


def test_a_file_that_became_shorter_is_refused(tmp_path):
    """Otherwise rows would be missing in the shards, and nothing would say so."""
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"a\.txt: has fewer rows than when the work began"):
        UnitReader(tmp_path, TableSettings())(Unit(0, 0, 3, "a.txt"))


def test_blank_rows_count_in_every_kind_of_file(tmp_path):
    """So the same rows have the same numbers as text, as a table and as Parquet."""
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "a.csv").write_text('text,n\none,1\n"",2\ntwo,3\n')
    pq.write_table(pa.table({"text": ["one", None, "two"]}), tmp_path / "a.parquet")
    for name in ("a.txt", "a.csv", "a.parquet"):
        assert count_rows(tmp_path / name, TableSettings()) == 3
        rows = UnitReader(tmp_path, TableSettings())(Unit(0, 0, 3, name))
        assert rows == [(1, "one"), (3, "two")]


BROKEN = {
    "text that is not UTF-8": ("b.txt", b"fine\nfine\ncaf\xe9\n", "b.txt, line 3: is not UTF-8"),
    "a truncated gzip file": (
        "b.txt.gz",
        gzip.compress("\n".join(LINES * 99).encode())[:-9],
        "gzip compression is dam",
    ),
    "a table without the column": (
        "b.jsonl",
        b'{"body": "a man"}\n',
        "b.jsonl: there is no column 'text'; the columns are body",
    ),
    "numbers for text": ("b.csv", b"text\n1\n2\n", "b.csv: row 1: column 'text' holds 1, not text"),
    "no Parquet": ("b.parquet", b"PAR1 not at all", "b.parquet: cannot be read as parquet"),
}


def test_an_empty_file_of_a_folder_is_named(tiny_run, tmp_path, capsys):
    """Parts of the output of a job may be empty; the other files are encoded."""
    corpus = write_files(tmp_path / "corpus")
    (corpus / "empty.txt").write_bytes(b"")
    assert len(work("encode", tiny_run, tmp_path / "out", corpus)) == 60
    assert "not read: empty.txt (empty)" in capsys.readouterr().err


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_before_work_begins(tiny_run, tmp_path, case):
    """Nothing is written, and after the file is repaired the same command works."""
    corpus = write_files(tmp_path / "corpus")
    name, content, message = BROKEN[case]
    original = (corpus / "b.txt.gz").read_bytes()
    (corpus / "b.txt.gz").unlink()
    (corpus / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        work("encode", tiny_run, tmp_path / "out", corpus)
    assert not (tmp_path / "out").exists()
    (corpus / name).unlink()
    (corpus / "b.txt.gz").write_bytes(original)
    assert len(work("encode", tiny_run, tmp_path / "out", corpus)) == 60


def test_another_column_can_be_read(tiny_run, tmp_path):
    """A table need not have the column that the run was trained on."""
    table = pa.table({"body": ["a man", "a dog"], "text": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = work(
        "encode", tiny_run, tmp_path / "out", tmp_path / "a.parquet", tables={"text_column": "body"}
    )
    assert [row["text"] for row in rows] == ["a man", "a dog"]


def test_damage_inside_a_parquet_file_stops_the_job_and_keeps_finished_shards(tiny_run, tmp_path):
    """Such damage is not found beforehand: of a Parquet file, only the row count is read then."""
    corpus = write_files(tmp_path / "corpus")
    texts = [f"a man number {number} rides {number * 7919} waves" for number in range(4000)]
    table = pa.table({"text": texts})
    pq.write_table(table, corpus / "z.parquet", use_dictionary=False, row_group_size=1000)
    data = bytearray((corpus / "z.parquet").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400
    (corpus / "z.parquet").write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"z\.parquet: cannot be read as parquet"):
        work("encode", tiny_run, tmp_path / "out", corpus, shard_rows=1500)
    shards = sorted(file.name for file in (tmp_path / "out").glob("part-*"))
    assert shards[:3] == [f"part-0000{number}.parquet" for number in range(3)]
    assert not list((tmp_path / "out").glob(".part-*"))
