"""Labels keep their names and their spelling, whichever object or file brings them."""

import json
from decimal import Decimal
from enum import Enum

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, IterableDataset, Value

from textvae.data.labels import Labels, check_spelling, require_label_per_text
from textvae.data.object_rows import read_object_rows
from textvae.data.settings import DataSettings
from textvae.data.sources import find_splits
from textvae.data.tables import TableSettings, as_label
from textvae.data.texts import require_columns, require_labels
from textvae.errors import ConfigError, DataError


class Mood(Enum):
    """A label as programs may define it."""

    GOOD = "good"


class TextMood(str, Enum):  # noqa: UP042  # the older way, whose `str` is the member's name
    """The same, as a string."""

    GOOD = "good"


NAMES = {
    "a name": ("good", "good"),
    "a name with white space around it": (" very good\n", "very good"),
    "a number with a leading zero": ("01", "01"),
    "a whole number": (1, "1"),
    "a float": (1.0, "1.0"),
    "a small float": (0.1, "0.1"),
    "a truth value": (True, "True"),
    "a decimal number": (Decimal("1.50"), "1.50"),
    "a whole number of numpy": (np.int64(3), "3"),
    "a float of numpy": (np.float32(0.1), "0.1"),
    "a truth value of numpy": (np.bool_(False), "False"),
    "a string of numpy": (np.str_("good"), "good"),
    "an array of numpy without dimensions": (np.array(2), "2"),
    "bytes of numpy": (np.bytes_(b"good"), "good"),
    "bytes": ("gut für".encode(), "gut für"),
    "a tensor": (torch.tensor(4), "4"),
    "a member of an enumeration": (Mood.GOOD, "good"),
    "a member that is a string": (TextMood.GOOD, "good"),
    "a date": (pd.Timestamp("2024-05-01").date(), "2024-05-01"),
    "None": (None, ""),
    "NaN": (float("nan"), ""),
    "NaN of numpy": (np.float32("nan"), ""),
    "NA of pandas": (pd.NA, ""),
    "NaT of pandas": (pd.NaT, ""),
    "NaT of numpy": (np.datetime64("NaT"), ""),
    "NaN of decimal": (Decimal("nan"), ""),
    "a masked value": (np.ma.masked, ""),
    "a blank": ("  ", ""),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_label_is_written_as_its_library_shows_it(case):
    """A missing one of any library is an empty string."""
    value, expected = NAMES[case]
    assert as_label(value) == expected


@pytest.mark.parametrize(
    "value",
    [["a", "b"], ("a",), {"a": 1}, {"a"}, frozenset("a"), np.zeros(2), torch.zeros(3), b"\xff"],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_one_label_is_refused(value):
    """A list of tags, for example, is not one class."""
    with pytest.raises(DataError, match=r"is not one label|not UTF-8"):
        as_label(value)


def test_the_message_about_a_list_of_labels_names_its_text():
    """Labels are counted as texts are."""
    labels = Labels("topic", ("a", "b"), (1, 1))
    with pytest.raises(DataError, match=r"text 1: \['a', 'b'\] is not one label"):
        require_label_per_text(labels, ["a", ["a", "b"]], 2)


FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
CLASSES = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=FEATURES)

SEQUENCES = {
    "a list": (["pos", "neg", None], ["pos", "neg", ""]),
    "a tuple": (("01", "1", "1.0"), ["01", "1", "1.0"]),
    "an array of whole numbers": (np.array([1, 0]), ["1", "0"]),
    "an array of floats": (np.array([1.0, 0.5]), ["1.0", "0.5"]),
    "an array of short floats": (np.array([0.1, np.nan], dtype=np.float32), ["0.1", ""]),
    "an array of truth values": (np.array([True, False]), ["True", "False"]),
    "an array of bytes": (np.array([b"pos", b"neg"]), ["pos", "neg"]),
    "an array of objects": (np.array(["pos", None, 1], dtype=object), ["pos", "", "1"]),
    "a series": (pd.Series(["pos", None]), ["pos", ""]),
    "a series of whole numbers": (pd.Series([1, None], dtype="Int64"), ["1", ""]),
    "a series of floats": (pd.Series([1.0, None]), ["1.0", ""]),
    "a series of short floats": (pd.Series([0.1, None], dtype="float32"), ["0.1", ""]),
    "a series of truth values": (pd.Series([True, None], dtype="boolean"), ["True", ""]),
    "a categorical series": (pd.Series(["pos", None], dtype="category"), ["pos", ""]),
    "a categorical": (pd.Categorical(["pos", "neg", None]), ["pos", "neg", ""]),
    "categories of numbers": (pd.Series(pd.Categorical([10, 20])), ["10", "20"]),
    "an index": (pd.Index(["01", "02"]), ["01", "02"]),
    "a column of Arrow": (pa.array(["pos", None]), ["pos", ""]),
    "a dictionary column of Arrow": (pa.array(["pos", "neg"]).dictionary_encode(), ["pos", "neg"]),
    "a tensor": (torch.tensor([1, 0]), ["1", "0"]),
    "a list of tensors": (list(torch.tensor([1, 0])), ["1", "0"]),
    "a column of a data set": (CLASSES["label"], ["pos", "neg", ""]),
    "a data set with one column": (CLASSES.select_columns(["label"]), ["pos", "neg", ""]),
    "a data set in numpy's format": (
        CLASSES.select_columns(["label"]).with_format("numpy"),
        ["pos", "neg", ""],
    ),
    "a stream": (CLASSES.select_columns(["label"]).to_iterable_dataset(), ["pos", "neg", ""]),
    "a generator": ((name for name in ["pos", "neg"]), ["pos", "neg"]),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_labels_keep_their_names_in_every_sequence(case):
    """Numbers that stand for classes become the names of these classes."""
    labels, expected = SEQUENCES[case]
    assert [as_label(label) for label in require_labels(labels)] == expected


TABLES = {
    "a data set": CLASSES,
    "a stream": CLASSES.to_iterable_dataset(),
    "a table of Arrow with the features of a data set": CLASSES.data.table,
    "a categorical frame": pd.DataFrame(
        {"text": list("abc"), "label": pd.Categorical(["pos", "neg", None])}
    ),
    "a mapping": {"text": list("abc"), "label": pd.Categorical(["pos", "neg", None])},
    "a mapping with a column of a data set": {"text": list("abc"), "label": CLASSES["label"]},
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_gives_the_names_of_its_classes(case):
    """The names are those that the table's own library shows."""
    rows = list(read_object_rows(TABLES[case], DataSettings())["train"]())
    assert [as_label(row["label"]) for row in rows] == ["pos", "neg", ""]
    assert [as_label(value) for value in require_columns(TABLES[case])["label"]] == [
        "pos",
        "neg",
        "",
    ]


def test_a_stream_without_known_features_keeps_its_values():
    """Its columns are not known before the first row."""
    stream = IterableDataset.from_generator(lambda: iter([{"text": "a", "label": "pos"}]))
    assert list(read_object_rows(stream, DataSettings())["train"]()) == [
        {"text": "a", "label": "pos"}
    ]


def test_a_parquet_file_of_a_data_set_keeps_the_names_of_its_classes(tmp_path):
    """`datasets` writes numbers, and the names into the metadata."""
    CLASSES.to_parquet(str(tmp_path / "rows.parquet"))
    rows = find_splits(str(tmp_path / "rows.parquet"), TableSettings())["train"]()
    assert [as_label(row["label"]) for row in rows] == ["pos", "neg", ""]


def test_a_saved_data_set_keeps_the_names_of_its_classes(tmp_path):
    """`save_to_disk` writes numbers into Arrow files, and the names into their metadata."""
    CLASSES.save_to_disk(str(tmp_path / "saved"))
    rows = find_splits(str(tmp_path / "saved"), TableSettings())["train"]()
    assert [as_label(row["label"]) for row in rows] == ["pos", "neg", ""]


def test_one_table_has_the_same_labels_in_every_format(tmp_path):
    """Of CSV, TSV, JSON and Parquet, and of a frame."""
    labels = ["01", "1.50", "good", "very good"]
    frame = pd.DataFrame({"text": list("abcd"), "label": labels})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_csv(tmp_path / "rows.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "rows.json", orient="records")
    frame.to_parquet(tmp_path / "rows.parquet")
    for file in tmp_path.iterdir():
        rows = find_splits(str(file), TableSettings())["train"]()
        assert [as_label(row["label"]) for row in rows] == labels, file.name
    rows = read_object_rows(frame, DataSettings())["train"]()
    assert [as_label(row["label"]) for row in rows] == labels


def test_numbers_keep_their_spelling_in_json(tmp_path):
    """So do truth values; null is missing."""
    values = ["1", "1.0", "1.50", "true", "null", '"01"', "1e3"]
    lines = [f'{{"text": "a", "label": {value}}}' for value in values]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    rows = find_splits(str(tmp_path / "rows.jsonl"), TableSettings())["train"]()
    found = [as_label(row["label"]) for row in rows]
    assert found == ["1", "1.0", "1.50", "true", "", "01", "1e3"]
    assert json.loads(lines[0])["label"] == 1


def test_another_spelling_of_a_number_or_truth_value_finds_its_label():
    """A float stands for the whole number, but `01` is a name of its own."""
    labels = Labels("label", ("1", "02", "true", "5.0"), (1, 1, 1, 1))
    assert labels.to_ids([1, 1.0, True, "True", np.float32(5), "02"]).tolist() == [0, 0, 2, 2, 3, 1]
    with pytest.raises(ConfigError, match="label = '01' is unknown"):
        labels.to_id("01")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["True", "true"], "one truth value in two"),
        (["True", "no", "TRUE"], "'TRUE' and 'True' are one truth value in two"),
        (["1", "1.0"], "one number in two"),
        (["1.0", "1.00"], "one number in two"),
    ],
)
def test_one_value_in_two_spellings_is_refused(names, message):
    """Two files may have been written by two libraries."""
    with pytest.raises(DataError, match=message):
        check_spelling(names)
