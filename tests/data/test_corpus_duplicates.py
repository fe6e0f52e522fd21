"""Duplicates: copies stay in one split; across given splits they are counted or dropped."""

import pytest

from tests.corpora import SENTENCES, prepared, write, write_table
from tests.tiny_run import SENTENCES as CORPUS
from tests.tiny_run import table, train_tiny
from textvae.data.corpus import HELD_OUT_SPLITS
from textvae.data.settings import DataSettings
from textvae.data.streaming.sample import prepare_stream
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.errors import DataError

LONG = "this one sentence is much longer than the tokens it is allowed to have"


def write_splits(tmp_path, shared):
    """Return a folder of three splits whose training and validation files share sentences."""
    write(tmp_path / "in" / "train.txt", "\n".join([*SENTENCES, *shared]) + "\n")
    write(tmp_path / "in" / "valid.txt", "\n".join([*shared, "seen here alone"]) + "\n")
    write(tmp_path / "in" / "test.txt", "seen there alone\n")
    return str(tmp_path / "in")


@pytest.mark.parametrize("shared", [[], ["seen twice"], ["seen twice", "and this"]])
def test_training_sentences_that_are_also_held_out_are_counted(tmp_path, shared):
    """By default they are kept."""
    counts, splits = prepared(tmp_path / "out", write_splits(tmp_path, shared))
    assert counts["tokenized"]["train"]["also_held_out"] == len(shared)
    assert len(splits["train"]) == len(SENTENCES) + len(shared)


def test_duplicates_of_held_out_sentences_can_be_dropped(tmp_path):
    """The validation split keeps them."""
    _, splits = prepared(
        tmp_path / "out", write_splits(tmp_path, ["seen twice"]), drop_duplicates=True
    )
    assert list(splits["train"]["text"]) == SENTENCES
    assert "seen twice" in splits["validation"]["text"]


def test_dropped_duplicates_are_not_counted(tmp_path):
    """Sentences, tokens and words of dropped duplicates are not counted."""
    counts, splits = prepared(
        tmp_path / "out", write_splits(tmp_path, ["seen twice"]), drop_duplicates=True
    )
    train, count = splits["train"], counts["tokenized"]["train"]
    assert count["also_held_out"] == 1
    assert count["sentences"] == len(train)
    assert count["words"] == sum(train["words"])
    assert count["tokens"] == sum(train["length"]) + len(train)


def test_a_shared_sentence_that_is_cut_is_still_found(tmp_path):
    """Both copies are cut in the same way, so they are duplicates before and after."""
    counts, _ = prepared(tmp_path / "out", write_splits(tmp_path, [LONG]), max_tokens=30)
    assert counts["tokenized"]["train"]["also_held_out"] == 1


def test_duplicates_within_a_split_can_be_dropped(tmp_path):
    """The first copy of a sentence is kept."""
    corpus = write(tmp_path / "a.txt", "\n".join(SENTENCES * 3))
    counts, splits = prepared(tmp_path / "out", corpus, drop_duplicates=True)
    assert counts["cleaned"]["train"] == {"read": 60, "kept": 20, "duplicate": 40}
    assert sum(map(len, splits.values())) == 20
    assert counts["tokenized"]["train"]["also_held_out"] == 0


def write_tenfold(tmp_path, sentences=CORPUS):
    """Return a file with ten copies of each sentence, far apart."""
    return write(tmp_path / "tenfold.txt", "\n".join(sentences * 10) + "\n")


def test_no_copy_of_a_held_out_sentence_is_trained_on(tmp_path):
    """The three splits have no sentence in common, and no row is lost."""
    counts, splits = prepared(tmp_path / "out", write_tenfold(tmp_path))
    train, validation, test = (set(splits[name]["text"]) for name in ("train", *HELD_OUT_SPLITS))
    assert not train & (validation | test)
    assert not validation & test
    assert sum(map(len, splits.values())) == 10 * len(CORPUS)
    assert counts["tokenized"]["train"]["also_held_out"] == 0


@pytest.mark.parametrize(
    ("share", "most", "size"), [(0.1, 5000, 10), (0.1, 4, 4), (0.001, 5000, 1)]
)
def test_the_share_held_out_is_of_the_different_sentences(tmp_path, share, most, size):
    """The upper limit is a number of different sentences too."""
    _, splits = prepared(
        tmp_path / "out", write_tenfold(tmp_path), held_out=share, held_out_most=most
    )
    assert [len(set(splits[name]["text"])) for name in HELD_OUT_SPLITS] == [size, size]


def test_copies_change_no_sentences_split(tmp_path):
    """The held-out sentences depend only on the different sentences and the seed."""
    once = write(tmp_path / "once.txt", "\n".join(CORPUS) + "\n")
    _, of_one = prepared(tmp_path / "one", once)
    _, of_ten = prepared(tmp_path / "ten", write_tenfold(tmp_path))
    assert all(set(of_one[name]["text"]) == set(of_ten[name]["text"]) for name in HELD_OUT_SPLITS)


def test_copies_may_differ_in_white_space(tmp_path):
    """Sentences are compared as they are after cleaning."""
    corpus = write(
        tmp_path / "a.txt", "\n".join([*CORPUS, *(text.replace(" ", "  ") for text in CORPUS)])
    )
    counts, splits = prepared(tmp_path / "out", corpus, held_out=0.2)
    assert counts["tokenized"]["train"]["also_held_out"] == 0
    assert len(splits["test"]) == 2 * len(set(splits["test"]["text"]))


def test_a_text_with_two_labels_has_one_split(tmp_path):
    """Both rows go to the same split, each with its label."""
    corpus = write_table(
        tmp_path / "a.jsonl", CORPUS * 2, kind=["one"] * len(CORPUS) + ["two"] * len(CORPUS)
    )
    _, splits = prepared(tmp_path / "out", corpus, label="kind", held_out=0.1)
    for name in HELD_OUT_SPLITS:
        assert sorted(splits[name]["kind"]) == ["one"] * 10 + ["two"] * 10
    assert not set(splits["train"]["text"]) & set(splits["test"]["text"])


@pytest.mark.parametrize("present", HELD_OUT_SPLITS)
def test_a_sentence_of_a_given_split_is_not_held_out_in_the_other(tmp_path, present):
    """Such a sentence may be in the training file as well."""
    write(tmp_path / "in" / "train.txt", "\n".join(CORPUS) + "\n")
    write(tmp_path / "in" / f"{present}.txt", "\n".join(CORPUS[:90]) + "\n")
    _, splits = prepared(tmp_path / "out", str(tmp_path / "in"), held_out=0.3)
    (drawn,) = set(HELD_OUT_SPLITS) - {present}
    assert set(splits[drawn]["text"]) <= set(CORPUS[90:])


@pytest.mark.parametrize("different", [2, 7])
def test_too_few_different_sentences_are_refused_however_many_copies(tmp_path, different):
    """The minimum is that of a whole corpus."""
    corpus = write_tenfold(tmp_path, SENTENCES[:different])
    with pytest.raises(
        DataError, match=rf"only {different} different sentences among {different * 10} to choose"
    ):
        prepared(tmp_path / "out", corpus)


def test_eight_different_sentences_are_enough(tmp_path):
    """Each split gets at least one sentence."""
    _, splits = prepared(tmp_path / "out", write_tenfold(tmp_path, SENTENCES[:8]))
    assert all(len(split) for split in splits.values())


def test_a_stream_of_too_few_different_sentences_is_refused_too(tmp_path):
    """The held-out sentences of a stream are chosen from the sample in the same way."""
    settings = DataSettings(corpus=write_tenfold(tmp_path, SENTENCES[:2]), streaming=True)
    tokenizer_settings = TokenizerSettings(kind="byte")
    with pytest.raises(DataError, match="only 2 different sentences among 20"):
        prepare_stream(
            settings,
            1,
            tmp_path / "out",
            lambda sentences: build_tokenizer(tokenizer_settings, sentences),
        )


def test_what_training_leaves_out_or_cuts_is_reported(tmp_path, capsys):
    """Notes give the reasons and the settings; without losses, only the splits are noted."""
    train_tiny(tmp_path / "plain", training={"steps": 1, "warmup_steps": 0})
    reported = capsys.readouterr().err
    assert [line for line in reported.splitlines() if line.startswith(("note", "warning"))] == [
        "note: the corpus: 80 sentences to train on, 10 for validation and 10 for test "
        "(data.held_out = 0.1)."
    ]
    corpus = ["", *CORPUS, "a", "word " * 200]
    train_tiny(
        tmp_path / "run", corpus, data={"min_words": 2}, training={"steps": 1, "warmup_steps": 0}
    )
    reported = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert reported[1:] == [
        "note: 2 of 103 rows left out: 1 blank, 1 too short (data.min_words = 2).",
        "note: of 101 sentences, 1 is cut at data.max_tokens = 128; only the beginning is used.",
    ]


def train_briefly(folder, splits, **data):
    """Train a run on these splits for one step."""
    tables = {name: table([(text, None) for text in texts]) for name, texts in splits.items()}
    train_tiny(folder, tables, data=data, training={"steps": 1, "warmup_steps": 0})


@pytest.mark.parametrize(
    ("drops", "words"), [(False, "come out too good"), (True, "and left out of training")]
)
def test_overlapping_splits_are_reported(tmp_path, capsys, drops, words):
    """One note gives the number of training sentences concerned."""
    splits = {"train": CORPUS, "validation": CORPUS[:3], "test": ["a sentence of its own."]}
    train_briefly(tmp_path / "run", splits, drop_duplicates=drops)
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if "also in the validation" in line
    ]
    subject = "3 training sentences are also in the validation or test split"
    assert line.startswith(f"{'note' if drops else 'warning'}: {subject}")
    assert words in line
    assert f"- corpus: {subject}" in (tmp_path / "run" / "README.md").read_text()


def test_sentences_in_validation_and_test_are_reported(tmp_path, capsys):
    """One split chooses the model, and the other one measures it."""
    splits = {"train": CORPUS[3:], "validation": CORPUS[:3], "test": CORPUS[1:4]}
    train_briefly(tmp_path / "run", splits)
    reported = capsys.readouterr().err
    assert "warning: 2 validation sentences are also in the test split" in reported
    assert "warning: 1 training sentence is also in the validation or test split" in reported


def test_sentences_that_are_equal_after_the_cut_are_reported(tmp_path, capsys):
    """Some sentences differ only at the end, which the model does not read."""
    corpus = [
        *(f"a man rides a wave near the red house {number}." for number in range(20)),
        *CORPUS,
    ]
    train_tiny(
        tmp_path / "run", corpus, data={"max_tokens": 6}, training={"steps": 1, "warmup_steps": 0}
    )
    reported = capsys.readouterr().err
    assert "training sentences are, once cut at data.max_tokens = 6, also in the" in reported
