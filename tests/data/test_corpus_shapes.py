"""Formats whose texts are not lines: paragraphs, sequences, subtitles, documents and chats."""

import json
from contextlib import suppress
from functools import partial

import datasets
import pyarrow as pa
import pytest

from tests.corpora import SENTENCES, prepared, texts, write
from textvae.data.object_rows import read_object_rows
from textvae.data.settings import DataSettings
from textvae.data.sources import find_splits
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.streaming.sample import prepare_stream
from textvae.data.tables import TableSettings, open_rows
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.errors import DataError


def read_rows(file, text_column="text", **settings):
    """Return the rows of a file that is no corpus."""
    table_settings = TableSettings(text_column=text_column, **settings)
    return list(find_splits(str(file), table_settings)["train"]())


def check_refused(file, words, **settings):
    """Check that reading a file of a corpus fails with these words."""
    with pytest.raises(DataError) as caught:
        list(find_splits(str(file), DataSettings(**settings))["train"]())
    assert words in str(caught.value)


PARAGRAPHS = "\n\none\ntwo\n\n \nthree\r\n\n\nfour\nfive\n six"


def test_blank_lines_separate_paragraphs(tmp_path):
    """Several blank lines are one separation; lines keep their indentation."""
    rows = read_rows(write(tmp_path / "a.txt", PARAGRAPHS), unit="paragraph")
    assert [row["text"] for row in rows] == ["one\ntwo", "three", "four\nfive\n six"]


def test_a_file_can_be_one_text(tmp_path):
    """The texts of a folder are then its files."""
    write(tmp_path / "a.txt", "one\n\ntwo\n")
    write(tmp_path / "b.txt", "three\n")
    rows = read_rows(tmp_path, unit="file")
    assert [row["text"] for row in rows] == ["one\n\ntwo", "three"]


def test_a_file_of_paragraphs_that_is_read_by_line_is_reported(tmp_path, capsys):
    """The note names the setting that keeps paragraphs whole."""
    file = write(tmp_path / "a.txt", "one\ntwo\nthree\n\n" * 5)
    assert len(read_rows(file)) == 20
    assert "data.unit=paragraph reads each group as one text" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["a\nb\nc\n", "a\n\nb\n\nc\n\nd\n", "a\nb\n\nc\n"])
def test_lines_that_are_sentences_are_not_reported(tmp_path, content, capsys):
    """A blank line here and there, or after each sentence, means nothing."""
    read_rows(write(tmp_path / "a.txt", content))
    assert "note" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.fasta", "a.srt", "a.arrow"])
@pytest.mark.parametrize("unit", ["paragraph", "file"])
def test_a_unit_is_refused_for_a_file_that_is_no_text_file(tmp_path, name, unit):
    """The rows of a table are its texts."""
    file = write(tmp_path / name, "text\na\n")
    check_refused(file, "its rows or records are the texts", unit=unit)


def test_a_damaged_line_of_a_paragraph_is_refused_with_its_number(tmp_path):
    """The line is that of the damage, not that of the paragraph's beginning."""
    file = write(tmp_path / "a.txt", b"one\ntwo\ncaf\xe9\n")
    check_refused(file, "line 3: is not UTF-8", unit="paragraph")


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ("CCO ethanol\nC#N hydrogen cyanide\n", ["ethanol", "hydrogen cyanide"]),
        ("CCO\tethanol\nC#N\thydrogen cyanide\n", ["ethanol", "hydrogen cyanide"]),
        ("SMILES id\nCCO 1\nC#N 2\n", ["1", "2"]),
        ("CCO\n\nC#N\n", ["", ""]),
        ("CCO ethanol\t46.07\nC#N\t27.03\n", ["ethanol\t46.07", "27.03"]),
        ("# two molecules\nCCO 1\nC#N 2\n", ["1", "2"]),
    ],
)
def test_the_id_of_a_molecule_is_no_text(tmp_path, content, ids):
    """It becomes a column; a line of titles is no molecule."""
    rows = read_rows(write(tmp_path / "a.smi", content))
    assert [row["text"] for row in rows] == ["CCO", "C#N"]
    assert [row["id"] for row in rows] == ids


FASTA = ">sp|P1|X first protein\nMKV\nLLA*\n\n; a comment\n>two\nmkv\n"


@pytest.mark.parametrize("suffix", [".fasta", ".fa", ".faa", ".fna", ".fa.gz"])
def test_the_lines_of_a_sequence_are_joined(tmp_path, suffix):
    """Its id and its description become columns."""
    assert read_rows(write(tmp_path / f"a{suffix}", FASTA)) == [
        {"id": "sp|P1|X", "description": "first protein", "text": "MKVLLA*"},
        {"id": "two", "description": "", "text": "mkv"},
    ]


def test_a_fastq_file_is_read_without_qualities(tmp_path):
    """A quality may begin with @ like an id."""
    content = "@r1 lane\nACGT\n+\n@III\n@r2\nAC\n+r2\nII\n"
    assert read_rows(write(tmp_path / "a.fastq", content)) == [
        {"id": "r1", "description": "lane", "text": "ACGT"},
        {"id": "r2", "description": "", "text": "AC"},
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.fasta", "MKV\n", "line 1: expected a line with '>' and an id before the first"),
        ("a.fastq", "ACGT\n", "line 1: expected a line with '@' and an id, got 'ACGT'"),
        ("a.fastq", "@r\nACGT\n+\n", "ends inside a record"),
        ("a.fastq", "@r\nACGT\n+\nIII\n", "as many qualities as the sequence has letters"),
        ("a.fastq", "@r\nACGT\nAC\nIII\n", "expected a sequence, '+'"),
        ("a.smi", "CCO,ethanol\n", "line 1: begins with 'CCO,ethanol', but no SMILES has a comma"),
        ("a.srt", "a text\n", "expected the times of a subtitle"),
        ("a.vtt", "WEBVTT\n\na text\n", "expected the times of a subtitle"),
        ("a.arrow", "no arrow", "cannot be read as arrow"),
        ("a.fasta", "", "is empty"),
        ("a.srt", "", "is empty"),
        ("a.json", '{"text": ["a"], "label": [1, 2]}', "has columns of different lengths"),
        (
            "a.json",
            '{"a": [{"x": 1}], "b": {"c": [{"x": 2}]}}',
            "is a document with lists under 'a' and 'b.c'",
        ),
        ("a.json", '{"data": [{"text": "a"}, {"text"]}', "is not JSON"),
        ("a.json", '{"data": 1, "data": 2}', "names a key twice"),
        ("a.json", '["a", {"text": "b"}]', "holds no JSON object"),
        ("a.json", "[[1]]", "holds no JSON object"),
        ("a.jsonl", '["a", "b"]\n', "holds a list and no JSON object"),
        ("a.jsonl", '"a"\n{"text": "b"}\n', "expected an object in each line, or a text in"),
        ("a.jsonl", "17\n", "holds no JSON object"),
    ],
)
def test_a_file_that_is_not_in_its_format_is_refused(tmp_path, name, content, words):
    """The message says what was expected."""
    check_refused(write(tmp_path / name, content), words)


@pytest.mark.parametrize(
    ("content", "format_name"),
    [
        (FASTA, "FASTA"),
        ("@r1\nACGT\n+\nIIII\n", "FASTQ"),
        ("1\n00:00:01,000 --> 00:00:02,000\nHello\n", "subtitles"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", "subtitles"),
        ("CC(=O)O acid\nC1=CC=CC=C1\tbenzene\nCCO ethanol\n", "SMILES with ids"),
        ("[Na+].[Cl-] salt\nN[C@@H](C)C(=O)O 2\nC/C=C/C x y\n", "SMILES with ids"),
    ],
)
def test_a_text_file_that_looks_like_another_format_is_reported(
    tmp_path, content, format_name, capsys
):
    """The ids of sequences are not trained on without a word."""
    read_rows(write(tmp_path / "a.txt", content))
    assert f"looks like {format_name}, and" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("__label__a one\n__label__b two\n", "begin with labels (__label__)"),
        ("".join(f"{n} line\n" for n in range(7, 17)), "begin with their numbers"),
        ("".join(f"{n}. line\n" for n in range(1, 6)), "begin with their numbers"),
    ],
)
def test_labels_and_numbers_at_the_beginning_of_lines_are_reported(
    tmp_path, content, words, capsys
):
    """They would be learned as parts of the sentences."""
    read_rows(write(tmp_path / "a.txt", content))
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "> quoted\nan answer\n",
        "hello world\nbye world\n",
        "no one\nI am\nC 3\n",
        "1 a\n3 b\n2 c\n4 d\n5 e\n",
        "2024-01-16T10:11:10Z WARN request 4055\n2024-01-16T10:11:11Z INFO done\n",
        "[ERROR] disk full now\n[INFO] ok again\n",
        "P1: hello there\nP2: hi, you\n",
        "#TAG some words\n@USER1 hello you\n",
    ],
)
def test_a_text_file_of_sentences_is_not_reported(tmp_path, content, capsys):
    """Short sentences are no molecules."""
    read_rows(write(tmp_path / "a.txt", content))
    assert "looks like" not in capsys.readouterr().err


SRT = (
    "\ufeff1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>\nthere &amp; here\n\n"
    "2\n00:00:03,000 --> 00:00:04,000\n{\\an8}Bye.\n\nBye!\n\n"
    "3\n00:00:05,000 --> 00:00:06,000 X1:0\n3 < 4\n"
)
VTT = (
    "WEBVTT - a title\nKind: captions\n\nNOTE a comment\n\nSTYLE\n::cue {}\n\n"
    "intro\n00:01.000 --> 00:02.000 align:start\n<v Bob>Hi <00:01.500>there\n"
)


def test_each_subtitle_is_a_text(tmp_path):
    """Numbers, times and tags are no text; a blank line inside a subtitle does not end it."""
    rows = read_rows(write(tmp_path / "a.srt", SRT))
    assert [row["text"] for row in rows] == ["Hello there & here", "Bye. Bye!", "3 < 4"]
    assert rows[0]["start"] == "00:00:01,000"
    assert rows[0]["end"] == "00:00:02,500"


def test_subtitles_without_blank_lines_between_them_are_texts_of_their_own(tmp_path):
    """Each begins with its times, and with its number if there is one."""
    content = (
        "1\n00:00:01,000 --> 00:00:02,000\nHello there.\n2\n00:00:03,000 --> 00:00:04,000\nWorld.\n"
        "00:00:05,000 --> 00:00:06,000\nIn\n1984.\n\n4\n00:00:07,000 --> 00:00:08,000\nBye.\n"
    )
    rows = read_rows(write(tmp_path / "a.srt", content))
    assert [row["text"] for row in rows] == ["Hello there.", "World.", "In 1984.", "Bye."]
    assert [row["start"][6:8] for row in rows] == ["01", "03", "05", "07"]


def test_notes_and_styles_of_web_subtitles_are_no_text(tmp_path):
    """The names of cues and of voices are no text either."""
    rows = read_rows(write(tmp_path / "a.vtt", VTT))
    assert [(row["start"], row["text"]) for row in rows] == [("00:01.000", "Hi there")]


def test_an_arrow_file_is_read(tmp_path):
    """Both with and without an index of its batches."""
    table = pa.table({"text": SENTENCES})
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    with (
        pa.OSFile(str(tmp_path / "b.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    assert texts(str(tmp_path / "a.arrow")) == texts(str(tmp_path / "b.arrow")) == SENTENCES


ROWS = [{"text": "a", "n": "1"}, {"text": "b", "n": "2"}]


@pytest.mark.parametrize(
    "document",
    [
        {"data": ROWS},
        {"version": "1.1", "data": ROWS, "tags": ["x"]},
        {"response": {"docs": ROWS, "count": 2}},
        {"data": ROWS, "authors": [{"name": "x"}]},
        {"text": ["a", "b"], "n": ["1", "2"]},
        {"text": {"0": "a", "1": "b"}, "n": {"0": "1", "1": "2"}},
        {"columns": ["text", "n"], "index": [0, 1], "data": [["a", "1"], ["b", "2"]]},
        {"schema": {"fields": [{"name": "text"}]}, "data": ROWS},
        {"first": ROWS[0], "second": ROWS[1]},
        {"images": [{"id": 1}], "annotations": ROWS},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_is_read_wherever_its_rows_are(tmp_path, document, indent):
    """The rows are a list under a key, or columns, or objects, as programs write tables."""
    file = write(tmp_path / "a.json", json.dumps(document, indent=indent))
    assert read_rows(file) == ROWS


def test_a_document_may_hold_texts_instead_of_objects(tmp_path):
    """A list of strings is a list of texts, unless there are objects, too."""
    file = write(tmp_path / "a.json", json.dumps({"version": 1, "sentences": ["a", "b"]}))
    assert texts(file) == ["a", "b"]


def test_the_rows_of_a_document_may_have_nested_texts(tmp_path):
    """Search engines write them so."""
    hits = [{"_id": "1", "_source": {"body": "a"}}]
    file = write(tmp_path / "a.json", json.dumps({"hits": {"hits": hits, "tags": ["x"]}}))
    assert read_rows(file, "_source.body") == hits


def test_where_the_rows_of_a_document_are_is_printed(tmp_path, capsys):
    """Keys that are not read are named."""
    read_rows(write(tmp_path / "a.json", json.dumps({"version": 1, "data": ROWS})))
    assert "the rows are those under 'data'; not read: version." in capsys.readouterr().err


def test_a_document_of_one_row_is_one_row(tmp_path):
    """It may be spread over several lines, and another one may follow."""
    one = json.dumps(ROWS[0], indent=1)
    assert read_rows(write(tmp_path / "a.json", one)) == ROWS[:1]
    two = f"{one}\n{json.dumps(ROWS[1], indent=1)}\n"
    assert read_rows(write(tmp_path / "b.json", two)) == ROWS


def test_a_number_in_a_document_keeps_its_spelling(tmp_path):
    """So does a truth value, as in a list."""
    file = write(tmp_path / "a.json", '{"data": [{"text": "a", "n": 1.50, "yes": true}]}')
    assert {name: str(value) for name, value in read_rows(file)[0].items()} == {
        "text": "a",
        "n": "1.50",
        "yes": "true",
    }


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
def test_json_may_hold_texts_instead_of_objects(tmp_path, name):
    """In a list, or one per line."""
    content = '["a", "b"]' if name == "a.json" else '"a"\n"b"\n'
    assert texts(write(tmp_path / name, content)) == ["a", "b"]


MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
PARTS = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]


def test_each_message_of_a_chat_is_a_text(tmp_path, capsys):
    """Its role becomes a column, and the other columns are those of the chat."""
    file = write(tmp_path / "a.jsonl", json.dumps({"id": "7", "messages": MESSAGES}) + "\n")
    assert read_rows(file) == [
        {"id": "7", "role": "user", "text": "Hi"},
        {"id": "7", "role": "assistant", "text": "Hello!"},
    ]
    note = "each message under 'messages' is a text (1 of user, 1 of assistant)"
    assert note in capsys.readouterr().err


@pytest.mark.parametrize(
    "row",
    [
        {"messages": MESSAGES},
        {"conversations": [{"from": "assistant", "value": "Hello!"}]},
        {"text": [*MESSAGES]},
        {"messages": {"role": ["user", "assistant"], "content": ["Hi", "Hello!"]}},
        {"messages": [*MESSAGES, {"role": "user", "content": PARTS}]},
    ],
)
def test_the_messages_of_one_role_can_be_chosen(tmp_path, row):
    """Chats of several spellings are known."""
    file = write(tmp_path / "a.jsonl", json.dumps(row) + "\n")
    assert [row["text"] for row in read_rows(file, role="assistant")] == ["Hello!"]


def test_the_text_parts_of_a_message_are_joined(tmp_path):
    """Other parts, such as pictures, are no text; a call of a tool has no content at all."""
    messages = [{"role": "user", "content": PARTS}, {"role": "assistant", "content": None}]
    file = write(tmp_path / "a.jsonl", json.dumps({"messages": messages}) + "\n")
    assert [row["text"] for row in read_rows(file)] == ["a\nb", None]


def test_a_chat_of_a_data_set_is_split_like_one_of_a_file(tmp_path, monkeypatch):
    """A data set of the Hub has rows, too."""
    rows = datasets.Dataset.from_list([{"messages": MESSAGES}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"train": rows})
    assert [row["text"] for row in read_rows("owner/name")] == ["Hi", "Hello!"]


@pytest.mark.parametrize(
    ("row", "role", "words"),
    [
        ({"messages": MESSAGES}, "assistent", "no message has the role 'assistent'"),
        ({"text": "a"}, "user", "holds no chats, and data.role = 'user' is for chats"),
        ({"messages": "Hi"}, "user", "holds no chats"),
    ],
)
def test_a_role_that_no_message_has_is_refused(tmp_path, row, role, words):
    """The message lists the roles that there are."""
    check_refused(write(tmp_path / "a.jsonl", json.dumps(row) + "\n"), words, role=role)


@pytest.mark.parametrize(
    "first",
    [
        {"messages": []},
        {"messages": [{"role": "assistant", "tool_calls": [1]}, {"role": "tool", "content": None}]},
        {"messages": [], "conversations": [{"from": "gpt", "value": ""}]},
    ],
)
def test_a_first_chat_without_texts_does_not_hide_the_others(tmp_path, first):
    """It may be empty, or call tools; a column with messages is preferred to an empty one."""
    name = "conversations" if "conversations" in first else "messages"
    keys = ("from", "value") if "conversations" in first else ("role", "content")
    second = {name: [dict(zip(keys, ("user", "Hi"), strict=True))]}
    rows = [json.dumps(row) for row in (first, second)]
    texts = [row["text"] for row in read_rows(write(tmp_path / "a.jsonl", "\n".join(rows)))]
    assert [text for text in texts if text] == ["Hi"]


def test_a_damaged_first_line_does_not_hide_the_chats(tmp_path):
    """The first row that can be read says whether the file holds chats."""
    good = json.dumps({"messages": MESSAGES})
    write(tmp_path / "a.jsonl", f"{good[:20]}\n{good}\n{good}\n")
    with open_rows((tmp_path / "a.jsonl").open("rb"), "a.jsonl", TableSettings()) as reader:
        rows = []
        for record in reader.records():
            with suppress(ValueError):
                rows.append(reader.row(record))
    assert [row["text"] for row in rows] == [m["content"] for m in MESSAGES] * 2


@pytest.mark.parametrize("rows", [{"text": ["a", "b"], "role": ["user", "assistant"]}])
def test_a_role_is_refused_for_a_table_from_python_without_chats(rows):
    """As it is for a file; its column of that name is a column like any other."""
    source = read_object_rows(rows, DataSettings(role="assistant"))["train"]
    with pytest.raises(DataError, match=r"holds no chats, and data\.role = 'assistant'"):
        list(source())


def test_a_row_that_is_no_chat_among_chats_is_refused(tmp_path):
    """The message names the line."""
    lines = [json.dumps({"messages": MESSAGES}), json.dumps({"messages": "Hi"})]
    check_refused(write(tmp_path / "a.jsonl", "\n".join(lines)), "line 2: holds 'Hi'")


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("a.txt", "a\n", {}),
        ("a.csv", "text,role\na,user\n", {}),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\na\n", {}),
        ("a.jsonl", json.dumps({"q": "a", "a": "b", "messages": MESSAGES}) + "\n", {"join": True}),
    ],
)
def test_a_role_is_refused_for_what_cannot_hold_chats(tmp_path, name, content, settings):
    """A column of a table that is called `role` is none, and joined columns are no chats."""
    joined = {"join_columns": ["q", "a"]} if settings else {}
    file = write(tmp_path / name, content)
    check_refused(file, "data.role is for chats", role="user", **joined)


def test_a_subtitle_goes_on_after_a_blank_line_whatever_it_says(tmp_path):
    """Notes and styles are blocks of .vtt alone."""
    cue = "1\n00:00:01,000 --> 00:00:02,000\nfoo\n\nNOTE this was said\n"
    assert [row["text"] for row in read_rows(write(tmp_path / "a.srt", cue))] == [
        "foo NOTE this was said"
    ]
    cue = cue.replace(",", ".")
    vtt = write(tmp_path / "a.vtt", f"WEBVTT\n\n{cue}")
    assert [row["text"] for row in read_rows(vtt)] == ["foo"]


def test_other_texts_need_not_have_the_shape_of_the_corpus(tmp_path):
    """A model that was trained on chats can read plain text."""
    assert read_rows(write(tmp_path / "a.txt", "a\n"), role="user") == [{"text": "a"}]
    assert read_rows(write(tmp_path / "a.csv", "text\na\n"), unit="file") == [{"text": "a"}]


def test_a_stream_numbers_the_messages_of_chats(tmp_path):
    """A resumed run therefore continues after the right message."""
    line = json.dumps({"messages": MESSAGES}) + "\n"
    file = write(tmp_path / "a.jsonl", line * 2)
    reader = StreamFileReader(DataSettings(role=None), ["text"])
    rows = [(number, row["text"]) for number, row in reader.read_rows(file, start=1)]
    assert rows == [(2, "Hello!"), (3, "Hi"), (4, "Hello!")]


def test_a_stream_says_how_it_reads_chats(tmp_path, capsys):
    """The sample of the stream says so before training starts."""
    lines = [{"messages": [{"role": "user", "content": s}]} for s in SENTENCES]
    write(tmp_path / "s" / "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    data = DataSettings(corpus=str(tmp_path / "s"), streaming=True)
    tokenizer = TokenizerSettings(kind="byte")
    prepare_stream(data, 1, tmp_path / "c", partial(build_tokenizer, tokenizer))
    noted = capsys.readouterr().err
    assert noted.count("each message under 'messages' is a text (20 of user)") == 1


def test_a_stream_reads_paragraphs(tmp_path):
    """The unit is a setting of the run."""
    file = write(tmp_path / "a.txt", "one\ntwo\n\nthree\n")
    reader = StreamFileReader(DataSettings(unit="paragraph"), ["text"])
    assert [row["text"] for _, row in reader.read_rows(file)] == ["one\ntwo", "three"]


NESTED = [{"meta": {"text": s, "mood": {"name": "ab"[n % 2]}}} for n, s in enumerate(SENTENCES)]


def test_a_nested_column_is_named_with_dots(tmp_path):
    """Labels may be nested, too."""
    file = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in NESTED))
    _, splits = prepared(
        tmp_path / "c", file, text_column="meta.text", label="meta.mood.name", held_out=0.1
    )
    assert set(splits["train"]["text"]) <= set(SENTENCES)
    assert set(splits["train"]["meta.mood.name"]) == {"a", "b"}


@pytest.mark.parametrize("column", ["meta.txt", "text", "meta.text.x", "meta.mood.nam", "."])
def test_a_missing_nested_column_is_refused_with_those_there_are(tmp_path, column):
    """The message lists them with dots."""
    file = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in NESTED))
    with pytest.raises(DataError, match=r"the columns are meta\.text, meta\.mood\.name\. Set"):
        prepared(tmp_path / "c", file, text_column=column)


def test_a_column_whose_own_name_has_a_dot_is_preferred(tmp_path):
    """A missing object has no values, rather than no columns."""
    rows = [{"a.b": s, "a": {"b": "other"}} for s in SENTENCES]
    file = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    counts, _ = prepared(tmp_path / "c", file, text_column="a.b")
    assert counts["cleaned"]["train"]["kept"] == len(SENTENCES)
