"""The layout of tables: separators, names of columns, numbers of columns, joined columns."""

import pytest

from tests.data.tables.reading import check_refused, read_rows, read_texts
from textvae.data.settings import DataSettings
from textvae.data.tables import TableSettings
from textvae.errors import ConfigError
from textvae.schema import validate_settings

NAMED = "id;text;label\n1;a man, old;x\n2;a dog;y\n"
NUMBERED = "1;a man, old;x\n2;a dog;y\n"
TEXTS = ["a man, old", "a dog"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.psv", "a.tab", "A.CSV"])
@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_the_separator_is_found_in_the_line_of_names(tmp_path, name, separator):
    """The texts have commas, and the name of the file may promise another separator."""
    content = NAMED.replace(";", separator)
    assert read_rows(tmp_path, name, content) == [
        {"id": "1", "text": "a man, old", "label": "x"},
        {"id": "2", "text": "a dog", "label": "y"},
    ]


def test_a_comma_in_a_tsv_separates_cells_if_the_names_say_so(tmp_path):
    """Somebody has named a table with commas .tsv."""
    assert read_texts(tmp_path, "a.tsv", "id,text\n1,a man\n") == ["a man"]


@pytest.mark.parametrize("header", [b"\xef\xbb\xbf", b""])
def test_quoted_names_and_a_byte_order_mark_do_not_hide_the_column(tmp_path, header):
    """Both come from spreadsheets."""
    content = header + b'"text";"n"\n"a; b";1\n'
    assert read_rows(tmp_path, "a.csv", content) == [{"text": "a; b", "n": "1"}]


@pytest.mark.parametrize(
    ("word", "sign"),
    [("semicolon", ";"), ("pipe", "|"), ("tab", "\t"), ("colon", ":"), ("~", "~"), ("space", " ")],
)
def test_a_separator_of_the_settings_makes_a_table_of_any_file(tmp_path, word, sign):
    """The name of the file need not end in .csv."""
    content = f"id{sign}text\n1{sign}man\n"
    assert read_texts(tmp_path, "a.txt", content, separator=word) == ["man"]
    assert read_texts(tmp_path, "a.csv", content, separator=word) == ["man"]


def test_a_first_line_that_tells_the_separator_is_no_row(tmp_path):
    """Spreadsheets write it; lines are counted with it."""
    content = "sep=;\nid;text\n1;a man, old\n2\n"
    check_refused(tmp_path, "a.csv", content, "line 4: has 1 field, and the first line names 2")
    assert read_texts(tmp_path, "a.csv", content[:-2]) == ["a man, old"]
    assert read_texts(tmp_path, "a.csv", "sep=;\n1;a\n", header=False, text_column=2) == ["a"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_spaces_around_the_name_of_the_column_do_not_hide_it(tmp_path, name):
    """In JSON they are part of the name."""
    content = "id; my text \n1;a man\n" if name == "a.csv" else '{" my text ": "a man"}\n'
    assert read_texts(tmp_path, name, content, text_column=" my text ") == ["a man"]


@pytest.mark.parametrize("word", ["", "ab", ",,", '"', "\n", "colons"])
def test_a_separator_that_cannot_separate_is_refused(word):
    """The message lists the words that can be used."""
    with pytest.raises(ConfigError, match=r"data\.separator = .*tab, comma, semicolon"):
        validate_settings(TableSettings, {"separator": word}, "data")


def test_separators_that_are_equally_likely_are_refused(tmp_path):
    """Nothing but the user knows which one divides the cells."""
    content = "1;a man, old\n2;a dog, young\n"
    words = "may have cells that are separated by comma or semicolon; say which: data.separator="
    check_refused(tmp_path, "a.csv", content, words, header=False, text_column=2)
    options = {"header": False, "text_column": 2, "separator": ";"}
    assert read_texts(tmp_path, "a.csv", content, **options) == ["a man, old", "a dog, young"]


@pytest.mark.parametrize("content", [NUMBERED, "a man\na dog\n", NUMBERED.replace(";", "\t")])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_first_line_without_the_column_of_texts_is_not_lost(tmp_path, name, content):
    """A table without names is refused until the settings say that it has none."""
    check_refused(tmp_path, name, content, "line 1: there is no column 'text'; the columns are")
    check_refused(tmp_path, name, content, "set data.header=false (--no-header)")


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_columns_without_names_are_called_by_their_numbers(tmp_path, separator):
    """The first line is a row like the others."""
    content = NUMBERED.replace(";", separator)
    rows = read_rows(tmp_path, "a.csv", content, header=False, text_column=2)
    assert rows == [{"1": "1", "2": "a man, old", "3": "x"}, {"1": "2", "2": "a dog", "3": "y"}]


def test_the_only_column_of_a_table_without_names_holds_the_texts(tmp_path):
    """Its number need not be given."""
    assert read_texts(tmp_path, "a.csv", "a man\na dog\n", header=False) == ["a man", "a dog"]


def test_a_number_counts_columns_also_if_they_have_names(tmp_path):
    """The settings say that the first line names the columns, so that it is not a row."""
    assert read_texts(tmp_path, "a.csv", NAMED, header=True, text_column=2) == TEXTS
    names = NAMED.replace("text", "2")
    assert read_texts(tmp_path, "a.csv", names, header=True, text_column="2") == TEXTS


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text_column": 2}, "say whether this line (id, text, label) names the columns"),
        ({"text_column": 4, "header": True}, "there is no column '4'; the columns are id, text"),
        ({"text_column": 0, "header": True}, "there is no column '0'; the columns are id, text"),
        ({"text_column": 4, "header": False}, "Give the number of the column, 1 to 3"),
        ({"text_column": -1, "header": True}, "there is no column '-1'"),
        ({"header": False}, "Give the number of the column, 1 to 3: data.text_column"),
        ({"text_column": "texts"}, "there is no column 'texts'; the columns are id, text, label."),
        ({"text_column": "texts"}, "Did you mean 'text'?"),
        ({"text_column": "Text"}, "there is no column 'Text'"),
        ({"join_columns": ["id", "body"]}, "there is no column 'body'; the columns are id, text"),
        ({"join_columns": ["1", "4"], "header": False}, "1 to 3: data.join_columns"),
    ],
)
def test_a_column_that_does_not_exist_is_refused_with_those_that_do(tmp_path, settings, words):
    """The message says what to set."""
    check_refused(tmp_path, "a.csv", NAMED, words, **settings)


def test_thousands_of_columns_are_read_and_a_message_lists_the_first_ones(tmp_path):
    """A message of thousands of names would hide what it says."""
    names = ",".join(f"c{number}" for number in range(5000))
    check_refused(tmp_path, "a.csv", f"{names}\n", "c29 and 4,970 more. Set data.text_column.")
    rows = read_rows(tmp_path, "a.csv", f"text,{names}\na man,{names}\n")
    assert rows[0]["text"] == "a man"
    assert rows[0]["c4999"] == "c4999"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_separator_at_the_end_of_every_row_adds_nothing(tmp_path, name):
    """Some programs end each row with one, with or without the line of names."""
    sign = "," if name == "a.csv" else "\t"
    for lines in (
        ["text,n,", "a,1,", "b,2,"],
        ["text,n", "a,1,", "b,2,"],
        ["text,n,", "a,1", "b,2"],
    ):
        rows = read_rows(tmp_path, name, "\n".join(lines).replace(",", sign))
        assert [(row["text"], row["n"]) for row in rows] == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,n\na,1,\nb,2\n", "line 3: has 2 fields, and the first row has 3."),
        ("text,n\na,1,\nb,2,x\n", "line 3: has 3 fields, and the first row has 3"),
        ("text,n\na,1\nb,2,\n", "line 3: has 3 fields, and the first line names 2 columns."),
        ("text,n\na,1,x\n", "line 2: has 3 fields, and the first line names 2 columns."),
        ("text,n\na\n", "line 2: has 1 field, and the first line names 2 columns."),
        ("text\na, b\n", "line 2: has 2 fields, and the first line names 1 column."),
        ("text,n,text\na,1,b\n", "line 1: names the column 'text' twice"),
        ("text;n;n\na;1;b\n", "line 1: names the column 'n' twice"),
    ],
)
def test_rows_of_another_length_are_refused_with_their_line(tmp_path, content, words):
    """A text with a separator in it must not lose its end."""
    check_refused(tmp_path, "a.csv", content, words)


def test_a_row_of_another_length_in_a_table_without_names_is_refused(tmp_path):
    """The first row says how many cells a row has."""
    words = "line 2: has 3 fields, and the first row has 2."
    check_refused(tmp_path, "a.csv", "1,a\n2,b,c\n", words, header=False, text_column=2)


@pytest.mark.parametrize("cell", ["NA", "null", "nan", "None", "true", "False", "-", "0x1F", "1_0"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_words_for_missing_values_and_truth_are_texts(tmp_path, name, cell):
    """A cell is its characters."""
    head = "" if name == "a.txt" else "text\n"
    assert read_texts(tmp_path, name, f"{head}{cell}\n{cell}\n") == [cell, cell]


@pytest.mark.parametrize("cells", [["007", "008"], ["00", "01"], ["0123", "7"]])
def test_digits_that_begin_with_zero_are_codes_and_so_texts(tmp_path, cells):
    """No amount is written like that."""
    assert read_texts(tmp_path, "a.csv", "text\n" + "\n".join(cells) + "\n") == cells


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_texts_of_several_columns_are_joined_if_asked(tmp_path, name):
    """An empty cell adds no space."""
    content = "title;n;body\nNews;1;It rains.\n;2;Later, more.\nEnd;3;\n"
    if name == "a.jsonl":
        content = (
            '{"title": "News", "body": "It rains."}\n'
            '{"title": null, "body": "Later, more."}\n{"title": "End", "body": ""}\n'
        )
    expected = ["News It rains.", "Later, more.", "End"]
    assert read_texts(tmp_path, name, content, join_columns=["title", "body"]) == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"join_columns": ["a", "b"], "text_column": "c"}, "leave one of the two out"),
        ({"join_columns": ["a", "a"]}, "names a column twice"),
        ({"text_column": " "}, "is blank; name the column, or give its number"),
        ({"text_column": ""}, "is blank; name the column"),
        ({"text_column": True}, "data.text_column = True does not fit"),
        ({"text_column": 1.5}, "data.text_column = 1.5 does not fit"),
        ({"text_column": None}, "data.text_column = None does not fit"),
        ({"header": "perhaps"}, "data.header = 'perhaps' does not fit"),
        ({"format": "xlsx"}, "data.format = 'xlsx' does not fit"),
        ({"quoting": "double"}, "data.quoting = 'double' does not fit"),
        ({"encodng": "utf-8"}, "did you mean 'encoding'?"),
    ],
)
def test_settings_that_contradict_or_do_not_fit_are_refused(values, words):
    """The message names the setting."""
    with pytest.raises(ConfigError) as refused:
        validate_settings(TableSettings, values, "data")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.txt", "id\ttext\n1\ta man\n", "tab"),
        ("a.dat", "id|text\n1|a man\n", "pipe"),
        ("a", '"text";"n"\na man;1\n', "semicolon"),
        ("a.txt", "text,label\na man,1\n", "comma"),
    ],
)
def test_a_text_file_that_looks_like_a_table_is_refused(tmp_path, name, content, word):
    """Otherwise its names and labels would become sentences."""
    words = f"looks like a table: its first line names the column 'text'. Set data.separator={word}"
    check_refused(tmp_path, name, content, words)
    assert read_texts(tmp_path, name, content, separator=word) == ["a man"]
    assert len(read_texts(tmp_path, name, content, format="txt")) == 2


@pytest.mark.parametrize("name", ["a.txt", "a", "dump.log"])
def test_a_text_file_of_json_objects_is_refused(tmp_path, name):
    """Braces and keys are hardly meant as sentences."""
    content = '{"text": "a man"}\n{"text": "a dog"}\n'
    check_refused(tmp_path, name, content, "Set data.format=jsonl (--format jsonl)")
    assert read_texts(tmp_path, name, content, format="jsonl") == ["a man", "a dog"]
    assert read_texts(tmp_path, name, content, format="txt") == content.splitlines()


@pytest.mark.parametrize("name", ["a.txt", "a", "labels.dat"])
def test_a_text_file_whose_lines_all_have_a_tab_is_refused(tmp_path, name):
    """Its labels would become the first words of the sentences."""
    lines = [f"{label}\tsentence {label}, and more" for label in "abcdef"]
    content = "\n".join(lines) + "\n"
    words = "looks like a table: each of its first lines has 2 cells, separated by tabs. Set data"
    check_refused(tmp_path, name, content, words)
    table = {"separator": "tab", "header": False, "text_column": 2}
    assert read_texts(tmp_path, name, content, **table)[0] == "sentence a, and more"
    assert read_texts(tmp_path, name, content, format="txt") == lines


@pytest.mark.parametrize("line", ["text, and more of it", "{}", "{a set}", "id | a text", "text"])
def test_prose_is_not_taken_for_a_table(tmp_path, line):
    """A word and a sign alone do not make names of columns."""
    assert read_texts(tmp_path, "a.txt", f"{line}\nmore\n") == [line, "more"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_a_text_of_a_million_characters_is_read_as_any_other(tmp_path, name):
    """Cleaning cuts it later."""
    text = "word " * 200_000 + "end"
    content = {
        "a.csv": f'text,n\n"{text}",1\nshort,2\n',
        "a.jsonl": f'{{"text": "{text}"}}\n{{"text": "short"}}\n',
        "a.txt": f"{text}\nshort\n",
    }[name]
    assert read_texts(tmp_path, name, content) == [text, "short"]


def test_labels_of_a_table_without_names_are_in_numbered_columns(tmp_path):
    """Their numbers are written as numbers, as that of the text is."""
    settings = DataSettings(header=False, text_column=2, label_columns=[1])
    assert (settings.text_column, settings.label_columns) == ("2", ["1"])
