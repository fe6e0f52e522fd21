"""Compressed files: what is inside counts, not the ending of the name."""

import gzip
import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.tables.reading import COMPRESSORS, check_refused, read_texts, zip_files

CONTENTS = {
    "a.txt": b"a man\na dog\n",
    "a.csv": b"text,n\na man,1\na dog,2\n",
    "a.tsv": b"n\ttext\n1\ta man\n2\ta dog\n",
    "a.jsonl": b'{"text": "a man"}\n{"text": "a dog"}\n',
    "a.json": b'[{"text": "a man"}, {"text": "a dog"}]',
}
TEXTS = ["a man", "a dog"]


def build_content(name):
    """Return the bytes of a file in the format of its name."""
    if name != "a.parquet":
        return CONTENTS[name]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("name", [*CONTENTS, "a.parquet"])
def test_every_format_is_read_from_every_compression(tmp_path, name, suffix):
    """The ending of the name may be that of the compression, or missing."""
    packed = COMPRESSORS[suffix](name, build_content(name))
    assert read_texts(tmp_path, name + suffix, packed) == TEXTS
    assert read_texts(tmp_path, name, packed) == TEXTS


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_compression_is_recognized_under_the_name_of_another(tmp_path, suffix):
    """Somebody has renamed the file."""
    packed = COMPRESSORS[suffix]("a.csv", CONTENTS["a.csv"])
    for wrong in COMPRESSORS:
        assert read_texts(tmp_path, f"a.csv{wrong}", packed) == TEXTS


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_file_that_is_not_compressed_may_be_named_as_if_it_were(tmp_path, suffix):
    """Some programs unpack a file and leave its name."""
    assert read_texts(tmp_path, f"a.csv{suffix}", CONTENTS["a.csv"]) == TEXTS


def test_a_file_may_be_compressed_twice(tmp_path):
    """An archive of a compressed file is common."""
    packed = zip_files({"folder/a.csv.gz": gzip.compress(CONTENTS["a.csv"])})
    assert read_texts(tmp_path, "download.zip", packed) == TEXTS


def test_what_file_managers_add_to_an_archive_is_no_member(tmp_path):
    """The archive then still holds a single file."""
    files = {
        "__MACOSX/._a.csv": b"\0",
        "in/": b"",
        "in/.DS_Store": b"x",
        "in/a.csv": b"text\na man\n",
    }
    assert read_texts(tmp_path, "a.zip", zip_files(files)) == ["a man"]


def test_one_file_of_an_archive_can_be_chosen(tmp_path):
    """Its own name says its format."""
    packed = zip_files({"a.csv": CONTENTS["a.csv"], "b/b.txt": b"the bird\n"})
    assert read_texts(tmp_path, "c.zip", packed, member="b/b.txt") == ["the bird"]
    assert read_texts(tmp_path, "c.zip", packed, member="a.csv") == TEXTS


def test_parquet_is_recognized_under_another_name(tmp_path):
    """As text it would be nonsense."""
    assert read_texts(tmp_path, "a.csv", build_content("a.parquet")) == TEXTS


def build_tar():
    """Return a compressed tar archive of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = 6
        archive.addfile(entry, io.BytesIO(b"a man\n"))
    return buffer.getvalue()


def encrypt(archive):
    """Return an archive with the flags of encryption, which are in two places."""
    data = bytearray(archive)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


BOTH = zip_files({"a.csv": b"text\na\n", "b.csv": b"text\nb\n"})


@pytest.mark.parametrize(
    ("name", "content", "words", "settings"),
    [
        ("a.zip", BOTH, "is a .zip archive of 2 files: a.csv, b.csv. Name one", {}),
        ("a.csv", BOTH, "is a .zip archive of 2 files", {}),
        ("a.zip", BOTH, "its archive holds no 'c.csv'; it holds a.csv, b.csv", {"member": "c.csv"}),
        ("a.txt", b"a man\n", "is no .zip archive, so it has no member 'b'", {"member": "b"}),
        ("a.zip", zip_files({}), "is a .zip archive without a file in it", {}),
        ("a.zip", zip_files({"in/": b""}), "is a .zip archive without a file in it", {}),
        ("a.zip", zip_files({"[Content_Types].xml": b""}), "is a document of an office", {}),
        ("b.zip", zip_files({"mimetype": b"", "content.xml": b""}), "is a document of an", {}),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0\4", "is a 7-Zip archive, which textvae does not open", {}),
        ("a.rar", b"Rar!\x1a\x07\x01\0", "is a RAR archive, which textvae does not open", {}),
        ("a.Z", b"\x1f\x9d\x90abc", "is compressed with compress, which textvae does not", {}),
        ("a.tar.gz", build_tar(), "is a tar archive, which textvae does not open; unpack it", {}),
        ("a.tar", gzip.decompress(build_tar()), "is a tar archive", {}),
        ("a.zip", encrypt(zip_files({"a.txt": b"a man\n"})), "is an encrypted archive; unpack", {}),
        ("a.zip", BOTH[:-30], "its zip compression is damaged", {}),
    ],
    # The contents have the time at which they were packed, so they cannot name a test.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_that_cannot_be_read_is_refused(tmp_path, name, content, words, settings):
    """The message says what it is and what to do."""
    check_refused(tmp_path, name, content, words, **settings)


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_cut_off_file_is_refused_with_the_kind_of_its_compression(tmp_path, suffix):
    """An interrupted download must not be read as a short corpus."""
    lines = "".join(f"line {number * 7919}\n" for number in range(9000)).encode()
    packed = COMPRESSORS[suffix]("a.txt", lines)
    check_refused(tmp_path, f"a.txt{suffix}", packed[: len(packed) // 2], "compression is damaged")
