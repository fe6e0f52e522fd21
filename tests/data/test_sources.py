"""Sources: every kind of file and folder gives the same sentences."""

import datasets
import pytest

from tests.corpora import LINES, SENTENCES, TRICKY, texts, write, write_table
from textvae.data import BUNDLED_CORPORA
from textvae.data.settings import DataSettings
from textvae.data.sources import find_splits
from textvae.data.split_names import SPLIT_NAMES
from textvae.data.tables import TableSettings
from textvae.errors import ConfigError, DataError


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a", "a.lines", "A.TXT"])
def test_a_text_file_has_one_sentence_per_line(tmp_path, name):
    """A text file may be gzipped or not, and its name may end in anything."""
    assert texts(write(tmp_path / name, LINES)) == SENTENCES


def test_a_gzipped_file_is_known_by_its_bytes(tmp_path):
    """The name of a gzipped file need not end in .gz."""
    write(tmp_path / "a.txt.gz", LINES)
    assert texts(str((tmp_path / "a.txt.gz").rename(tmp_path / "a.txt"))) == SENTENCES


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.csv.gz", "a.jsonl.gz"]
)
def test_a_table_gives_its_text_column_and_the_others(tmp_path, name):
    """All kinds of tables give the same rows, with text of any script."""
    sentences = SENTENCES + TRICKY
    labels = [f"l{n % 2}" for n in range(len(sentences))]
    corpus = write_table(tmp_path / name, sentences, label=labels)
    rows = list(find_splits(corpus, TableSettings())["train"]())
    assert [row["text"] for row in rows] == sentences
    assert [row["label"] for row in rows] == labels


def test_a_comma_in_quotes_is_text(tmp_path):
    """A doubled quote in quotes is text too."""
    assert texts(write(tmp_path / "a.csv", 'text\n"one, ""two"""\nthree\n')) == [
        'one, "two"',
        "three",
    ]


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A"])
def test_words_for_missing_values_are_text(tmp_path, word):
    """`None` can be a sentence."""
    assert texts(write(tmp_path / "a.csv", f"text\nfirst\n{word}\nlast\n")) == [
        "first",
        word,
        "last",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_are_no_text(tmp_path, end, mark):
    """Files from Windows give the same texts as others."""
    body = end.join(SENTENCES + TRICKY).encode()
    assert texts(write(tmp_path / "a.txt", mark + body)) == SENTENCES + TRICKY


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_a_table_from_windows_reads_like_any_other(tmp_path, name):
    """The byte order mark does not become part of a column's name."""
    file = tmp_path / name
    write_table(file, SENTENCES, label=SENTENCES)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert texts(str(file)) == SENTENCES


def test_unicode_line_separators_end_no_sentence(tmp_path):
    """Only a line feed ends a sentence; other separators are white space."""
    assert texts(write(tmp_path / "a.txt", "a\u2028b\x85c\x0cd\ne\n")) == [
        "a\u2028b\x85c\x0cd",
        "e",
    ]


@pytest.mark.parametrize("spelling", list(SPLIT_NAMES))
@pytest.mark.parametrize("ending", [".txt", "-00000-of-00001.jsonl", "_2.csv", ".txt.gz"])
def test_a_file_named_for_a_split_is_that_split(tmp_path, spelling, ending):
    """Every usual spelling counts, in capitals too, with or without the number of a shard."""
    for name, sentences in (
        ("train.txt", SENTENCES),
        (f"{spelling.capitalize()}{ending}", TRICKY[:2]),
    ):
        file = tmp_path / name
        if "txt" in name:
            write(file, "\n".join(sentences))
        else:
            write_table(file, sentences)
    split = SPLIT_NAMES[spelling]
    expected = TRICKY[:2] + SENTENCES if split == "train" else TRICKY[:2]
    assert sorted(texts(str(tmp_path), split)) == sorted(expected)


def test_the_word_for_a_split_may_be_inside_the_name(tmp_path):
    """The Penn Treebank comes as ptb.train.txt, ptb.valid.txt and ptb.test.txt."""
    for name in ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"):
        write(tmp_path / name, f"{name} holds this\n")
    splits = find_splits(str(tmp_path), TableSettings())
    assert set(splits) == {"train", "validation", "test"}
    assert texts(str(tmp_path)) == ["ptb.train.txt holds this"]


def test_a_word_that_only_begins_like_a_split_is_ignored(tmp_path):
    """`testimony.txt` is not a test split."""
    write(tmp_path / "testimony.txt", LINES)
    write(tmp_path / "trainers.txt", LINES)
    assert set(find_splits(str(tmp_path), TableSettings())) == {"train"}


def test_a_folder_without_names_of_splits_is_all_training_text(tmp_path):
    """Files are read in the order of their names; those of other kinds are ignored."""
    write(tmp_path / "b.txt", "second\n")
    write(tmp_path / "a.txt", "first\n")
    write(tmp_path / "picture.png", b"\x89PNG")
    (tmp_path / "folder.txt").mkdir()
    assert texts(str(tmp_path)) == ["first", "second"]


def test_rows_can_be_read_more_than_once(tmp_path):
    """A source starts again each time it is called."""
    rows = find_splits(write(tmp_path / "a.txt", LINES), TableSettings())["train"]
    assert list(rows()) == list(rows())


@pytest.mark.parametrize("name", list(BUNDLED_CORPORA))
def test_a_bundled_corpus_has_its_three_splits(name):
    """Reading a bundled corpus needs no network."""
    splits = find_splits(name, TableSettings())
    assert set(splits) == {"train", "validation", "test"}
    assert all(len(row["text"].split()) > 1 for row in splits["test"]())


def test_the_splits_of_a_data_set_get_our_names(monkeypatch):
    """`dev` is validation, `unsupervised` is ignored; a colon precedes the configuration."""
    requests = []

    def load(path, config, streaming):
        requests.append((path, config))
        names = ("train", "dev", "unsupervised")
        return {name: datasets.Dataset.from_list([{"text": name}]) for name in names}

    monkeypatch.setattr(datasets, "load_dataset", load)
    splits = find_splits("owner/name:small", TableSettings())
    assert {split: list(rows()) for split, rows in splits.items()} == {
        "train": [{"text": "train"}],
        "validation": [{"text": "dev"}],
    }
    assert requests == [("owner/name", "small")]


def test_a_file_whose_name_begins_with_a_tilde_is_read(tmp_path, monkeypatch):
    """No user has that name; without such a file, one message says so."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "~notes.txt", "a man\n")
    assert [row["text"] for row in find_splits("~notes.txt", TableSettings())["train"]()] == [
        "a man"
    ]
    with pytest.raises(DataError, match="no such file"):
        find_splits("~nobody.txt", TableSettings())


def test_a_folder_with_the_name_of_a_bundled_corpus_is_read(tmp_path, monkeypatch):
    """An existing file or folder is always taken literally."""
    monkeypatch.chdir(tmp_path)
    assert len(texts("captions")) > 1_000
    write(tmp_path / "captions" / "train.txt", LINES)
    assert texts("captions") == SENTENCES


def test_columns_of_a_data_set_are_joined_and_options_of_files_are_refused(monkeypatch):
    """A data set of the Hub has columns, as a table has, but no files whose reading could be set."""
    rows = [{"title": "one", "text": "a man"}, {"title": "two", "text": "a dog"}]

    def load(path, config, streaming):
        return {"train": datasets.Dataset.from_list(rows)}

    monkeypatch.setattr(datasets, "load_dataset", load)
    joined = DataSettings(join_columns=["title", "text"])
    splits = find_splits("owner/name", joined)
    assert [row["text"] for row in splits["train"]()] == ["one a man", "two a dog"]
    missing = DataSettings(join_columns=["title", "body"])
    with pytest.raises(DataError, match=r"row 1: there is no column 'body'"):
        list(find_splits("owner/name", missing)["train"]())
    with pytest.raises(ConfigError, match=r"data\.unit = 'file' is for files, and owner/name is"):
        find_splits("owner/name", DataSettings(unit="file"))


@pytest.mark.parametrize("second", ["b,positive", 'b, "good, but long"', '"b", "x"'])
def test_quotes_after_a_space_are_refused(tmp_path, second):
    """They do not delimit a cell, so they would be part of the text, or of a label."""
    file = write(
        tmp_path / "a.csv", f'label, text\na, "hello world"\n{second}\n'.replace("\\\n", "\n")
    )
    with pytest.raises(DataError, match=r"line 2: has a space before the quotes in .*hello world"):
        texts(file)
    spoken = write(tmp_path / "b.csv", 'label,text\na, "yes" she said\n'.replace("\\\n", "\n"))
    assert texts(spoken) == [' "yes" she said']
