"""Word vectors in text files: the formats that are read, and what is refused."""

import bz2
import gzip
import io
import lzma
import struct
import zipfile

import pytest

from textvae.data.vector_text import open_vector_file
from textvae.errors import DataError

READ = {
    "GloVe": "the 0.1 -2\n, 3e-1 4\n",
    "word2vec and fastText": "2 2\nthe 0.1 -2 \n, 3e-1 4 \n",
    "tabs": "the\t0.1\t-2\n,\t3e-1\t4\n",
    "line ends of Windows": "2 2\r\nthe 0.1 -2\r\n, 3e-1 4\r\n",
    "a byte order mark": "\ufeffthe 0.1 -2\n, 3e-1 4\n",
    "no line feed at the end": "the 0.1 -2\n, 3e-1 4",
}


def write(folder, content, name="vectors.txt"):
    """Write a file of word vectors."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("case", READ)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_each_text_format_gives_words_and_vectors(tmp_path, case, compress):
    """Compressed or not, whatever the file is called."""
    file = write(tmp_path, compress(READ[case].encode()))
    opened = open_vector_file(file)
    assert opened.size == 2
    assert list(opened.read()) == [("the", [0.1, -2.0]), (",", [0.3, 4.0])]


@pytest.mark.parametrize("header", ["", "4 2\n"])
def test_words_may_contain_blanks_and_other_separators(tmp_path, header):
    """As in GloVe, which has `. . .`, and in fastText, which has no-break spaces and the like."""
    words = ["the", ". . .", "at name@domain.com", "10\u00a0000", "a\u2028b\u0085c"]
    text = header.replace("4", "5") + "".join(f"{word} 0.5 1\n" for word in words)
    opened = open_vector_file(write(tmp_path, text))
    assert [word for word, _ in opened.read()] == words


def test_a_number_may_be_a_word(tmp_path):
    """Also a decimal number, and as the first word."""
    opened = open_vector_file(write(tmp_path, "7 1.0 2.0\n0.5 3.0 4.0\n2 3 4\n"))
    assert list(opened.read()) == [("7", [1.0, 2.0]), ("0.5", [3.0, 4.0]), ("2", [3.0, 4.0])]


def test_fewer_words_than_the_first_line_announces_are_noted(tmp_path, capsys):
    """The file may be cut off, or cut on purpose."""
    list(open_vector_file(write(tmp_path, "1000 2\nthe 1 2\n")).read())
    assert (
        "announces 1,000 words, but there are 1; is the file complete?" in capsys.readouterr().err
    )


def make_zip(*names):
    """Return a zip archive of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, "the 1 2\n")
    return packed.getvalue()


def test_a_zip_archive_of_one_file_is_read(tmp_path):
    """As an unpacked file is."""
    assert open_vector_file(write(tmp_path, make_zip("vectors.txt"))).size == 2


WORD2VEC = b"2 3\nthe " + struct.pack("<3f", 0.1, -2, 7) + b"\na " + struct.pack("<3f", 1, 2, 3)

BAD = {
    "an empty file": ("", "holds no word vectors"),
    "a blank line first": ("\n\n", "holds no word vectors"),
    "a first line alone": ("2 2\n", "holds no word vectors after its first line"),
    "vectors of no numbers": ("2 0\nthe\n", "holds no word vectors after its first line"),
    "sentences": ("a man rides\na dog\n", "line 1: got 'a man rides'; expected one word"),
    "a list of words": ("the\na\n", "line 1: got 'the'"),
    "another size than announced": ("2 3\nthe 1 2\n", "announces 3 numbers .* line 2 has 2"),
    "a short line": ("the 1 2\na 3\n", "line 2: expected a word and 2 numbers, got 'a 3'"),
    "a long line": ("the 1.5 2.5\na 3.5 4.5 5.5\n", "line 2: expected a word and 2 numbers"),
    "a blank line": ("the 1 2\n\na 3 4\n", "line 2: expected a word and 2 numbers, got ''"),
    "a line without a word": ("the 1 2\n 3 4\n", "line 2: expected a word and 2"),
    "text in place of a number": ("the 1 2\na 3 x\n", "line 2: .* got 'a 3 x'"),
    "a decimal comma": ("the 1 2\na 0,5 0,25\n", "line 2: .*0,5"),
    "a number that is not finite": ("the 1 2\na nan 4\n", "line 2: .* got 'a nan 4'"),
    "an infinite number": ("the 1 2\na inf 4\n", "line 2"),
    "a table with commas": ("the,1,2\na,3,4\n", "line 1: got 'the,1,2'"),
    "Latin-1": ("the 1 2\né 3 4\n".encode("latin-1"), "line 2: is not UTF-8"),
    "word2vec's binary format": (WORD2VEC, "binary format. Convert it with gensim"),
    "a damaged zip archive": (b"PK\x03\x04\x14\x00", "archive|damaged"),
    "a zip archive of two files": (make_zip("a.txt", "b.txt"), "is an archive .*; unpack it"),
    "a pickle": (b"\x80\x04\x95\x00", "is a pickle, as gensim saves it"),
    "a model of fastText": (b"\xba\x16\x4f\x2f\x0c\x00\x00", "name the .vec file"),
    "an array of numpy": (b"\x93NUMPY\x01\x00", "is an array of numpy"),
    "other binary data": (b"\x00\x01\x02\x00" * 9, "is not a text file"),
    "gzip that is cut off": (gzip.compress(b"the 1 2\n" * 99)[:-12], "gzip compression is damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_word_vectors_is_refused(tmp_path, case):
    """The message names the file, and the line if one is malformed."""
    content, message = BAD[case]
    file = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        list(open_vector_file(file).read())
    assert str(file) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    """Neither holds vectors."""
    for path in (tmp_path, tmp_path / "absent.txt"):
        with pytest.raises(DataError, match="there is no such file of word vectors"):
            open_vector_file(path)
