"""Folders: what is read as which split and class, and what is not read, is printed."""

import gzip
import json
from pathlib import Path

import datasets
import pytest

from tests.corpora import LINES, SENTENCES, texts, write
from textvae.data.sources import find_splits
from textvae.data.split_names import get_exact_split, infer_path_splits, infer_splits
from textvae.data.streaming.files import find_stream_files
from textvae.data.tables import TableSettings
from textvae.errors import DataError


def write_files(folder, *names):
    """Write text files whose only line is their own name."""
    for name in names:
        write(folder / name, f"{name}\n")
    return str(folder)


def read_rows(corpus, split="train"):
    """Return the rows of a split of a folder."""
    return list(find_splits(str(corpus), TableSettings())[split]())


def list_names(folder):
    """Return the texts of each split of a folder of files written by `write_files`."""
    splits = find_splits(str(folder), TableSettings())
    return {split: sorted(row["text"] for row in rows()) for split, rows in splits.items()}


@pytest.mark.parametrize(
    "name",
    [
        "contest.txt",
        "latest.txt",
        "test_results.txt",
        "dev-notes.txt",
        "test.results.txt",
        "my test.txt",
        "validation_of_parking.txt",
        "stress-test-1.txt",
        "developer.txt",
        "val_d_isere.txt",
    ],
)
def test_a_name_that_only_mentions_a_split_is_training_text(tmp_path, name, capsys):
    """Half of a folder must not become the test split because of a file's name."""
    write_files(tmp_path, "a.txt", "train.txt", name)
    assert list_names(tmp_path) == {"train": sorted(["a.txt", "train.txt", name])}
    assert name in capsys.readouterr().err


def test_a_name_that_mentions_a_split_is_reported(tmp_path, capsys):
    """The note names the settings that make such a file a held-out split."""
    write_files(tmp_path, "a.txt", "test_results.txt")
    list_names(tmp_path)
    message = "test_results.txt counts as training text. If it is held out, say so: data.validation"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test.txt", "test"),
        ("TEST.TXT", "test"),
        ("ptb.valid.txt", "validation"),
        ("wiki.test.tokens", "test"),
        ("sentiment.dev.0", "validation"),
        ("test.0.jsonl", "test"),
        ("test-00000-of-00002.parquet", "test"),
        ("test-00000-of-00002-a1b2c3d4e5f60718.parquet", "test"),
        ("val_3.csv.gz", "validation"),
        ("dev", "validation"),
        ("test.jsonl.zst", "test"),
        ("data.txt", None),
        ("testing.txt", None),
        ("latest", None),
        ("test.v2.results.txt", None),
    ],
)
def test_only_exact_names_are_splits(name, split):
    """The number of a shard and the suffixes do not matter."""
    assert get_exact_split(name) == split


def test_a_word_counts_if_the_training_file_has_the_same_name(tmp_path):
    """SNLI comes as snli_1.0_train.jsonl, snli_1.0_dev.jsonl and snli_1.0_test.jsonl."""
    names = ["snli_1.0_train.jsonl", "snli_1.0_dev.jsonl", "other_test.jsonl"]
    assert infer_splits(names) == {
        "snli_1.0_train.jsonl": "train",
        "snli_1.0_dev.jsonl": "validation",
        "other_test.jsonl": "train",
    }


def test_the_folders_above_a_corpus_name_no_split():
    """A corpus in /home/test is not a test split."""
    paths = ["/home/test/corpus/a.txt", "/home/test/corpus/dev/b.txt"]
    assert list(infer_path_splits(paths).values()) == ["train", "validation"]


def test_what_is_read_as_which_split_is_printed(tmp_path, capsys):
    """Long lists of files are shortened."""
    write_files(tmp_path, "dev.txt", *(f"{n}.txt" for n in range(9)))
    list_names(tmp_path)
    notes = capsys.readouterr().err
    assert "train: 0.txt, 1.txt, 2.txt, 3.txt and 5 more" in notes
    assert "validation: dev.txt" in notes


@pytest.mark.parametrize(
    "name",
    [
        "README.txt",
        "readme.csv",
        "README_FIRST.txt",
        "LICENSE.txt",
        "licence-cc-by.txt",
        "COPYING.txt",
        "vocab.txt",
        "classes.txt",
        "requirements.txt",
        "dataset_infos.json",
        ".hidden.txt",
        "._a.txt",
        "_notes.txt",
        "picture.png",
        "paper.pdf",
        "page.html",
        "archive.bak",
        "LICENSE",
    ],
)
def test_a_file_that_is_no_text_of_the_corpus_is_not_read(tmp_path, name, capsys):
    """A note names it."""
    write_files(tmp_path, "a.txt", "train.txt")
    write(tmp_path / name, b"\x89PNG\0" if name.endswith("png") else "notes\n")
    assert list_names(tmp_path) == {"train": ["a.txt", "train.txt"]}
    assert f"not read: {name} (" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["_SUCCESS", ".part-00000.crc", ".DS_Store", ".gitignore"])
def test_the_marks_of_programs_are_skipped_without_a_note(tmp_path, name, capsys):
    """They are in so many folders that a note would be no news."""
    write_files(tmp_path, "a.txt")
    write(tmp_path / name, b"\0\1")
    assert list_names(tmp_path) == {"train": ["a.txt"]}
    assert "not read" not in capsys.readouterr().err


def test_the_output_of_a_spark_job_is_read(tmp_path):
    """Parts have no suffix if the job wrote text."""
    write_files(tmp_path, "part-00000", "part-00001")
    write(tmp_path / "part-00002.gz", "part-00002\n")
    write(tmp_path / "_SUCCESS", "")
    write(tmp_path / ".part-00000.crc", b"crc\0")
    assert list_names(tmp_path) == {"train": ["part-00000", "part-00001", "part-00002"]}
    assert len(find_stream_files(str(tmp_path))["train"]) == 3


def test_the_folders_of_a_partitioned_table_become_a_column(tmp_path):
    """Spark and Hive write the values of a column as names of folders."""
    for value in ("pos", "neg"):
        row = json.dumps({"text": f"a {value} text"})
        write(tmp_path / f"mood={value}" / "part-00000-1f2e-c000.json", f"{row}\n")
    assert read_rows(tmp_path) == [
        {"mood": "neg", "text": "a neg text"},
        {"mood": "pos", "text": "a pos text"},
    ]


def test_the_values_of_a_partitioned_table_are_as_they_were(tmp_path):
    """Characters that a file system may not allow are escaped, and a missing value has a name."""
    values = {"very%20happy": "very happy", "a%2Fb": "a/b", "__HIVE_DEFAULT_PARTITION__": ""}
    for value in values:
        write(tmp_path / f"mood={value}" / "a.jsonl", json.dumps({"text": value}) + "\n")
    rows = {row["text"]: row["mood"] for row in read_rows(tmp_path)}
    assert rows == values


def test_a_saved_data_set_is_read(tmp_path):
    """`Dataset.save_to_disk` writes Arrow files next to JSON files about them."""
    datasets.Dataset.from_dict({"text": SENTENCES}).save_to_disk(tmp_path / "a", num_shards=2)
    assert texts(str(tmp_path / "a")) == SENTENCES
    assert len(find_stream_files(str(tmp_path / "a"))["train"]) == 2


def test_the_splits_of_a_saved_data_set_are_read(tmp_path):
    """Splits of other names are not read, and a note says so."""
    parts = {
        name: datasets.Dataset.from_dict({"text": [f"{name} {n}" for n in range(3)]})
        for name in ("train", "valid", "test", "extra")
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path)
    assert texts(str(tmp_path)) == ["train 0", "train 1", "train 2"]
    assert texts(str(tmp_path), "validation")[0] == "valid 0"
    assert texts(str(tmp_path), "test")[0] == "test 0"


def test_rows_of_a_saved_data_set_are_those_that_were_selected(tmp_path):
    """Saving a filtered data set writes only its rows."""
    table = datasets.Dataset.from_dict({"text": SENTENCES}).select([3, 1])
    table.save_to_disk(tmp_path)
    assert texts(str(tmp_path)) == [SENTENCES[3], SENTENCES[1]]


def test_the_classes_of_a_saved_data_set_keep_their_names(tmp_path):
    """The files store numbers, and the names next to them."""
    features = datasets.Features(
        text=datasets.Value("string"), mood=datasets.ClassLabel(names=["bad", "good"])
    )
    columns = {"text": ["a", "b"], "mood": [1, 0]}
    datasets.Dataset.from_dict(columns, features).save_to_disk(tmp_path)
    assert [row["mood"] for row in read_rows(tmp_path)] == ["good", "bad"]


def test_a_damaged_saved_data_set_is_refused(tmp_path):
    """A part of it is missing."""
    datasets.Dataset.from_dict({"text": SENTENCES}).save_to_disk(tmp_path, num_shards=2)
    next(tmp_path.glob("data-00001*")).unlink()
    with pytest.raises(DataError, match="is missing, but state"):
        texts(str(tmp_path))


def test_a_saved_data_set_without_a_training_split_is_refused(tmp_path):
    """The message lists the splits that it has."""
    parts = {"test": datasets.Dataset.from_dict({"text": SENTENCES})}
    datasets.DatasetDict(parts).save_to_disk(tmp_path)
    with pytest.raises(DataError, match="has the splits test but none called train"):
        texts(str(tmp_path))


def test_one_file_per_class_and_split_gives_the_column_label(tmp_path):
    """The Yelp reviews come as sentiment.train.0 and sentiment.train.1."""
    write_files(
        tmp_path, *(f"sentiment.{split}.{n}" for split in ("train", "dev", "test") for n in "01")
    )
    write(tmp_path / "reference.0", "a\tb\n")
    assert read_rows(tmp_path) == [
        {"label": "0", "text": "sentiment.train.0"},
        {"label": "1", "text": "sentiment.train.1"},
    ]
    assert read_rows(tmp_path, "validation")[1] == {"label": "1", "text": "sentiment.dev.1"}


def test_files_named_for_classes_give_the_column_label(tmp_path, capsys):
    """A note says which labels there are."""
    write_files(tmp_path, "pos.txt", "neg.txt")
    assert [row["label"] for row in read_rows(tmp_path)] == ["neg", "pos"]
    assert "'label': neg (1), pos (1). To condition" in capsys.readouterr().err


def test_the_label_of_a_table_is_preferred_to_the_name_of_its_file(tmp_path):
    """A file's name gives a column only if the file lacks it."""
    write(tmp_path / "pos.csv", "text,label\na,1\n")
    write(tmp_path / "neg.csv", "text,label\nb,0\n")
    assert [row["label"] for row in read_rows(tmp_path)] == ["0", "1"]


def test_folders_of_splits_and_classes_are_read(tmp_path, capsys):
    """The movie reviews come as train/pos/0_9.txt; lists of addresses lie next to the folders."""
    for split in ("train", "test"):
        write(tmp_path / split / "urls_pos.txt", "http\n")
        for label in ("pos", "neg"):
            write_files(tmp_path / split / label, "0_9.txt", "1_7.txt")
    write(tmp_path / "README", "About\n")
    write(tmp_path / "words.txt", "a\n")
    assert [row["label"] for row in read_rows(tmp_path)] == ["neg", "neg", "pos", "pos"]
    assert len(read_rows(tmp_path, "test")) == 4
    assert set(find_splits(str(tmp_path), TableSettings())) == {"train", "test"}
    notes = capsys.readouterr().err
    for name in ("words.txt", "train/urls_pos.txt", "README"):
        assert name in notes


def test_files_without_a_suffix_in_folders_of_classes_are_read(tmp_path):
    """The newsgroups come as one file per message, whose name is a number."""
    write_files(tmp_path / "alt.atheism", "49960", "51060")
    write_files(tmp_path / "sci.space", "59848")
    labels = [row["label"] for row in read_rows(tmp_path)]
    assert labels == ["alt.atheism", "alt.atheism", "sci.space"]


def test_a_single_folder_in_a_folder_is_no_class(tmp_path):
    """Data sets of the Hub lie in a folder called data."""
    write_files(tmp_path / "data", "train.txt", "test.txt")
    write(tmp_path / "README.md", "# Data\n")
    assert list_names(tmp_path) == {"train": ["train.txt"], "test": ["test.txt"]}
    assert read_rows(tmp_path) == [{"text": "train.txt"}]


def test_a_folder_next_to_the_files_is_not_read(tmp_path, capsys):
    """A note names it."""
    write_files(tmp_path, "train.txt", "b.txt")
    write_files(tmp_path / "raw", "c.txt")
    assert list_names(tmp_path) == {"train": ["b.txt", "train.txt"]}
    assert "not read: raw (a folder next to the files)" in capsys.readouterr().err


def test_a_link_to_a_folder_is_followed(tmp_path):
    """Large splits often lie on another disk."""
    write_files(tmp_path / "disk", "1.txt")
    write_files(tmp_path / "corpus" / "train", "2.txt")
    (tmp_path / "corpus" / "test").symlink_to(tmp_path / "disk")
    assert list_names(tmp_path / "corpus") == {"train": ["2.txt"], "test": ["1.txt"]}


def test_an_empty_file_among_others_is_not_read(tmp_path, capsys):
    """Some parts of the output of a job are empty, gzipped ones too."""
    write_files(tmp_path, "part-00000")
    write(tmp_path / "part-00001", "")
    write(tmp_path / "part-00002.gz", "")
    assert list_names(tmp_path) == {"train": ["part-00000"]}
    notes = capsys.readouterr().err
    assert "not read: part-00001 (empty)" in notes
    assert "part-00002.gz: is empty." in notes


def test_a_folder_without_a_file_to_read_is_named(tmp_path, capsys):
    """Nothing in it is lost without a word."""
    write_files(tmp_path, "a.txt")
    write(tmp_path / "papers" / "b.pdf", "%PDF")
    list_names(tmp_path)
    assert "papers/b.pdf (of a format that cannot be read)" in capsys.readouterr().err


def test_what_one_text_of_a_text_file_is_is_printed(tmp_path, capsys):
    """A file could also be one text, or hold paragraphs."""
    write_files(tmp_path, "a.txt")
    list_names(tmp_path)
    find_splits(str(tmp_path), TableSettings(unit="file"))
    notes = capsys.readouterr().err
    assert "Each line of a text file is one text (data.unit)" in notes
    assert "Each text file is one text" in notes


def test_a_folder_that_links_to_itself_is_read_once(tmp_path):
    """A link to a folder above is not followed."""
    write_files(tmp_path / "a", "1.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert list_names(tmp_path) == {"train": ["1.txt"]}


def test_a_folder_of_rotated_logs_is_read(tmp_path):
    """Older logs have a number at the end of their names, and may be gzipped."""
    write_files(tmp_path, "app.log", "app.log.1")
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"app.log.2\n"))
    assert list_names(tmp_path) == {"train": ["app.log", "app.log.1", "app.log.2"]}


def test_a_log_next_to_a_corpus_is_not_read(tmp_path, capsys):
    """The log of a training run often lies next to its data."""
    write_files(tmp_path, "train.txt", "training.log")
    assert list_names(tmp_path) == {"train": ["train.txt"]}
    assert "training.log (the suffix is unknown)" in capsys.readouterr().err


def test_a_folder_of_files_of_one_unknown_suffix_is_read_as_text(tmp_path):
    """Source code is an example; a binary file among them is not read."""
    write_files(tmp_path, "a.py", "b.py")
    write(tmp_path / "c.py", b"\0\1\2")
    assert list_names(tmp_path) == {"train": ["a.py", "b.py"]}


def test_a_folder_of_files_of_many_unknown_suffixes_is_refused(tmp_path):
    """The message names a pattern that reads them."""
    write_files(tmp_path, "a.py", "b.foo", "LICENSE")
    with pytest.raises(DataError, match=r"a.py, b.foo \(the suffix is unknown\).*give a pattern"):
        texts(str(tmp_path))
    assert len(find_stream_files(str(tmp_path / "*"))["train"]) == 2


@pytest.mark.parametrize(
    "suffix", [".pdf", ".docx", ".html", ".xml", ".xlsx", ".pkl", ".ipynb", ".ass", ".orc", ".sdf"]
)
def test_a_file_of_another_format_is_refused(tmp_path, suffix):
    """The message says how to convert it; its tags would be read as text otherwise."""
    with pytest.raises(DataError, match=rf"\{suffix} files cannot be read; .* rename it to .txt"):
        texts(write(tmp_path / f"a{suffix}", LINES))


def test_a_pattern_says_which_files_it_does_not_read(tmp_path, capsys):
    """If some files have a known suffix, the others are not read."""
    write_files(tmp_path, "a.txt", "b.md", "c.log")
    assert [Path(file).name for file in find_stream_files(str(tmp_path / "*"))["train"]] == [
        "a.txt"
    ]
    assert "not read: b.md, c.log (files of unknown suffixes" in capsys.readouterr().err
    assert len(find_stream_files(str(tmp_path / "*.md"))["train"]) == 1


def test_a_stream_does_not_offer_the_folders_of_classes_as_labels(tmp_path, capsys):
    """A stream has only the columns of its files."""
    write_files(tmp_path, "pos/a.txt", "neg/a.txt")
    assert len(find_stream_files(str(tmp_path))["train"]) == 2
    assert "data.label" not in capsys.readouterr().err


def test_a_stream_says_what_it_holds_out(tmp_path, capsys):
    """A README that matches the pattern is not read."""
    write_files(tmp_path, "a.txt", "test.txt", "README.txt")
    assert set(find_stream_files(str(tmp_path / "*.txt"))) == {"train", "test"}
    notes = capsys.readouterr().err
    assert "the test split is test.txt" in notes
    assert "not read: README.txt" in notes
