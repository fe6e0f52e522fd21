"""Reading streams: every format gives the same rows; damage is reported or skipped."""

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable

import fsspec
import pytest

from tests.corpora import SENTENCES, TRICKY, write, write_table
from textvae.data.settings import DataSettings
from textvae.data.streaming.files import find_stream_files
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.streaming.sample import is_streamed
from textvae.data.tables import ROWS_PER_BATCH as BLOCK
from textvae.errors import ConfigError, DataError

LINES = [*TRICKY, *SENTENCES]
MANY = [f"a line, and it is number {number}" for number in range(2 * BLOCK + 500)]
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def build_reader(**settings) -> StreamFileReader:
    """Return a reader with these settings."""
    return StreamFileReader(DataSettings(**settings), ["text"])


def read_texts(file, start=0, part=0, parts=1):
    """Return the texts of a file, or of a part of it."""
    return [row["text"] for _, row in build_reader().read_rows(str(file), start, part, parts)]


def read_damaged(file):
    """Return the texts read from a damaged file, what was counted, and the messages."""
    skipping = build_reader(on_corrupt="skip")
    read = [row["text"] for _, row in skipping.read_rows(str(file))]
    return read, dict(skipping.counts), [message for _, message in skipping.notices]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet"])
def test_every_kind_of_table_gives_its_texts(tmp_path, name):
    """Texts contain quotes, words for missing values, and all scripts."""
    lines = [*LINES, "None", "NA", "null"]
    assert read_texts(write_table(tmp_path / name, lines, n=list(range(len(lines))))) == lines


@pytest.mark.parametrize("suffix", ["", *COMPRESSORS])
def test_text_is_decompressed_whatever_the_format(tmp_path, suffix):
    """A byte order mark and the line ends of Windows are not part of a text."""
    data = ("\ufeff" + "\r\n".join(LINES) + "\r\n").encode()
    (tmp_path / f"a.txt{suffix}").write_bytes(COMPRESSORS.get(suffix, bytes)(data))
    assert read_texts(tmp_path / f"a.txt{suffix}") == LINES


def test_an_empty_file_has_no_rows(tmp_path):
    """A shard of a corpus may be empty."""
    assert read_texts(write(tmp_path / "a.txt", "")) == []


@pytest.mark.parametrize("start", [0, 1, BLOCK - 1, BLOCK, BLOCK + 7, 2 * BLOCK + 500])
def test_reading_can_start_after_any_row(tmp_path, start):
    """Rows keep the numbers they have in the file, also if it is read in two parts."""
    file = write(tmp_path / "a.txt", "\n".join(MANY))
    assert list(build_reader().read_rows(file, start)) == [
        (n, {"text": MANY[n - 1]}) for n in range(start + 1, len(MANY) + 1)
    ]
    assert sorted(read_texts(file, start, 0, 2) + read_texts(file, start, 1, 2)) == sorted(
        MANY[start:]
    )


def test_damaged_rows_stop_a_stream_or_are_skipped_alone(tmp_path):
    """Not UTF-8, a NUL byte, broken JSON, JSON of another kind: other rows are read."""
    text = [line.encode() for line in MANY]
    text[1300] = b"caf\xe9"
    text[1400] = b"nul\0"
    table = [json.dumps({"text": line}).encode() for line in MANY]
    table[1300] = table[1300][:-3]
    table[1400] = b'["a list"]'
    for name, lines, problem in (
        ("a.txt.gz", text, "is not UTF-8"),
        ("a.jsonl", table, "is not JSON: Unterminated"),
    ):
        file = write(tmp_path / name, b"\n".join(lines))
        with pytest.raises(
            DataError, match=rf"{name}, row 1,301: {problem}.*data\.on_corrupt=skip"
        ):
            read_texts(file)
        read, counts, notices = read_damaged(file)
        assert read == [line for number, line in enumerate(MANY) if number not in (1300, 1400)]
        assert counts == {"corrupt rows": 2}
        assert len(notices) == 1
        assert f"{name}, row 1,301: {problem}" in notices[0]


def test_a_blank_line_of_json_is_no_row_and_half_a_surrogate_pair_is_damage(tmp_path):
    """The message gives a row's line if it differs from its number."""
    file = write(
        tmp_path / "a.jsonl", b'{"text": "one"}\n\n{"text": "\\ud83d half"}\n{"text": "two"}\n\n'
    )
    with pytest.raises(DataError, match=r"a.jsonl, row 2 \(line 3\): .*half of a surrogate pair"):
        read_texts(file)
    read, counts, _ = read_damaged(file)
    assert [text for text in read if text] == ["one", "two"]
    assert counts == {"corrupt rows": 1}


def test_broken_compression_stops_a_stream_or_the_rest_is_skipped(tmp_path):
    """A file may be cut off or have wrong bytes; the rows before them are read."""
    numbers = random.Random(0)
    many = [f"{line} {numbers.getrandbits(63)}" for line in MANY * 20]
    whole = gzip.compress("\n".join(many).encode())
    wrong = bytearray(whole)
    wrong[len(whole) // 2 : len(whole) // 2 + 4] = b"\xff\xff\xff\xff"
    for name, data, words in (
        ("cut", whole[: len(whole) // 2], "its gzip compression is damaged"),
        ("wrong", bytes(wrong), ""),
    ):
        file = tmp_path / f"{name}.txt.gz"
        file.write_bytes(data)
        with pytest.raises(
            DataError, match=rf"{name}\.txt\.gz, after row [1-9][\d,]*: reading stopped \({words}"
        ):
            read_texts(file)
        read, counts, notices = read_damaged(file)
        assert read[:9_000] == many[:9_000]
        assert len(read) < len(many)
        assert counts == {"broken files": 1}
        assert f"after row {len(read):,}: " in notices[0]


@pytest.mark.parametrize("kind", ["page", "end"])
def test_broken_tables_are_reported(tmp_path, kind):
    """A table may have an overwritten page, or may be cut off."""
    file = tmp_path / "a.parquet"
    write_table(file, MANY)
    data = bytearray(file.read_bytes())
    if kind == "page":
        data[100:9000] = bytes(8900)
    else:
        del data[len(data) // 2 :]
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"a.parquet, after row [\d,]+: reading stopped"):
        read_texts(file)
    assert read_damaged(file)[1] == {"broken files": 1}


def test_a_row_with_too_many_cells_is_skipped_alone(tmp_path):
    """The rows after it are read."""
    file = tmp_path / "a.csv"
    file.write_text('text\none\n"too","many","columns"\ntwo\n')
    with pytest.raises(
        DataError,
        match=r"a.csv, row 2 \(line 3\): has 3 fields, and the first line names 1 column\.",
    ):
        read_texts(file)
    read, counts, _ = read_damaged(file)
    assert (read, counts) == (["one", "two"], {"corrupt rows": 1})


def test_a_quote_that_never_ends_breaks_a_file(tmp_path):
    """The message says where it begins, and the rows before it are read."""
    file = tmp_path / "a.csv"
    file.write_text('text,n\none,1\n"two,2\nthree,3\n')
    with pytest.raises(
        DataError, match=r"a.csv, line 3: a quoted cell begins here and does not end\."
    ):
        read_texts(file)
    read, counts, _ = read_damaged(file)
    assert (read, counts) == (["one"], {"broken files": 1})


@pytest.mark.parametrize(
    "name", ["data[1].txt", "a*b.csv", "a?.jsonl", "a::b.csv", "memory:::x.txt"]
)
def test_a_file_name_with_wildcards_is_taken_literally(tmp_path, name):
    """As a pattern, its name would match other files, or none."""
    file = tmp_path / name
    contents = {"data1.txt": "wrong", "aXb.csv": "wrong", "ab.jsonl": "wrong", name: "right"}
    for other, text in contents.items():
        if other.endswith(".txt"):
            write(tmp_path / other, f"{text}\n")
        else:
            write_table(tmp_path / other, [text])
    assert find_stream_files(str(file)) == {"train": [str(file)]}
    assert read_texts(file) == ["right"]


def test_a_pattern_in_a_folder_with_brackets_stays_in_that_folder(tmp_path):
    """The folder exists, so its name is not a pattern."""
    write(tmp_path / "run[1]" / "a.txt", "right\n")
    write(tmp_path / "run1" / "a.txt", "wrong\n")
    assert find_stream_files(str(tmp_path / "run[1]" / "*.txt")) == {
        "train": [str(tmp_path / "run[1]" / "a.txt")]
    }


def test_a_missing_file_and_a_missing_column_are_named(tmp_path):
    """A file may vanish during a run, and is skipped; a missing column is a wrong setting."""
    with pytest.raises(
        DataError, match=r"gone\.txt, after row 0: reading stopped \(FileNotFoundError"
    ):
        read_texts(tmp_path / "gone.txt")
    file = write_table(tmp_path / "a.parquet", SENTENCES)
    reader = StreamFileReader(DataSettings(text_column="body"), ["body"])
    # All columns are read, so that the error can list their names.
    assert set(next(reader.read_rows(file))[1]) == {"text"}


def test_files_of_an_object_store_are_found_and_read_by_url():
    """A pattern, a folder and a list of URLs work; memory:// stands for s3:// and others."""
    store = fsspec.filesystem("memory")
    for name, sentences in {
        "train-0": SENTENCES[:9],
        "train-1": SENTENCES[9:],
        "test": TRICKY,
    }.items():
        store.pipe(f"/bucket/corpus/{name}.txt.gz", gzip.compress("\n".join(sentences).encode()))
    store.pipe("/bucket/corpus/notes.md", b"not a sentence")
    base = "memory://bucket/corpus"
    splits = find_stream_files(f"{base}/*.gz")
    assert set(splits) == {"train", "test"}
    # The number of slashes differs between releases of fsspec.
    assert [file.replace(":///", "://") for file in splits["train"]] == [
        f"{base}/train-0.txt.gz",
        f"{base}/train-1.txt.gz",
    ]
    assert [file.replace(":///", "://") for file in splits["test"]] == [f"{base}/test.txt.gz"]
    assert find_stream_files(base) == splits
    assert find_stream_files(f"{base}/train-1.txt.gz {base}/train-0.txt.gz")["train"] == [
        f"{base}/train-0.txt.gz",
        f"{base}/train-1.txt.gz",
    ]
    assert [text for file in splits["train"] for text in read_texts(file)] == SENTENCES


def test_a_corpus_without_files_to_stream_is_refused(tmp_path, monkeypatch):
    """Each message says how to fix it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"no file to stream was found.*hf://datasets"):
        find_stream_files("some/name")
    with pytest.raises(DataError, match=r"nothing://bucket/\*\.txt: cannot be listed"):
        find_stream_files("nothing://bucket/*.txt")
    write(tmp_path / "test-0.txt", "a\n")
    write(tmp_path / "test-1.txt", "a\n")
    with pytest.raises(DataError, match="contains test but nothing to train on"):
        find_stream_files("*.txt")
    with pytest.raises(
        ConfigError, match=r"URLs and patterns are read as streams; leave data\.streaming out"
    ):
        is_streamed(DataSettings(corpus="s3://bucket/*.txt", streaming=False))


@pytest.mark.parametrize(
    ("corpus", "streaming", "expected"),
    [
        ("a.txt", "auto", False),
        ("a.txt", True, True),
        ("*.txt", "auto", True),
        ("s3://b/a.txt", "auto", True),
        (None, "auto", False),
        ("org/name", "auto", False),
    ],
)
def test_urls_and_patterns_are_streams_by_default(corpus, streaming, expected):
    """Any other corpus is a stream only if the settings say so."""
    assert is_streamed(DataSettings(corpus=corpus, streaming=streaming)) is expected
