"""Sources that are refused: each message names the file, what is wrong and how to fix it."""

import gzip
import json
import re

import datasets
import pytest

from tests.corpora import LINES, SENTENCES, texts, write, write_table
from textvae.data.sources import find_splits
from textvae.data.tables import TableSettings, encodings
from textvae.errors import DataError

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"


def check_refused(corpus, words, **settings):
    """Check that reading a corpus fails with these words."""
    with pytest.raises(DataError, match=re.escape(words)):
        texts(str(corpus), **settings)


def test_a_missing_file_is_refused_with_the_nearest_name(tmp_path):
    """A typing error is recognized."""
    write(tmp_path / "captions.txt", LINES)
    check_refused(
        tmp_path / "caption.txt",
        "caption.txt: there is no such file or folder; did you mean 'captions.txt'?",
    )


def test_a_file_in_a_missing_folder_is_refused(tmp_path):
    """There is no similar name to suggest."""
    check_refused(tmp_path / "absent" / "a.txt", "absent/a.txt: there is no such file or folder.")


def test_an_empty_file_is_refused(tmp_path):
    """An empty file may be plain or gzipped text, or a table."""
    for name in ("a.txt", "a.txt.gz", "a.csv", "a.jsonl"):
        check_refused(
            write(tmp_path / name, ""), f"{name}: is empty; expected one sentence per line."
        )


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.txt", b"fine\nfine\ncaf\xe9\n", 3),
        ("a.csv", b"text\nfine\ncaf\xe9\n", 3),
        ("a.tsv", b"text\nfine\ncaf\xe9\n", 3),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": "caf\xe9"}\n', 13),
        ("a.json", b'[{"text": "a"},\n\n{"text": "caf\xe9"}]\n', 13),
        ("a.json", b'{"rows": [\n{"text": "a"},\n{"text": "caf\xe9"}\n]}', 13),
    ],
)
def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path, name, content, place):
    """The message gives the line, the byte and an encoding that fits."""
    file = write(tmp_path / name, content)
    check_refused(
        file,
        f"{name}, line 3: is not UTF-8 (byte 0xe9 at {place}). In cp1252 (Western European Windows)",
    )


def test_the_encoding_of_a_long_line_is_guessed_from_the_words_around_the_fault(
    tmp_path, monkeypatch
):
    """A document on one line may have hundreds of megabytes."""
    examined: list[int] = []
    guess = encodings.guess_encodings

    def guess_and_count(line: bytes) -> dict[str, str]:
        examined.append(len(line))
        return guess(line)

    monkeypatch.setattr(encodings, "guess_encodings", guess_and_count)
    row = json.dumps({"text": "a plain sentence of some words"}).encode()
    middle = b'{"text": "caf\xe9"}'
    content = b'{"rows": [' + b", ".join([row] * 1000 + [middle] + [row] * 1000) + b"]}"
    check_refused(write(tmp_path / "a.json", content), "caf\u00e9")
    assert examined[0] < 10_000


def test_an_encoding_that_does_not_fit_a_list_is_not_recommended_again(tmp_path):
    """The byte 0x81 has no character in cp1252."""
    file = write(tmp_path / "a.json", b'[\n{"text": "a\x81"}]')
    check_refused(file, "line 2: is not cp1252", encoding="cp1252")


def test_a_nul_byte_is_refused_with_its_line(tmp_path):
    """No text contains a NUL byte."""
    check_refused(
        write(tmp_path / "a.txt", "fine\na\0b\n"),
        "a.txt, line 2: holds a NUL byte. Is it a text file",
    )


@pytest.mark.parametrize("name", ["a.txt", "a", "a.csv"])
def test_a_picture_is_refused(tmp_path, name):
    """The name of the file does not matter."""
    check_refused(write(tmp_path / name, PNG), f"{name}, line 1: is not UTF-8 (byte 0x89 at 0)")


def test_a_wide_encoding_without_a_mark_is_refused(tmp_path):
    """Half of the bytes of UTF-16 are NUL, so the message can name the encoding."""
    check_refused(
        write(tmp_path / "a.txt", LINES.encode("utf-16-le")),
        "a.txt: looks like utf-16-le without a byte order mark; set data.encoding=utf-16-le",
    )


def test_a_cut_off_gzip_file_is_refused(tmp_path):
    """An interrupted download leaves such a file."""
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(LINES.encode() * 50)[:-20])
    check_refused(tmp_path / "a.txt.gz", "a.txt.gz: its gzip compression is damaged after line ")


@pytest.mark.parametrize("place", [3, 12, 60, -6])
def test_a_damaged_gzip_file_is_refused(tmp_path, place):
    """The damage may be in the header, the body or the checksum."""
    data = bytearray(gzip.compress(LINES.encode(), mtime=0))
    data[place] ^= 0xFF
    (tmp_path / "a.txt.gz").write_bytes(bytes(data))
    check_refused(tmp_path / "a.txt.gz", "a.txt.gz: its gzip compression is damaged")


def test_a_damaged_gzipped_table_is_refused(tmp_path):
    """The message is about the compression, not about the table."""
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text\n" + LINES.encode() * 50)[:-20])
    check_refused(tmp_path / "a.csv.gz", "a.csv.gz: its gzip compression is damaged")


def test_a_csv_with_ragged_rows_is_refused_with_its_line(tmp_path):
    """A text with an unquoted comma has one field too many."""
    rows = [f"{sentence},1" for sentence in SENTENCES]
    rows[3] = "one, two, three,1"
    check_refused(
        write(tmp_path / "a.csv", "\n".join(["text,label", *rows])),
        "a.csv, line 5: has 4 fields, and the first line names 2 columns.",
    )


def test_malformed_jsonl_is_refused(tmp_path):
    """The message gives the line."""
    file = tmp_path / "a.jsonl"
    write_table(file, SENTENCES)
    file.write_text(file.read_text() + "{oops\n")
    check_refused(file, "a.jsonl, line 21: is not JSON: ")


@pytest.mark.parametrize("content", [b"", b"no parquet at all"])
def test_a_file_that_is_not_parquet_is_refused(tmp_path, content):
    """A parquet file has no lines to name."""
    check_refused(write(tmp_path / "a.parquet", content), "a.parquet: cannot be read as parquet: ")


def test_a_folder_with_nothing_to_read_is_refused(tmp_path):
    """The message lists the suffixes that can be read."""
    check_refused(
        tmp_path,
        "contains no file to read; "
        "expected .txt, .csv, .tsv, .jsonl, .json, .parquet, compressed or not.",
    )
    write(tmp_path / "picture.png", PNG)
    check_refused(tmp_path, "contains no file to read")


def test_a_folder_with_only_a_test_split_is_refused(tmp_path):
    """There is nothing to train on."""
    write(tmp_path / "test.txt", LINES)
    check_refused(
        tmp_path, "contains test but nothing to train on; name a file train.txt, for instance."
    )


@pytest.mark.parametrize("message", ["Dataset 'captoins' doesn't exist on the Hub", ""])
def test_an_unknown_name_is_refused_with_the_bundled_ones(monkeypatch, message):
    """The message is complete even if the error of the library has no text."""

    def fail(*_, **__):
        raise ConnectionError(message)

    monkeypatch.setattr(datasets, "load_dataset", fail)
    check_refused(
        "captoins",
        "captoins: is not a file, a folder or a bundled corpus (captions), and `datasets` cannot",
    )


def test_a_data_set_without_a_training_split_is_refused(monkeypatch):
    """The message lists the splits that it has."""
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"test": [], "extra": []})
    check_refused("owner/name", "owner/name: has the splits test, extra but none called train.")


@pytest.mark.parametrize(("name", "separator"), [("rows.csv", ","), ("rows.tsv", "\t")])
def test_a_row_with_more_fields_than_columns_is_refused(tmp_path, name, separator):
    """The message gives the line; in quotes, the same text is one field."""
    file = tmp_path / name
    rows = [["text", "label"], ["a dog runs", "x"], ["a cat", " sits", "y"]]
    file.write_text("\n".join(map(separator.join, rows)))
    with pytest.raises(DataError, match="line 3: has 3 fields, and the first line names 2"):
        list(find_splits(str(file), TableSettings())["train"]())
    file.write_text(f'text{separator}label\n"a cat{separator} sits"{separator}y\n')
    read = find_splits(str(file), TableSettings(quoting="quoted"))["train"]()
    assert list(read) == [{"text": f"a cat{separator} sits", "label": "y"}]
