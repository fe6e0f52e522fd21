"""Sentences of the command line, of files and of pipes: one record per line, blank rows in place."""

import io
import json

import pytest

from tests.tiny_run import SENTENCES, train_tiny
from textvae.cli.main import main
from textvae.vae import TextVAE

A, B, C = SENTENCES[0], SENTENCES[30], SENTENCES[-1]
SINGLE = {
    "complete": ["-n", "2", "--seed", "1"],
    "infill": ["-n", "1", "--latents", "2", "--beams", "2"],
    "traverse": ["--dimension", "1", "--steps", "2", "--unit", "prior"],
    "vary": ["-n", "2", "--seed", "1"],
}
SEVERAL = {
    "interpolate": (["--steps", "3"], 2),
    "analogy": ([], 3),
}
TEXTS = {"infill": ("a man ___ a ___.", "the ___ likes ___.")}


@pytest.fixture
def ask(tiny_run, capsys, monkeypatch):
    """Run a verb on the shared run; return the records that it printed."""

    def ask(verb, *words, stdin=None):
        if stdin is not None:
            stream = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
            monkeypatch.setattr("sys.stdin", stream)
        assert main([verb, str(tiny_run), *words, "--json", "--device", "cpu"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return ask


def without_place(records, *names):
    """Return records without the keys that only those of files have."""
    dropped = ("file", "row", "line", *names)
    return [{key: row[key] for key in row if key not in dropped} for row in records]


@pytest.mark.parametrize("verb", SINGLE)
def test_a_row_has_the_records_of_its_sentence(ask, tmp_path, verb):
    """A blank row has one record of nulls, and standard input is read like a file."""
    first, second = TEXTS.get(verb, (A, "a man"))
    options = SINGLE[verb]
    alone = [ask(verb, text, *options) for text in (first, second)]
    (tmp_path / "rows.txt").write_text(f"{first}\n\n{second}\n")
    records = ask(verb, "--file", str(tmp_path / "rows.txt"), *options)
    numbers = [record["row"] for record in records]
    assert numbers == [1] * len(alone[0]) + [2] + [3] * len(alone[1])
    found = without_place(records, "prefix", "template", "original")
    blank = found.pop(len(alone[0]))
    assert set(blank.values()) == {None}
    assert blank.keys() == found[0].keys()
    assert found == [*alone[0], *alone[1]]
    piped = ask(verb, "--file", "-", *options, stdin=f"{first}\n\n{second}\n")
    assert without_place(piped, "prefix", "template", "original")[: len(alone[0])] == alone[0]


@pytest.mark.parametrize("verb", SEVERAL)
def test_a_row_has_several_sentences(ask, tmp_path, verb):
    """They are separated by tabs, or in the columns of a table, with or without names."""
    options, count = SEVERAL[verb]
    texts = [A, B, C][:count]
    alone = ask(verb, *texts, *options)
    names = ["first", "second"] if count == 2 else ["a", "b", "c"]
    (tmp_path / "rows.txt").write_text("\t".join(texts) + "\n\n")
    (tmp_path / "rows.tsv").write_text("\t".join(names) + "\n" + "\t".join(texts) + "\n")
    (tmp_path / "rows.jsonl").write_text(json.dumps(dict(zip(names, texts, strict=True))) + "\n")
    (tmp_path / "bare.tsv").write_text("\t".join(texts) + "\n")
    numbers = [word for place in range(1, count + 1) for word in ("--column", str(place))]
    for words in (
        ["rows.txt"],
        ["rows.tsv"],
        ["rows.jsonl"],
        ["bare.tsv", "--no-header", *numbers],
    ):
        records = ask(verb, "--file", str(tmp_path / words[0]), *words[1:], *options)
        found = without_place(records, "sentences", "a", "b", "c")
        assert found[: len(alone)] == alone, words
        assert len(records) == len(alone) + (words == ["rows.txt"])
    # So many rows with equally many tabs would be a table if a row had one sentence.
    for rows in (1, 6):
        piped = ask(verb, "--file", "-", *options, stdin=("\t".join(texts) + "\n") * rows)
        assert without_place(piped, "sentences", "a", "b", "c") == alone * rows


def test_sentences_may_follow_options(ask):
    """The parser leaves them over, and they are taken as sentences."""
    expected = ask("interpolate", A, B, "--steps", "2")
    assert ask("interpolate", "--steps", "2", A, B) == expected
    assert ask("interpolate", A, "--steps", "2", B) == expected
    assert ask("vary", "-n", "1", A, "--seed", "1") == ask("vary", A, "-n", "1", "--seed", "1")


def test_a_path_through_more_sentences(ask, tiny_run):
    """The command does what the method does."""
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    texts = [record["text"] for record in ask("interpolate", A, B, C, "--steps", "3")]
    assert texts == vae.interpolate(A, B, C, steps=3)
    assert len(texts) == 5


def test_several_texts_of_one_latent_have_a_record_each(ask, tmp_path):
    """The records of a row follow each other, and the steps of a path keep their numbers."""
    sampled = ["--num-return-sequences", "2", "--do-sample", "--seed", "1"]
    (tmp_path / "rows.txt").write_text(f"{A}\n\n{B}\n")
    records = ask("reconstruct", str(tmp_path / "rows.txt"), *sampled)
    assert [record["row"] for record in records] == [1, 1, 2, 3, 3]
    steps = ask("interpolate", A, B, "--steps", "2", *sampled)
    assert [record["step"] for record in steps] == [0, 0, 1, 1]
    assert len(ask("complete", "a", "-n", "3", *sampled)) == 6
    assert len(ask("generate", "-n", "3", *sampled)) == 6
    values = [record["value"] for record in ask("traverse", A, *SINGLE["traverse"], *sampled)]
    assert values == [-3, -3, 3, 3]


def test_options_of_decoding_are_read_as_json_where_they_are_lists(ask, tiny_run):
    """Words can be repeated, and a switch has a way to say no."""
    greedy = ["-n", "1", "--no-do-sample", "--seed", "1"]
    (plain,) = ask("complete", "a man", *greedy)
    tokens = TextVAE.from_pretrained(tiny_run, "cpu").tokenizer
    ids = tokens(plain["text"].removeprefix("a man"), add_special_tokens=False)["input_ids"]
    for options in (
        ["--suppress-tokens", json.dumps(ids)],
        ["--bad-words-ids", json.dumps([[token] for token in ids])],
        ["--repetition-penalty", "99"],
    ):
        (record,) = ask("complete", "a man", *greedy, *options)
        assert record["text"].startswith("a man")
        assert record["text"] != plain["text"], options
    assert len(ask("complete", "a", *greedy, "--bad-words", "man", "--bad-words", "dog")) == 1
    beams = ["--num-beams", "3", "--early-stopping", "never", "--length-penalty", "-2"]
    assert len(ask("complete", "a man", "-n", "1", *beams)) == 1


def test_features_are_written_to_a_file(ask, tmp_path, tiny_run):
    """They are those of the method, and a blank row is NaN."""
    import numpy as np

    (tmp_path / "rows.txt").write_text(f"{A}\n\n{B}\n")
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    for kind in ("states", "mean", "gaussian"):
        output = str(tmp_path / f"{kind}.npy")
        (record,) = ask("features", str(tmp_path / "rows.txt"), "--output", output, "--kind", kind)
        found = np.load(output)
        assert (record["rows"], record["sentences"]) == (3, 2)
        assert np.isnan(found[1]).all()
        np.testing.assert_allclose(found[[0, 2]], vae.features([A, B], kind), atol=1e-6)


WRONG = {
    "no sentence": (["complete"], "expected 1"),
    "a sentence and a file": (["complete", A, "--file", "rows.txt"], "leave one of the two out"),
    "a hyphen": (["complete", "-"], "say --file -"),
    "a hyphen among others": (["interpolate", A, "-"], "say --file -"),
    "the name of a file": (["vary", "rows.txt"], "say --file rows.txt"),
    "one sentence of a path": (["interpolate", A], "got 1 sentences; expected 2 or more"),
    "two of three": (["analogy", A, B], "got 2 sentences; expected 3"),
    "four of three": (["analogy", A, B, C, A], "got 4 sentences; expected 3"),
    "two of one": (["infill", "a ___", "b ___"], "unknown argument"),
    "a missing file": (["complete", "--file", "gone.txt"], "there is no"),
    "an empty name": (["complete", "--file", ""], "corpus"),
    "an option of tables": (["complete", A, "--text-column", "x"], "--text-column is for the file"),
    "a column without a file": (["interpolate", A, B, "--column", "x"], "--column is for"),
    "a column of text": (
        ["interpolate", "--file", "rows.txt", "--column", "a", "--column", "b"],
        "--column is for tables",
    ),
    "one column of two": (
        ["interpolate", "--file", "rows.csv", "--column", "a"],
        "expected it 2 or more times",
    ),
    "a column of one text": (
        ["analogy", "--file", "rows.csv", "--text-column", "a"],
        "name the columns with --column",
    ),
    "a missing column": (["analogy", "--file", "rows.csv"], "there is no column 'a'"),
    "a row with one sentence": (["interpolate", "--file", "rows.txt"], "separated by tabs"),
    "a row with a blank one": (["interpolate", "--file", "gap.txt"], "row 1 has 2 sentences"),
    "a cell that is blank": (["interpolate", "--file", "gap.csv"], "row 1 has no value"),
    "a number as a sentence": (["interpolate", "--file", "number.jsonl"], "not text"),
    "an empty file": (["vary", "--file", "empty.txt"], "empty"),
    "nothing but blank rows": (["traverse", "--file", "blank.txt", "--dimension", "0"], "sentence"),
    "no blank to fill": (["infill", "--file", "rows.txt"], "has no blank"),
    "a list that is none": (["complete", A, "--suppress-tokens", "[3"], "suppress_tokens"),
    "an unknown token": (["complete", A, "--suppress-tokens", "[99999]"], "names the token 99999"),
    "an unknown end": (["complete", A, "--early-stopping", "soon"], "early_stopping"),
    "greedy sequences": (
        ["reconstruct", "rows.txt", "--num-return-sequences", "2"],
        "greedy decoding",
    ),
    "sequences in shards": (
        ["generate", "--num-return-sequences", "2", "--output", "out"],
        "cannot be combined",
    ),
    "no spread": (["vary", A, "--spread", "0"], "greater than 0"),
    "an unknown unit": (["vary", A, "--unit", "meters"], "invalid choice"),
    "features without a file": (["features", "rows.txt", "--output", "z.txt"], ".npy"),
    "unknown features": (
        ["features", "rows.txt", "--output", "z.npy", "--kind", "cls"],
        "invalid choice",
    ),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_refused(tiny_run, tmp_path, monkeypatch, capsys, words, message):
    """Exit code 2, one line that says what is wrong, and no output."""
    monkeypatch.chdir(tmp_path)
    files = {
        "rows.txt": f"{A}\n",
        "rows.csv": f"first,second\n{A},{B}\n",
        "gap.txt": f"{A}\t\t{B}\n",
        "gap.csv": f"first,second\n{A},\n",
        "number.jsonl": '{"first": "a man", "second": 3}\n',
        "empty.txt": "",
        "blank.txt": "\n\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    verb, *rest = words
    code: object
    try:
        code = main([verb, str(tiny_run), *rest, "--device", "cpu"])
    except SystemExit as stopped:
        code = stopped.code
    shown = capsys.readouterr()
    assert code == 2
    assert message in shown.err
    assert not shown.out.strip()  # a blank line for each blank row
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_the_later_rows_of_a_file_have_noise_of_their_own(ask, tiny_run, tmp_path, monkeypatch):
    """Rows are answered in parts, and each part is sampled with a seed of its own."""
    monkeypatch.setattr("textvae.cli.input._ROWS_PER_ANSWER", 10)
    file = tmp_path / "same.txt"
    file.write_text(f"{A}\n" * 20)
    sample = ["--temperature", "3", "--seed", "3"]
    texts = [row["text"] for row in ask("reconstruct", str(file), *sample)]
    assert texts[:10] != texts[10:]
    assert texts == [row["text"] for row in ask("reconstruct", str(file), *sample)]
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    assert texts[:10] == vae.reconstruct([A] * 10, temperature=3.0, seed=3)


def test_columns_may_be_named_by_their_numbers(ask, tmp_path):
    """In a table with a header, too."""
    file = tmp_path / "pairs.tsv"
    file.write_text(f"one\tother\ttwo\n{A}\tx\t{B}\n")
    by_name = ask("interpolate", "--file", str(file), "--column", "one", "--column", "two")
    numbers = ["--column", "1", "--column", "3", "--header"]
    assert ask("interpolate", "--file", str(file), *numbers) == by_name


def test_a_folder_of_text_files_has_tabs_between_its_sentences(ask, tmp_path):
    """As a single text file has."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.txt").write_text(f"{A}\t{B}\n")
    records = ask("interpolate", "--file", str(tmp_path / "rows"), "--steps", "3")
    assert [record["text"] for record in records] == [
        record["text"] for record in ask("interpolate", A, B, "--steps", "3")
    ]


def test_kept_white_space_is_kept_in_every_sentence_of_a_row(tiny_run, tmp_path, capsys):
    """A cell is read as it is, if the run was trained so."""
    folder = tmp_path / "kept"
    train_tiny(folder, data={"white_space": "keep"}, training={"steps": 1, "warmup_steps": 0})
    file = tmp_path / "pairs.csv"
    file.write_text('first,second\n"  a man","  a dog"\n')
    capsys.readouterr()
    assert main(["interpolate", str(folder), "--file", str(file), "--steps", "2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[0])
    assert record["sentences"] == ["  a man", "  a dog"]


@pytest.mark.parametrize(("option", "short"), [("--n", "-n"), ("--k", "-k")])
def test_a_short_option_with_two_dashes_is_answered_with_the_short_one(capsys, option, short):
    """In Python, the option is `n=` and `k=`."""
    verb = "generate" if short == "-n" else "neighbors"
    with pytest.raises(SystemExit, match="2"):
        main([verb, "run", option, "4"])
    assert f"did you mean {short!r}?" in capsys.readouterr().err
