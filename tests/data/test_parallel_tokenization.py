"""Tokenizing in parallel processes: files and counts are the same as with one process."""

from typing import Any

import pytest

from tests.corpora import SENTENCES, TRICKY, prepared, write


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_any_number_of_processes_makes_the_same_corpus(tmp_path, monkeypatch, kind):
    """Blocks stay in order; duplicates and cuts are counted in each of them."""
    monkeypatch.setattr("textvae.data.parallel_tokenization.ROWS_PER_BLOCK", 7)
    write(tmp_path / "in" / "train.txt", "\n".join([*SENTENCES, *TRICKY] * 4))
    write(tmp_path / "in" / "test.txt", "\n".join(SENTENCES[:3]))
    corpus = str(tmp_path / "in")
    settings: dict[str, Any] = {"max_tokens": 6, "drop_duplicates": False}
    alone = prepared(tmp_path / "alone", corpus, kind, processes=1, **settings)
    together = prepared(tmp_path / "together", corpus, kind, processes=2, **settings)
    assert alone[0] == together[0]
    assert alone[0]["tokenized"]["train"]["also_held_out"] > 0
    for split in alone[1]:
        assert alone[1][split].to_list() == together[1][split].to_list()
        assert alone[1][split].features == together[1][split].features
    files = [tmp_path / name / "train.arrow" for name in ("alone", "together")]
    assert files[0].read_bytes() == files[1].read_bytes()
