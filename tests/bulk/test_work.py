"""Bulk jobs give the same numbers and texts as `TextVAE`, with each row joined to its source."""

import numpy as np
import pytest

from tests.bulk.shards import ROWS, rows_in, work, write_files
from tests.tiny_run import SENTENCES
from textvae import bulk
from textvae.bulk.units import Unit, cut_units, derive_unit_seed
from textvae.errors import ConfigError
from textvae.vae import TextVAE


@pytest.fixture(scope="module")
def vae(tiny_run):
    return TextVAE.from_pretrained(tiny_run, "cpu")


@pytest.fixture
def corpus(tmp_path):
    return write_files(tmp_path / "corpus")


def test_bulk_encoding_equals_encoding(vae, tiny_run, corpus, tmp_path):
    """Rows are in the order of files and lines; blank ones are left out but counted."""
    rows = work("encode", tiny_run, tmp_path / "out", corpus)
    assert [row["text"] for row in rows] == SENTENCES[:60]
    np.testing.assert_allclose([row["z"] for row in rows], vae.encode(SENTENCES[:60]), atol=1e-5)
    sources = [(row["file"], row["row"]) for row in rows]
    assert sources[:4] == [("a.txt", 1), ("a.txt", 2), ("a.txt", 4), ("a.txt", 5)]
    assert sources[20:22] == [("b.txt.gz", 1), ("b.txt.gz", 2)]
    assert sources[-1] == ("c.jsonl", 15)


def test_the_size_of_the_shards_changes_no_row(tiny_run, corpus, tmp_path):
    """One shard per file, or many shards, contain the same rows."""
    few = work("encode", tiny_run, tmp_path / "few", corpus, shard_rows=1000)
    many = work("encode", tiny_run, tmp_path / "many", corpus, shard_rows=3)
    for key in ("file", "row", "text"):
        assert [row[key] for row in few] == [row[key] for row in many]
    np.testing.assert_allclose([row["z"] for row in few], [row["z"] for row in many], atol=1e-5)


def test_bulk_scores_equal_the_scores_of_single_sentences(vae, tiny_run, corpus, tmp_path):
    """They do not depend on the unit of a sentence."""
    rows = work("score", tiny_run, tmp_path / "out", corpus, samples=3, seed=5)
    for row in rows[:: 2 * ROWS]:
        record = vae.score(row["text"], samples=3, seed=5)[0]
        for key in ("elbo", "elbo_stderr", "kl", "iw_nll", "surprisal"):
            assert row[key] == pytest.approx(record[key], rel=1e-4)


def test_bulk_texts_equal_texts_with_the_seed_of_the_unit(vae, tiny_run, tmp_path):
    """Rows are numbered across shards, and every row has the seed of its unit."""
    rows = work("generate", tiny_run, tmp_path / "out", n=10, temperature=0.9)
    assert [row["row"] for row in rows] == list(range(1, 11))
    expected = vae.generate(3, temperature=0.9, seed=rows[ROWS]["seed"])
    assert [row["text"] for row in rows[ROWS:]] == expected
    assert rows[0]["seed"] != rows[ROWS]["seed"]


@pytest.mark.parametrize("verb", ["encode", "score"])
def test_blank_and_cut_rows_are_reported_each_time(tiny_run, corpus, tmp_path, capsys, verb):
    """They are named by file and row, even when all shards exist; the record counts them."""
    long_text = "a man rides a wave. " * 100
    (corpus / "d.txt").write_text(long_text)
    out = tmp_path / "out"
    for _ in range(2):
        record = bulk.run(verb, tiny_run, out, str(corpus), shard_rows=ROWS, device="cpu")
        assert record is not None
        assert (record["blank"], record["cut"]) == (1, 1)
        notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note")]
        assert "1 of 62 rows is blank (row 3 of a.txt): left out." in notes[-2]
        assert "1 text is longer than the model reads (row 1 of d.txt)" in notes[-1]
    assert [row["text"] for row in rows_in(out) if row["is_cut"]] == [long_text.strip()]


def test_units_cover_every_row_once():
    """A unit has rows of one file only, and at most as many as the limit."""
    files = [("a", 5), ("b", 0), ("c", 9)]
    units = list(cut_units(files, 4))
    assert [unit.number for unit in units] == list(range(5))
    assert max(unit.rows for unit in units) <= 4
    covered = [(unit.file, unit.first_row + row) for unit in units for row in range(unit.rows)]
    assert covered == [(file, row) for file, rows in files for row in range(rows)]


def test_the_seeds_of_units_and_of_jobs_differ():
    """The seeds of one job are not those of another job shifted by some units."""
    units = [Unit(number, 0, 1) for number in range(50)]
    seeds = {derive_unit_seed(unit, seed) for unit in units for seed in range(50)}
    assert len(seeds) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_finished_job_writes_nothing_when_it_is_repeated(tiny_run, corpus, tmp_path):
    """The finished shards are not touched."""
    out = tmp_path / "out"
    work("encode", tiny_run, out, corpus)
    before = {file: file.stat().st_mtime_ns for file in out.glob("part-*")}
    record = bulk.run("encode", tiny_run, out, str(corpus), shard_rows=ROWS, device="cpu")
    assert record is not None
    assert (record["written_now"], record["shards"], record["rows"]) == (0, 10, 61)
    assert {file: file.stat().st_mtime_ns for file in out.glob("part-*")} == before


def test_a_lost_shard_is_made_again_and_no_other(tiny_run, corpus, tmp_path):
    """The rows are the same as before."""
    out = tmp_path / "out"
    before = work("score", tiny_run, out, corpus, samples=2)
    (out / "part-00004.parquet").unlink()
    record = bulk.run("score", tiny_run, out, str(corpus), shard_rows=ROWS, device="cpu", samples=2)
    assert record is not None
    assert record["written_now"] == 1
    assert rows_in(out) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verb": "encod"}, "verb = 'encod' is unknown: did you mean 'encode'"),
        ({"engine": "spark"}, "engine = 'spark' is unknown: Choose from accelerate, ray"),
        ({"shard_rows": 0}, "shard_rows = 0"),
        ({"samples": 3}, "encode.samples is not a setting"),
        ({"verb": "score", "samples": 1}, "score.samples = 1 does not fit"),
        ({"verb": "generate", "n": 0}, "n = 0: expected a whole number, 1 or more"),
        ({"verb": "generate", "n": 10**18}, "expected at most 10,000,000 shards"),
        ({"corpus": None}, "corpus = None: encode reads sentences"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_written(
    tiny_run, corpus, tmp_path, changes, message
):
    """The message names the nearest known name where there is one."""
    out = tmp_path / "out"
    request = {"verb": "encode", "model": tiny_run, "output": out, "corpus": str(corpus)}
    with pytest.raises(ConfigError, match=message):
        bulk.run(**(request | changes))
    assert not out.exists()


def test_scores_that_depend_on_labels_are_refused(labelled_run, corpus, tmp_path):
    """Units read no labels; nothing is written."""
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"depend on the label of a sentence.*--output out"):
        bulk.run("score", labelled_run, out, str(corpus), device="cpu")
    assert not out.exists()
