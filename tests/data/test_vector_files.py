"""Files of vectors: written block by block, and read at once."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textvae.cli.main import main
from textvae.data.vector_files import read_vectors, write_vectors
from textvae.errors import DataError, OutputError


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
@pytest.mark.parametrize("sizes", [[], [3], [1, 4, 2]])
def test_blocks_become_one_file(tmp_path, suffix, sizes):
    """Any number of blocks gives a file that numpy or pyarrow can read."""
    file = tmp_path / f"z.{suffix}"
    parts = [np.random.default_rng(n).normal(size=(n, 5)).astype("f4") for n in sizes]
    texts = [[f"text {number}" for number in range(size)] for size in sizes]
    assert write_vectors(file, zip(texts, parts, strict=True), 5) == sum(sizes)
    if suffix == "npy":
        loaded = np.load(file)
    else:
        table = pq.read_table(file)
        assert table["text"].to_pylist() == [text for block in texts for text in block]
        loaded = np.array(table["z"].to_pylist(), dtype="f4").reshape(-1, 5)
    np.testing.assert_array_equal(loaded, np.concatenate([np.empty((0, 5), "f4"), *parts]))
    if sizes:
        np.testing.assert_array_equal(read_vectors(str(file)), loaded)


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_a_blank_row_has_its_place_and_no_vector(tmp_path, suffix):
    """A missing vector is NaN or null in the file, and NaN when read; rows are counted across blocks."""
    file = tmp_path / f"z.{suffix}"
    vectors = np.arange(8, dtype="f4").reshape(4, 2)
    vectors[1] = np.nan
    write_vectors(file, iter([(["a", "", "b"], vectors[:3]), (["c"], vectors[3:])]), 2)
    if suffix == "parquet":
        assert pq.read_table(file).to_pylist()[1] == {"row": 2, "text": None, "z": None}
        assert pq.read_table(file)["row"].to_pylist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(read_vectors(str(file)), vectors)


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_an_interrupted_write_names_the_file_and_leaves_none(tmp_path, suffix):
    """No part of the file remains either."""

    def blocks():
        yield ["a"], np.zeros((1, 2), "f4")
        raise OSError("No space left on device")

    with pytest.raises(
        OutputError, match=r"z\.\w+: cannot be written: No space left on device\. Free some space"
    ):
        write_vectors(tmp_path / f"z.{suffix}", blocks(), 2)
    assert list(tmp_path.iterdir()) == []


def test_a_users_file_of_a_like_name_stays(tmp_path):
    """Temporary files do not replace a file of the user."""
    (tmp_path / ".z.npy").write_text("precious")
    write_vectors(tmp_path / "z.npy", [(["a"], np.zeros((1, 2), "f4"))], 2)
    assert (tmp_path / ".z.npy").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".z.npy", "z.npy"]


def test_two_encodings_into_one_file_do_not_mix(tmp_path):
    """Each encoding counts its own rows, and the last one to finish writes the file."""

    def blocks(value, rows):
        for _ in range(rows):
            yield ["a"], np.full((1, 2), value, "f4")

    def interrupted():
        yield from blocks(1, 2)
        assert write_vectors(tmp_path / "z.npy", blocks(2, 3), 2) == 3
        yield from blocks(1, 2)

    assert write_vectors(tmp_path / "z.npy", interrupted(), 2) == 4
    np.testing.assert_array_equal(read_vectors(str(tmp_path / "z.npy")), np.ones((4, 2), "f4"))


def test_the_input_file_is_not_overwritten(tiny_run, tmp_path, capsys):
    """A table of texts is named as input and as output by mistake."""
    file = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": ["a man rides a wave."]}), file)
    before = file.read_bytes()
    assert main(["encode", str(tiny_run), str(file), "--output", str(file), "--device", "cpu"]) == 2
    assert "is the file of sentences itself" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_file_without_vectors_is_refused(tmp_path):
    """The message is ours, not that of the library; a file without vectors is refused too."""
    (tmp_path / "text.npy").write_text("a man rides a wave.")
    with pytest.raises(
        DataError, match="contains no vectors; expected a file that `textvae encode` wrote"
    ):
        read_vectors(str(tmp_path / "text.npy"))
    np.save(tmp_path / "none.npy", np.zeros((0, 4), dtype=np.float32))
    with pytest.raises(DataError, match=r"shape \(0, 4\); expected \(n, latent\)"):
        read_vectors(str(tmp_path / "none.npy"))
