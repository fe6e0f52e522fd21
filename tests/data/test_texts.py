"""Texts passed from Python: columns and tables are recognized, and never read as their names."""

import re

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import textvae
from tests.tiny_run import SENTENCES, SETTINGS
from textvae.data.object_rows import read_object_rows
from textvae.data.settings import DataSettings
from textvae.data.texts import iterate_texts, require_text, require_texts
from textvae.errors import ConfigError, DataError

TEXTS = ["a man", "a dog"]
FRAME = pd.DataFrame({"text": TEXTS, "label": [1, 2]})

COLUMNS = {
    "a list": TEXTS,
    "a tuple": tuple(TEXTS),
    "a generator": (text for text in TEXTS),
    "a Series": FRAME["text"],
    "an array of objects": np.array(TEXTS, dtype=object),
    "an array of strings": np.array(TEXTS),
    "an Arrow array": pa.array(TEXTS),
    "a chunked array": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "a data set's column": datasets.Dataset.from_dict({"text": TEXTS})["text"],
    "a frame of one column": FRAME[["text"]],
    "a table of one column": pa.table({"body": TEXTS}),
    "a data set of one column": datasets.Dataset.from_dict({"text": TEXTS}),
    "keys of a mapping": dict.fromkeys(TEXTS).keys(),
}
TABLES = {
    "a DataFrame": FRAME,
    "an Arrow table": pa.Table.from_pandas(FRAME),
    "a record batch": pa.RecordBatch.from_pandas(FRAME),
    "a data set": datasets.Dataset.from_pandas(FRAME),
    "a mapping of columns": {"text": FRAME["text"], "label": np.array([1, 2])},
}
REFUSED = {
    "a DataFrame": (
        FRAME,
        'texts is a DataFrame with 2 columns; pass the column of texts: texts["text"].',
    ),
    "an Arrow table": (pa.Table.from_pandas(FRAME), "texts is a Table with 2 columns"),
    "a data set": (datasets.Dataset.from_pandas(FRAME), "texts is a Dataset with 2 columns"),
    "a mapping": (
        {"body": TEXTS},
        'texts is a dict; pass the texts in it, for instance texts["body"].',
    ),
    "bytes": (b"a man", "texts is b'a man' (bytes); decode it"),
    "a set": (set(TEXTS), "texts is a set, which has no order; pass a list"),
    "an array of two dimensions": (np.array([TEXTS]), "texts is a ndarray with 2 dimensions"),
    "a number": (7, "texts is 7 (int); expected a string or a list of strings."),
    "None": (None, "texts is None (missing); expected a string or a list of strings."),
    "a missing text": (["a man", None], "text 1 is None (missing); expected a string"),
    "a missing text of pandas": (pd.Series(["a man", np.nan]), "text 1 is None (missing)"),
    "NaN": (["a man", float("nan")], "text 1 is nan (missing)"),
    "a number among texts": (["a man", 2.5], "text 1 is 2.5 (float); expected a string"),
    "bytes among texts": ([b"a man"], "text 0 is b'a man' (bytes); expected a string"),
    "lists of words": ([["a", "man"]], "text 0 is a list; expected a string"),
    "numbers of a generator": ((n for n in range(2)), "text 0 is 0 (int); expected a string"),
    "half a surrogate pair": (["a \ud800"], "text 0 contains '\\ud800', half of a surrogate pair"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_any_kind_of_column_gives_its_texts(kind):
    """The texts are plain Python strings."""
    read = require_texts(COLUMNS[kind])
    assert read == TEXTS
    assert {type(text) for text in read} == {str}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_objects_are_refused(kind):
    """The message says what came, and where in the argument."""
    value, words = REFUSED[kind]
    with pytest.raises(DataError, match=re.escape(words)):
        require_texts(value)


def test_texts_are_taken_one_by_one():
    """A stream of texts need not fit into memory."""
    iterator = iterate_texts(text for text in ["a man", None])
    assert next(iterator) == "a man"
    with pytest.raises(DataError, match="text 1 is None"):
        next(iterator)


@pytest.mark.parametrize("value", [TEXTS, None, 3, FRAME["text"]])
def test_an_argument_of_one_text_takes_a_string_only(value):
    """The message names the argument."""
    with pytest.raises(DataError, match=r"prefix is .*; expected one string\."):
        require_text(value, "prefix")


METHODS = (
    "encode",
    "posterior",
    "features",
    "score",
    "reconstruct",
    "uncertainty",
    "index",
    "fit_prior",
    "insight",
)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_reads_a_table_as_the_names_of_its_columns(tiny_run, method):
    """A DataFrame and a mapping of columns are refused."""
    vae = textvae.TextVAE.from_pretrained(tiny_run, "cpu")
    for table in (FRAME, FRAME.to_dict("list")):
        with pytest.raises(DataError, match="pass the"):
            getattr(vae, method)(texts=table)


def test_methods_take_a_column_of_a_table(tiny_run):
    """A column gives the same vectors as a list."""
    vae = textvae.TextVAE.from_pretrained(tiny_run, "cpu")
    np.testing.assert_array_equal(vae.encode(FRAME["text"]), vae.encode(TEXTS))


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_for_train_is_read_by_its_columns(kind):
    """The rows of a table can be read several times."""
    rows = read_object_rows(TABLES[kind], DataSettings())["train"]
    expected = [{"text": "a man", "label": 1}, {"text": "a dog", "label": 2}]
    assert list(rows()) == list(rows()) == expected


def test_splits_for_train_may_be_tables_or_sentences():
    """Each split may be of another kind."""
    splits = read_object_rows(
        {"train": FRAME, "dev": TEXTS, "test": {"text": TEXTS}}, DataSettings()
    )
    assert {
        split: [row["text"] for row in rows()] for split, rows in splits.items()
    } == dict.fromkeys(("train", "validation", "test"), TEXTS)


def test_a_missing_value_of_a_table_is_none():
    """Pandas has several values of its own for missing ones."""
    frame = pd.DataFrame(
        {"text": ["a", None], "n": pd.array([1, None], dtype="Int64"), "x": [1.5, np.nan]}
    )
    assert list(read_object_rows(frame, DataSettings())["train"]())[1] == {
        "text": None,
        "n": None,
        "x": None,
    }


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        (
            {"train": "train.csv"},
            "the split 'train' is the string 'train.csv'; expected sentences or a table.",
        ),
        (
            {"body": TEXTS},
            "the mapping has the keys body; expected splits (train, validation, test) or columns",
        ),
        ({"text": TEXTS, "label": [1]}, "the columns differ in length: text (2), label (1)"),
        ({"text": "a man"}, "column 'text' is a str; expected a sequence"),
        (pd.concat([FRAME, FRAME], axis=1), "two columns of the table are called 'text'"),
        (b"a man", "texts is b'a man' (bytes)"),
        (set(TEXTS), "which has no order"),
        (3, "texts is 3 (int)"),
        ([*TEXTS, None], "text 2 is None (missing)"),
    ],
)
def test_an_object_that_is_not_a_corpus_is_refused(corpus, words):
    """The message says what is wrong, before anything is written."""
    with pytest.raises(DataError, match=re.escape(words)):
        list(read_object_rows(corpus, DataSettings())["train"]())


OPTIONS_OF_FILES = {
    "unit": "paragraph",
    "format": "csv",
    "encoding": "cp1252",
    "separator": "tab",
    "quoting": "quoted",
    "header": False,
    "member": "a.txt",
}
OPTIONS_OF_COLUMNS = {"role": "user", "join_columns": ["a", "b"], "text_column": "zz"}


@pytest.mark.parametrize("corpus", [TEXTS, FRAME, {"train": TEXTS, "test": FRAME}], ids=repr)
@pytest.mark.parametrize("name", OPTIONS_OF_FILES)
def test_an_option_of_files_is_refused_for_an_object(corpus, name):
    """The message names it; its default is no option."""
    settings = DataSettings(**{name: OPTIONS_OF_FILES[name]})
    with pytest.raises(ConfigError, match=rf"data\.{name} = .* is for files, .*; leave it out\."):
        read_object_rows(corpus, settings)
    default = DataSettings.model_fields[name].default
    assert read_object_rows(corpus, DataSettings(**{name: default}))


@pytest.mark.parametrize("name", OPTIONS_OF_COLUMNS)
def test_an_option_of_columns_is_refused_for_sentences_only(name):
    """One split that is a table is enough for it to have an effect."""
    settings = DataSettings(**{name: OPTIONS_OF_COLUMNS[name]})
    for sentences in (TEXTS, {"train": TEXTS, "test": TEXTS}, FRAME["text"]):
        with pytest.raises(ConfigError, match=rf"data\.{name} = .* is for .*passed as sentences"):
            read_object_rows(sentences, settings)
    table = pd.DataFrame(dict.fromkeys(("text", "a", "b", "zz"), TEXTS))
    for tables in (table, table.to_dict("list"), {"train": TEXTS, "test": table}):
        assert read_object_rows(tables, settings)


def test_all_options_without_effect_are_refused_at_once():
    """There is one message for each."""
    settings = DataSettings(unit="file", text_column="zz")
    with pytest.raises(ConfigError) as caught:
        read_object_rows(TEXTS, settings)
    assert [message.split(" = ")[0] for message in caught.value.args] == [
        "data.unit",
        "data.text_column",
    ]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_options_are_for_the_file_of_a_named_split(split):
    """Only the training sentences come from Python then."""
    settings = DataSettings(**{split: "held.csv"}, separator="tab", text_column="zz")
    assert read_object_rows(TEXTS, settings)


def test_an_option_that_nobody_wrote_for_the_object_is_noted(capsys):
    """It comes from a config, which a corpus in a file may share."""
    settings = DataSettings(unit="paragraph", text_column="zz")
    assert read_object_rows(TEXTS, settings, written=["held_out"])
    notes = capsys.readouterr().err
    assert "note: data.unit = 'paragraph' is for files" in notes
    assert "note: data.text_column = 'zz' is for tables" in notes
    with pytest.raises(ConfigError, match=r"data\.text_column = 'zz'"):
        read_object_rows(TEXTS, settings, written=["text_column"])


def test_a_named_corpus_is_refused_next_to_an_object():
    """Nobody could say which one is meant."""
    with pytest.raises(ConfigError, match=r"data\.corpus = 'captions' names a corpus"):
        read_object_rows(TEXTS, DataSettings(corpus="captions"))


def test_a_run_is_trained_on_a_frame(tmp_path):
    """The run uses the texts and labels of the frame, and keeps them when it is resumed."""
    frame = pd.DataFrame({"body": SENTENCES, "n": [number % 3 for number in range(len(SENTENCES))]})
    sections = {
        **SETTINGS,
        "data": {**SETTINGS["data"], "text_column": "body", "label_columns": ["n"]},
        "training": {**SETTINGS["training"], "steps": 1, "evaluations": 1},
    }
    textvae.train(frame, output=tmp_path / "run", device="cpu", **sections)
    counts = textvae.runs.run.Run(tmp_path / "run").read_counts()
    assert counts["cleaned"]["train"]["read"] == len(SENTENCES)
    with pytest.raises(textvae.TextVAEError, match="a resumed run keeps its corpus"):
        textvae.train(frame, output=tmp_path / "run", resume=True, device="cpu")
