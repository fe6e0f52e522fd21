"""Encodings: UTF-8 and marked files are read, others only if the settings say how."""

import pytest

from tests.data.tables.reading import check_refused, read_rows, read_texts
from textvae.data.tables import TableSettings
from textvae.data.tables.encodings import guess_encodings
from textvae.errors import ConfigError
from textvae.schema import validate_settings

MARKED = ["utf-8-sig", "utf-16", "utf-32"]
UNMARKED = ["utf-16-le", "utf-16-be", "cp1252", "iso8859-15"]
CONTENTS = {
    "a.txt": "naïve café\nfür Elise\n",
    "a.csv": "text;n\nnaïve café;1\nfür Elise;2\n",
    "a.tsv": "text\tn\nnaïve café\t1\nfür Elise\t2\n",
    "a.jsonl": '{"text": "naïve café"}\n{"text": "für Elise"}\n',
    "a.json": '[{"text": "naïve café"},\n{"text": "für Elise"}]\n',
}
TEXTS = ["naïve café", "für Elise"]


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("name", CONTENTS)
def test_a_byte_order_mark_tells_the_encoding(tmp_path, name, encoding):
    """The mark itself is not part of a text or of a column's name."""
    assert read_texts(tmp_path, name, CONTENTS[name].encode(encoding)) == TEXTS
    assert read_texts(tmp_path, name, CONTENTS[name].encode(encoding), encoding=encoding) == TEXTS


@pytest.mark.parametrize("mark", [b"\xfe\xff", b""])
@pytest.mark.parametrize("name", CONTENTS)
def test_a_mark_with_the_high_byte_first_is_read_too(tmp_path, name, mark):
    """Without the mark, the settings must say so."""
    settings = {} if mark else {"encoding": "utf-16-be"}
    content = mark + CONTENTS[name].encode("utf-16-be")
    assert read_texts(tmp_path, name, content, **settings) == TEXTS


@pytest.mark.parametrize("encoding", UNMARKED)
@pytest.mark.parametrize("name", CONTENTS)
def test_another_encoding_is_read_if_the_settings_name_it(tmp_path, name, encoding):
    """Without the setting, the file is refused."""
    content = CONTENTS[name].encode(encoding)
    check_refused(tmp_path, name, content, "data.encoding")
    assert read_texts(tmp_path, name, content, encoding=encoding) == TEXTS


@pytest.mark.parametrize("text", ["a man\n", "今天天气很好。\n我们走\n", "Привет\nмир\n"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_refused_with_its_name(tmp_path, text, encoding):
    """Every second byte of its line feeds is NUL, in whatever script the text is."""
    words = f"looks like {encoding} without a byte order mark; set data.encoding={encoding}"
    check_refused(tmp_path, "a.txt", text.encode(encoding), words)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "naïve café"),
        ("cp1252", "It’s “so” – für €5"),
        ("cp1250", "Zażółć gęślą jaźń"),
        ("cp1250", "Příliš žluťoučký kůň"),
        ("cp1251", "Привет, как дела?"),
        ("cp1251", "ПРИВЕТ"),
        ("koi8_r", "Привет, как дела?"),
        ("cp866", "Привет, как дела?"),
        ("cp1253", "Καλημέρα κόσμε, τι κάνεις;"),
        ("cp1254", "güneş ışığı çok güzel"),
        ("cp932", "今日はいい天気です。"),
        ("euc_jp", "今日はいい天気です。"),
        ("gb18030", "今天天气很好，我们去公园。"),
        ("big5", "今天天氣很好，我們去公園。"),
        ("cp949", "안녕하세요 오늘은 날씨가 좋습니다"),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_with_an_encoding_that_fits(tmp_path, encoding, text):
    """The message shows how the line reads, so that the user can judge."""
    words = "a.txt, line 2: is not UTF-8 (byte "
    content = f"plain\n{text}\n".encode(encoding)
    check_refused(tmp_path, "a.txt", content, words)
    check_refused(tmp_path, "a.txt", content, f"n {encoding} (")
    check_refused(tmp_path, "a.txt", content, f"it reads {text[:40]!r}")
    assert read_texts(tmp_path, "a.txt", content, encoding=encoding) == ["plain", text]


def test_shift_jis_has_the_names_that_users_know(tmp_path):
    """Python has several names for an encoding."""
    content = "今日は\n".encode("shift_jis")
    for name in ("shift_jis", "Shift-JIS", "sjis", "cp932"):
        assert read_texts(tmp_path, "a.txt", content, encoding=name) == ["今日は"]


@pytest.mark.parametrize("line", [b"\x89PNG\r\n\x1a", b"\xff\xfe\xfd\0\1", b"\xe9\0\xe9"])
def test_bytes_that_are_no_text_have_no_encoding(line):
    """Every byte means something in some code page."""
    assert guess_encodings(line) == {}


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (b"fine\nbad \x81\n", "cp1252", "line 2: is not cp1252: bytes of this line stand for no"),
        (b"fine\nbad \xff\xff\n", "shift_jis", "line 2: is not shift_jis"),
        ("a\n".encode("utf-8-sig"), "cp1252", "begins with the byte order mark of utf-8, and"),
        ("a\n".encode("utf-16"), "utf-8", "begins with the byte order mark of utf-16-le, and"),
        ("a\n".encode("utf-16-le"), "utf-16", "set data.encoding=utf-16-le or utf-16-be"),
        ("plain\ncafé\n".encode(), "cp1252", "is UTF-8, and data.encoding is cp1252, in which"),
        ("今日は\nいい\n".encode(), "shift_jis", "is UTF-8, and data.encoding is shift_jis"),
        (("a\n" * 300_000 + "é\n").encode(), "latin-1", "is UTF-8, and data.encoding is iso8859-1"),
        (
            "un café\n".encode() * 50 + b"na\xefve\n",
            "cp1252",
            "nonsense; but 1 line near its beginning cannot be read as UTF-8: repair such lines",
        ),
        (b"a\n", "utf-32", "set data.encoding=utf-32-le or utf-32-be"),
        (b"caf\xe9\n", "ascii", "line 1: is not UTF-8"),
    ],
)
def test_an_encoding_that_does_not_fit_the_file_is_refused(tmp_path, content, encoding, words):
    """No text is decoded to something else without a word."""
    check_refused(tmp_path, "a.txt", content, words, encoding=encoding)


def test_a_line_that_happens_to_be_utf8_does_not_refuse_the_encoding(tmp_path):
    """An accent at the end of a line is no cut character of UTF-8."""
    content = b"caf\xe9\n" * 4 + "déjà\n".encode()
    rows = read_rows(tmp_path, "a.txt", content, encoding="cp1252")
    assert [row["text"] for row in rows] == ["café"] * 4 + ["dÃ©jÃ\xa0"]


@pytest.mark.parametrize("name", ["cp9999", "base64", "rot13", "utf-7", "idna", "", "latin 99"])
def test_an_unknown_encoding_is_refused(name):
    """The message has examples."""
    with pytest.raises(ConfigError, match=r"data\.encoding = .* is unknown.*cp1252"):
        validate_settings(TableSettings, {"encoding": name}, "data")


@pytest.mark.parametrize("size", [1, 2, 3, 262_143, 262_144, 262_145])
def test_characters_on_the_border_of_two_blocks_are_whole(tmp_path, size):
    """A file is converted block by block."""
    text = "é" * size + "今"
    rows = read_rows(tmp_path, "a.txt", f"{text}\nend\n".encode("utf-16"))
    assert [row["text"] for row in rows] == [text, "end"]
