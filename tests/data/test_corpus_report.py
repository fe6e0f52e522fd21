"""The summary of a corpus: what is printed after preparation, and kept with the run."""

import json

import pytest

from tests.tiny_run import SENTENCES, train_tiny, write_corpus
from textvae.cli.main import main
from textvae.data.corpus import prepare_splits
from textvae.data.corpus_counts import list_split_files
from textvae.data.corpus_report import compute_shares, report_corpus, summarize_corpus
from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.errors import DataError

WORDS = TokenizerSettings(kind="word", min_frequency=1)


def prepare(folder, lines, tokenizer=WORDS, **data):
    """Prepare lines of text as a corpus; return its counts and its settings."""
    file = folder / "my.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return prepare_corpus(folder, DataSettings(corpus=str(file), **data), tokenizer)


def prepare_corpus(folder, settings, tokenizer=WORDS):
    """Prepare the corpus of the settings; return its counts and the settings."""
    _, counts = prepare_splits(
        settings, 1, folder / "out", lambda texts: build_tokenizer(tokenizer, texts)
    )
    return counts, settings


def summarize(prepared):
    """Return the lines of a summary, each with `!` in front if it is a warning."""
    return [f"{'!' if line.is_warning else ''}{line.text}" for line in summarize_corpus(*prepared)]


def test_an_ordinary_corpus_has_one_line(tmp_path):
    """It has the sizes of the splits, and the setting that chose them."""
    assert summarize(prepare(tmp_path, SENTENCES, held_out=0.1)) == [
        "80 sentences to train on, 10 for validation and 10 for test (data.held_out = 0.1)."
    ]


CASES = [
    # (what, lines, settings, the start of the second line of the summary)
    ("a blank line", [*SENTENCES, ""], {}, "1 of 101 rows left out: 1 blank."),
    ("many blank lines", [*SENTENCES, *[""] * 150], {}, "!150 of 250 rows left out: 150 blank."),
    (
        "short lines",
        [*SENTENCES, "one", "two"],
        {"min_words": 2},
        "2 of 102 rows left out: 2 too short (data.min_words = 2).",
    ),
    (
        "long lines",
        [*SENTENCES, "x " * 20],
        {"max_words": 9},
        "1 of 101 rows left out: 1 too long (data.max_words = 9).",
    ),
    (
        "dropped duplicates",
        SENTENCES * 2,
        {"drop_duplicates": True},
        "!100 of 200 rows left out: 100 duplicate (data.drop_duplicates).",
    ),
    (
        "copies",
        [*SENTENCES, *[SENTENCES[0]] * 4],
        {},
        "4 of 84 training sentences are copies of others; data.drop_duplicates=true",
    ),
    ("many copies", SENTENCES * 3, {}, "!160 of 240 training sentences are copies of others;"),
    (
        "a long sentence",
        [*SENTENCES, "x " * 300],
        {},
        "of 101 sentences, 1 is cut at data.max_tokens = 128; only the beginning is used.",
    ),
    (
        "many long sentences",
        SENTENCES,
        {"max_tokens": 3},
        "!of 100 sentences, 100 are cut at data.max_tokens = 3;",
    ),
    (
        "too many characters",
        [*SENTENCES, "x" * 6000],
        {},
        "of 101 sentences, 1 is cut at data.max_characters = 5000;",
    ),
]


@pytest.mark.parametrize(
    ("lines", "settings", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_each_loss_has_a_line_with_the_setting_that_changes_it(tmp_path, lines, settings, expected):
    """The line is a warning if the share is large."""
    lines = summarize(prepare(tmp_path, lines, **{"held_out": 0.1, **settings}))
    assert lines[1].startswith(expected)
    assert len(lines) <= 6


def test_unknown_tokens_are_counted_and_bpe_is_recommended(tmp_path):
    """In a language without spaces a word-level tokenizer knows almost no held-out token."""
    chinese = [f"{a}{b}{c}" for a in "我你他她" for b in "看听说读写" for c in "书报信画歌"]
    prepared = prepare(tmp_path, chinese, TokenizerSettings(kind="word"), held_out=0.1)
    line = summarize(prepared)[1]
    assert line.startswith("!100.0% of the training tokens and 100.0% of the held-out ones are")
    assert "tokenizer.kind=bpe" in line
    assert compute_shares(prepared[0])["unknown_share"] == 1.0


def test_a_byte_level_tokenizer_has_no_unknown_tokens(tmp_path):
    """There is then no line about them."""
    prepared = prepare(tmp_path, SENTENCES, TokenizerSettings(kind="bpe"), held_out=0.1)
    assert len(summarize(prepared)) == 1
    assert compute_shares(prepared[0])["unknown_share"] == 0.0


def write_folder(folder, **files):
    """Write lists of lines to text files in a folder, by the names of the files."""
    folder.mkdir(parents=True)
    for name, lines in files.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_the_files_of_each_split_are_named(tmp_path):
    """Those that are not read are not among them."""
    folder = write_folder(
        tmp_path / "corpus",
        a=SENTENCES[:40],
        b=SENTENCES[40:60],
        README=["a file about the corpus"],
        the_test_of_time=SENTENCES[60:62],
        test=SENTENCES[62:82],
        valid=SENTENCES[82:],
    )
    prepared = prepare_corpus(tmp_path, DataSettings(corpus=str(folder)))
    assert summarize(prepared)[0] == (
        "62 sentences to train on (from a.txt, b.txt, the_test_of_time.txt), 18 for validation "
        "(from valid.txt) and 20 for test (from test.txt)."
    )


def test_only_the_first_of_many_files_are_named(tmp_path):
    """The rest are counted."""
    files = {f"part{number}": SENTENCES[number::5] for number in range(5)}
    folder = write_folder(tmp_path / "corpus", **files)
    prepared = prepare_corpus(tmp_path, DataSettings(corpus=str(folder), held_out=0.1))
    assert "(from part0.txt, part1.txt, part2.txt and 2 more)" in summarize(prepared)[0]
    assert list_split_files(str(folder))["train"] == [f"part{number}.txt" for number in range(5)]


def test_held_out_sentences_that_are_trained_on_are_counted_for_each_split(tmp_path):
    """A test split of training sentences is a warning, however large the training split is."""
    folder = write_folder(
        tmp_path / "corpus", train=SENTENCES, valid=["a b c."] * 10, test=SENTENCES[:10]
    )
    prepared = prepare_corpus(tmp_path, DataSettings(corpus=str(folder)))
    assert summarize(prepared)[-1].startswith(
        "!10 training sentences are also in the validation or test split "
        "(0 of the 10 validation sentences, 10 of the 10 test sentences)"
    )
    assert compute_shares(prepared[0])["shared_share"] == 1.0


def test_a_training_split_of_held_out_sentences_alone_is_refused(tmp_path):
    """Without duplicates, nothing would be left to train on."""
    folder = write_folder(tmp_path / "corpus", train=SENTENCES, valid=SENTENCES, test=SENTENCES)
    settings = DataSettings(corpus=str(folder), drop_duplicates=True)
    with pytest.raises(DataError, match="every training sentence is also in the validation"):
        prepare_corpus(tmp_path, settings)


def test_few_held_out_sentences_are_noted(tmp_path):
    """Their measures say little."""
    lines = summarize(prepare(tmp_path, SENTENCES))
    assert lines[0].startswith("90 sentences to train on, 5 for validation and 5 for test")
    assert "raise data.held_out" in lines[0]


def test_a_cached_corpus_prints_the_same_summary(tmp_path, capsys):
    """The summary comes from the counts, which the cache holds."""
    folder = write_folder(
        tmp_path / "corpus", train=[*SENTENCES, ""], valid=SENTENCES[:20], test=SENTENCES[20:40]
    )
    printed = []
    for name in ("first", "second"):
        data = {"cache": str(tmp_path / "cache")}
        training = {"steps": 1, "warmup_steps": 0}
        train_tiny(tmp_path / name, str(folder), data=data, training=training)
        lines = capsys.readouterr().err.splitlines()
        notes = [line for line in lines if line.startswith(("note: ", "warning: "))]
        # What is found in a folder is noted only while it is read.
        printed.append([line for line in notes if ": found train" not in line])
    assert printed[0] == printed[1]
    assert len(printed[0]) >= 3


def test_the_card_and_info_have_the_summary(tmp_path, capsys):
    """Nobody needs the terminal in which the run was trained."""
    training = {"steps": 1, "warmup_steps": 0}
    train_tiny(tmp_path / "run", [*SENTENCES, "", "x " * 200], training=training)
    cut = "of 101 sentences, 1 is cut at data.max_tokens = 128; only the beginning is used."
    assert f"- corpus: {cut}" in (tmp_path / "run" / "README.md").read_text()
    capsys.readouterr()
    assert main(["info", str(tmp_path / "run")]) == 0
    assert cut in capsys.readouterr().out
    assert main(["info", str(tmp_path / "run"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert cut in record["corpus_summary"]
    assert record["cut_share"] == pytest.approx(1 / 101)


def test_counts_of_an_older_release_have_a_summary(tmp_path):
    """What it did not count is left out."""
    counts, settings = prepare(tmp_path, SENTENCES, held_out=0.1)
    for split in counts["tokenized"].values():
        for key in ("copies", "most_copies", "unknown", "also_trained_on"):
            split.pop(key, None)
    counts.pop("files", None)
    assert len(summarize((counts, settings))) == 1


def test_a_stream_says_that_a_sample_was_counted(capsys):
    """The rest of a stream is read during training."""
    split = {"sentences": 10, "tokens": 50}
    counts = {
        "cleaned": {"train": {"read": 30, "kept": 30}},
        "tokenized": dict.fromkeys(("train", "validation", "test"), split),
        "stream": {"files": 4, "counted": "a sample"},
    }
    report_corpus(counts, DataSettings(corpus="my-*.txt"))
    assert capsys.readouterr().err.startswith(
        "note: a sample of my-*.txt: 10 sentences to train on"
    )


def test_a_corpus_of_one_file_names_no_files(tmp_path):
    """Its name is in the summary already."""
    assert list_split_files(str(write_corpus(tmp_path))) == {}
