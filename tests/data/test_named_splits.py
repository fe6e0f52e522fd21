"""Splits, labels and shapes that the settings name, from the files to the prepared corpus."""

import json

import pytest

from tests.corpora import LINES, SENTENCES, prepared, write
from textvae.data.cache import locate_entry
from textvae.data.cleaning import Cleaner, CleaningSettings
from textvae.data.corpus import prepare_file
from textvae.data.object_rows import read_object_rows
from textvae.data.settings import DataSettings
from textvae.data.streaming.files import find_stream_files
from textvae.data.streaming.sample import prepare_stream
from textvae.data.tokenization import (
    TokenizerSettings,
    build_tokenizer,
    decode_batch,
    encode_batch,
    load_tokenizer,
)
from textvae.errors import ConfigError, DataError
from textvae.schema import validate_settings
from textvae.settings.reading import read_settings

HELD = ["a red fox hides", "a blue whale sings"]
LABELS = "".join(f"{'ab'[n % 2]}\n" for n in range(len(SENTENCES)))


def check_refused(tmp_path, error, words, **settings):
    """Check that preparing `a.txt` with these settings fails with these words."""
    with pytest.raises(error) as caught:
        prepared(tmp_path / "corpus", write(tmp_path / "a.txt", LINES), **settings)
    assert words in str(caught.value)


def test_a_file_can_be_named_as_the_validation_split(tmp_path):
    """The test split is still taken from the corpus."""
    file = write(tmp_path / "held.txt", "\n".join(HELD))
    corpus = write(tmp_path / "a.txt", LINES)
    _, splits = prepared(tmp_path / "c", corpus, validation=file)
    assert splits["validation"]["text"] == HELD
    assert len(splits["train"]) + len(splits["test"]) == len(SENTENCES)


def test_both_held_out_splits_can_be_named(tmp_path):
    """A file and a folder are read alike."""
    write(tmp_path / "folder" / "x.txt", HELD[0])
    test = write(tmp_path / "held.txt", HELD[1])
    corpus = write(tmp_path / "a.txt", LINES)
    _, splits = prepared(tmp_path / "c", corpus, validation=str(tmp_path / "folder"), test=test)
    assert splits["validation"]["text"] == HELD[:1]
    assert splits["test"]["text"] == HELD[1:]
    assert splits["train"]["text"] == SENTENCES


def test_a_named_file_in_the_folder_is_not_trained_on(tmp_path):
    """The corpus is then the other files of the folder."""
    write(tmp_path / "corpus" / "a.txt", LINES)
    file = write(tmp_path / "corpus" / "dev-notes.txt", "\n".join(HELD))
    _, splits = prepared(tmp_path / "c", str(tmp_path / "corpus"), validation=file)
    assert not set(HELD) & set(splits["train"]["text"])
    assert splits["validation"]["text"] == HELD


def test_a_named_folder_in_the_folder_is_not_trained_on(tmp_path):
    """None of its files is, at any depth, and it is no class."""
    for name, text in (("books", LINES), ("news", LINES), ("held/a", "\n".join(HELD))):
        write(tmp_path / "corpus" / name / "a.txt", text)
    held = str(tmp_path / "corpus" / "held")
    _, splits = prepared(tmp_path / "run", corpus=str(tmp_path / "corpus"), validation=held)
    assert set(splits["validation"]["text"]) == set(HELD)
    assert set(HELD).isdisjoint(splits["train"]["text"])


def test_a_named_split_replaces_that_of_the_folder(tmp_path, capsys):
    """A note says so."""
    write(tmp_path / "corpus" / "train.txt", LINES)
    write(tmp_path / "corpus" / "test.txt", "not this\n")
    file = write(tmp_path / "held.txt", "\n".join(HELD))
    _, splits = prepared(tmp_path / "c", str(tmp_path / "corpus"), test=file)
    assert splits["test"]["text"] == HELD
    assert "as data.test says, not that of the corpus" in capsys.readouterr().err


def test_a_split_can_be_named_for_sentences_from_python(tmp_path):
    """The file is read as for a corpus in a file."""
    file = write(tmp_path / "held.txt", "\n".join(HELD))
    rows = read_object_rows(SENTENCES, DataSettings())
    _, splits = prepared(tmp_path / "c", None, splits=rows, validation=file)
    assert splits["validation"]["text"] == HELD


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_missing_file_of_a_split_is_refused(tmp_path, split):
    """The message names the setting; a missing file is no data set of the Hub."""
    check_refused(
        tmp_path, DataError, f"data.{split} = 'absent': there is no such", **{split: "absent"}
    )


def test_the_same_file_for_two_splits_is_refused(tmp_path):
    """Whatever the spelling of its path."""
    held = write(tmp_path / "held.txt", "\n".join(HELD))
    same = str(tmp_path / "." / "x" / ".." / "a.txt")
    (tmp_path / "x").mkdir()
    check_refused(tmp_path, ConfigError, "is also data.validation", validation=held, test=held)
    check_refused(tmp_path, ConfigError, "is also data.corpus", validation=same)


def test_a_folder_with_splits_is_refused_as_one_split(tmp_path):
    """Only one of them can be meant."""
    write(tmp_path / "f" / "train.txt", LINES)
    write(tmp_path / "f" / "test.txt", LINES)
    words = "holds the splits train, test"
    check_refused(tmp_path, DataError, words, validation=str(tmp_path / "f"))


def test_labels_can_come_from_a_second_file(tmp_path):
    """They belong to the texts in order, held-out ones included."""
    file = write(tmp_path / "a.labels", LABELS)
    _, splits = prepared(tmp_path / "c", write(tmp_path / "a.txt", LINES), labels=file)
    for split in splits.values():
        for text, label in zip(split["text"], split["label"], strict=True):
            assert label == "ab"[SENTENCES.index(text) % 2]


def test_labels_of_named_splits_come_from_files_of_their_own(tmp_path):
    """Each split that the settings name needs one."""
    corpus = write(tmp_path / "a.txt", LINES)
    labels = write(tmp_path / "a.labels", LABELS)
    test = write(tmp_path / "test.txt", "\n".join(HELD))
    test_labels = write(tmp_path / "test.labels", "b\na\n")
    _, splits = prepared(tmp_path / "c", corpus, labels=labels, test=test, test_labels=test_labels)
    assert splits["test"]["label"] == ["b", "a"]


@pytest.mark.parametrize("count", [1, 19, 21, 40])
def test_a_file_of_labels_of_another_length_is_refused(tmp_path, count):
    """The message has both lengths."""
    file = write(tmp_path / "a.labels", "a\n" * count)
    words = f"has {count} labels for 20 texts; expected one per text"
    check_refused(tmp_path, DataError, words, labels=file)


def test_a_blank_label_is_refused(tmp_path):
    """The message names the row."""
    file = write(tmp_path / "a.labels", LABELS.replace("a\nb", "\nb", 1))
    check_refused(tmp_path, DataError, "row 1: column 'label' is blank", labels=file)


def test_labels_have_the_encoding_of_the_corpus(tmp_path):
    """Both files come from the same program."""
    labels = [("chat", "forêt")[n % 2] for n in range(len(SENTENCES))]
    corpus = write(tmp_path / "a.txt", "".join(f"{s} é\n" for s in SENTENCES).encode("cp1252"))
    file = write(tmp_path / "l.txt", "\n".join(labels).encode("cp1252"))
    _, splits = prepared(tmp_path / "c", corpus, labels=file, encoding="cp1252")
    assert set(splits["train"]["label"]) == set(labels)
    assert all(text.endswith(" é") for text in splits["train"]["text"])


def test_a_table_is_refused_as_a_file_of_labels(tmp_path):
    """Nobody could say which column is meant."""
    file = write(tmp_path / "a.csv", "id,label\n" + "1,a\n" * len(SENTENCES))
    check_refused(
        tmp_path, DataError, "is a table; expected a text file with one label per line", labels=file
    )


def test_chats_from_python_are_split_into_messages(tmp_path):
    """As those of a file are."""
    chats = [[{"role": "user", "content": s}] for s in SENTENCES]
    rows = {"train": lambda: iter([{"messages": chat} for chat in chats])}
    counts, splits = prepared(tmp_path / "c", None, splits=rows)
    assert counts["cleaned"]["train"]["kept"] == len(SENTENCES)
    assert set(splits["train"]["text"]) <= set(SENTENCES)


def test_a_missing_file_of_labels_is_refused(tmp_path):
    """The message names the setting."""
    check_refused(
        tmp_path, DataError, "data.labels = 'absent': there is no such file", labels="absent"
    )


def test_labels_may_lie_in_the_folder_of_the_only_file(tmp_path, capsys):
    """They are not reported as a file that is not read."""
    write(tmp_path / "f" / "a.txt", LINES)
    file = write(tmp_path / "f" / "labels.txt", LABELS)
    _, splits = prepared(tmp_path / "c", str(tmp_path / "f"), labels=file)
    assert set(splits["train"]["label"]) == {"a", "b"}
    assert "not read" not in capsys.readouterr().err


def test_labels_are_refused_for_a_folder_of_many_files(tmp_path):
    """Nobody could say which file they belong to."""
    write(tmp_path / "f" / "a.txt", LINES)
    write(tmp_path / "f" / "b.txt", LINES)
    file = write(tmp_path / "a.labels", LABELS)
    with pytest.raises(ConfigError, match="is not one file: name the training file"):
        prepared(tmp_path / "c", str(tmp_path / "f"), labels=file)


def test_a_file_of_labels_is_refused_for_sentences_from_python(tmp_path):
    """They are passed as a column."""
    rows = read_object_rows(SENTENCES, DataSettings())
    file = write(tmp_path / "a.labels", LABELS)
    with pytest.raises(ConfigError, match="pass labels from Python as a column"):
        prepared(tmp_path / "c", None, splits=rows, labels=file)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"validation_labels": "x"}, "data.validation_labels is set, but data.labels is not"),
        ({"test_labels": "x", "test": "y"}, "data.test_labels is set, but data.labels is not"),
        ({"labels": "x", "test_labels": "y"}, "but data.test is not; name the file of texts"),
        ({"labels": "x", "validation": "y"}, "data.validation needs labels, too"),
        ({"unit": "sentence"}, "data.unit"),
        ({"unit": "Line"}, "data.unit"),
        ({"white_space": "kept"}, "data.white_space"),
        ({"white_space": True}, "data.white_space"),
        ({"role": 3}, "data.role"),
        ({"validation": ["a.txt"]}, "data.validation"),
        ({"label_columns": ["n", "n"]}, "data.label_columns = ['n', 'n'] names a column twice"),
        ({"label_columns": [1, "1"]}, "data.label_columns = ['1', '1'] names a column twice"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, words):
    """The message names the setting."""
    with pytest.raises(ConfigError) as caught:
        validate_settings(DataSettings, settings, "data")
    assert words in str(caught.value)


def test_a_file_of_labels_conditions_the_model():
    """As a column of labels does."""
    settings = read_settings(None, ["data.labels=a.labels"])
    assert settings.data.label == "label"
    assert settings.model.prior.kind == "label_gaussian"


def test_folders_of_classes_condition_the_model(tmp_path):
    """The names of the folders are the labels."""
    for n, label in enumerate(("neg", "pos")):
        write(tmp_path / "f" / label / "a.txt", "\n".join(SENTENCES[n::2]))
    _, splits = prepared(tmp_path / "c", str(tmp_path / "f"), label="label")
    for text, label in zip(splits["train"]["text"], splits["train"]["label"], strict=True):
        assert label == ("neg", "pos")[SENTENCES.index(text) % 2]


def test_the_cache_knows_the_files_that_the_settings_name(tmp_path):
    """A change of the validation file is a change of the corpus."""
    corpus = write(tmp_path / "a.txt", LINES)
    held = write(tmp_path / "held.txt", "\n".join(HELD))
    data = DataSettings(corpus=corpus, validation=held, cache=str(tmp_path / "cache"))
    before = locate_entry(data, TokenizerSettings(), 1)
    assert before == locate_entry(data, TokenizerSettings(), 1)
    write(tmp_path / "held.txt", "another text\n")
    assert before != locate_entry(data, TokenizerSettings(), 1)


def build_byte_tokenizer(sentences):
    """Return a tokenizer of bytes."""
    return build_tokenizer(TokenizerSettings(kind="byte"), sentences)


@pytest.mark.parametrize("named", ["folder", "link", "parent"])
def test_a_stream_knows_the_file_that_is_held_out_however_it_is_named(tmp_path, named):
    """A folder with one split alone is that split; paths are compared, not their spellings."""
    write(tmp_path / "s" / "a.txt", LINES)
    held = write(tmp_path / "s" / "b.txt", "\n".join(HELD))
    if named == "folder":
        held = str(tmp_path / "held")
        write(tmp_path / "held" / "valid.txt", "\n".join(HELD))
        (tmp_path / "s" / "b.txt").unlink()
    elif named == "link":
        (tmp_path / "link.txt").symlink_to(held)
        held = str(tmp_path / "link.txt")
    else:
        held = str(tmp_path / "s" / ".." / "s" / "b.txt")
    settings = DataSettings(corpus=str(tmp_path / "s"), streaming=True, validation=held)
    prepare_stream(settings, 1, tmp_path / "run", build_byte_tokenizer)
    files = json.loads((tmp_path / "run" / "stream.json").read_text())["files"]
    assert files == [str(tmp_path / "s" / "a.txt")]


def test_a_stream_refuses_a_folder_with_splits_as_one_split(tmp_path):
    """Its training split would be taken for the held-out one."""
    write(tmp_path / "s" / "a.txt", LINES)
    write(tmp_path / "held" / "train.txt", LINES)
    write(tmp_path / "held" / "test.txt", "\n".join(HELD))
    settings = DataSettings(
        corpus=str(tmp_path / "s"), streaming=True, validation=str(tmp_path / "held")
    )
    with pytest.raises(DataError, match=r"holds the splits .*train"):
        prepare_stream(settings, 1, tmp_path / "run", build_byte_tokenizer)


def test_a_stream_holds_out_the_file_that_the_settings_name(tmp_path):
    """It is not among the files of the stream."""
    write(tmp_path / "s" / "a.txt", LINES)
    held = write(tmp_path / "s" / "held.txt", "\n".join(HELD))
    data = DataSettings(corpus=str(tmp_path / "s"), validation=held, streaming=True)
    _, counts = prepare_stream(data, 1, tmp_path / "c", build_byte_tokenizer)
    assert counts["tokenized"]["validation"]["sentences"] == len(HELD)
    record = json.loads((tmp_path / "c" / "stream.json").read_text())
    assert record["files"] == [str(tmp_path / "s" / "a.txt")]


def test_folders_of_splits_are_streamed_as_splits(tmp_path):
    """The folders of a pattern count, too."""
    for split in ("train", "test"):
        write(tmp_path / split / "a.txt", LINES)
    by_folder = find_stream_files(str(tmp_path))
    assert by_folder == find_stream_files(str(tmp_path / "*" / "*.txt"))
    assert by_folder["test"] == [str(tmp_path / "test" / "a.txt")]


CODE = ["def f(x):", "    return x", "\tif a:", "x  =  1  # two ", "a\n\n  b\n"]


@pytest.mark.parametrize("text", CODE)
def test_white_space_is_kept_if_asked(text):
    """By default it is folded."""
    keep = Cleaner(CleaningSettings(white_space="keep", min_words=1))
    assert keep(text) == text
    assert Cleaner(CleaningSettings())(text) == " ".join(text.split())


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_a_blank_text_is_left_out_even_if_white_space_is_kept(text):
    """There is nothing to learn from it."""
    assert Cleaner(CleaningSettings(white_space="keep"))(text) is None


def test_a_long_text_is_cut_at_white_space_that_is_kept():
    """The white space before the cut stays."""
    cleaner = Cleaner(CleaningSettings(white_space="keep", max_characters=9))
    assert cleaner("  a\n  bc def") == "  a\n  bc"
    assert cleaner("  abcdefghijk") == "  abcdefg"


@pytest.mark.parametrize("kind", ["bpe", "byte", "character"])
def test_kept_white_space_survives_the_tokenizer(tmp_path, kind):
    """It also survives saving and loading."""
    settings = TokenizerSettings(kind=kind, min_frequency=1)
    tokenizer = build_tokenizer(settings, CODE, keeps_white_space=True)
    assert decode_batch(tokenizer, encode_batch(tokenizer, CODE)) == CODE
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert decode_batch(loaded, encode_batch(loaded, CODE)) == CODE


@pytest.mark.parametrize("kind", ["word", "folder"])
def test_a_tokenizer_that_loses_white_space_is_refused(kind):
    """The message lists those that keep it."""
    with pytest.raises(ConfigError, match="use bpe, byte, character"):
        read_settings(None, ["data.white_space=keep", f"tokenizer.kind={kind}"])


def test_a_file_of_another_format_is_evaluated_by_a_model_of_paragraphs(tmp_path):
    """The unit of the corpus is used where it applies."""
    data = DataSettings(unit="paragraph")
    tokenizer = build_byte_tokenizer([])
    table = write(tmp_path / "a.csv", "text\na b\nc\n")
    assert prepare_file(data, tokenizer, table, tmp_path)["text"] == ["a b", "c"]
    file = write(tmp_path / "a.txt", "a\nb\n\nc\n")
    assert prepare_file(data, tokenizer, file, tmp_path)["text"] == ["a b", "c"]
