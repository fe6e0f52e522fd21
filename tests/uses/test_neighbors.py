"""Neighbors: found by cosine, saved on disk, and searched by the model that built the index."""

import json
import shutil

import numpy as np
import pytest

from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.uses import neighbors
from textvae.uses.settings import IndexSettings
from textvae.vae import TextVAE


@pytest.fixture
def indexed(vae, tmp_path) -> TextVAE:
    """A tiny VAE in a folder, with an index of its sentences."""
    vae.save_pretrained(tmp_path)
    loaded = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert loaded.index(iter(SENTENCES)) == len(SENTENCES)
    return loaded


def test_neighbors_are_the_sentences_of_highest_cosine(indexed):
    """They equal those of an exhaustive search; each sentence is its own nearest neighbor."""
    means = indexed.encode(SENTENCES)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    order = np.argsort(-means @ means.T, axis=1)[:, :3]
    nearest = indexed.neighbors(SENTENCES, k=3)
    for indices, row in zip(order, nearest, strict=True):
        assert [near["text"] for near in row] == [SENTENCES[index] for index in indices]
    for number, (text, row) in enumerate(zip(SENTENCES, nearest, strict=True), start=1):
        assert row[0] == {"row": number, "text": text, "similarity": pytest.approx(1, abs=1e-5)}


def test_an_index_of_states_compares_the_states_of_the_encoder(indexed):
    """The two kinds of index differ, and each is searched with its own kind of vector."""
    indexed.index(SENTENCES, "states", vectors="states")
    states = neighbors.normalize_vectors(indexed.features(SENTENCES, "states"))
    order = np.argsort(-states @ states.T, axis=1)
    nearest = indexed.neighbors(SENTENCES, k=len(SENTENCES), name="states")
    for indices, row in zip(order, nearest, strict=True):
        assert [near["row"] - 1 for near in row] == indices.tolist()
    assert nearest != indexed.neighbors(SENTENCES, k=len(SENTENCES))


def test_an_index_that_does_not_name_its_vectors_has_the_means(indexed, tmp_path):
    """Earlier versions wrote no `vectors` into the record of an index."""
    before = indexed.neighbors(SENTENCES, k=2)
    (record_file,) = (tmp_path / "fitted" / "index" / "default").glob("*.json")
    record = json.loads(record_file.read_text())
    del record["vectors"]
    record_file.write_text(json.dumps(record))
    assert indexed.neighbors(SENTENCES, k=2) == before


def test_other_vectors_than_means_and_states_are_refused(lstm, tmp_path):
    """The message lists the two."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="vectors"):
        vae.index(SENTENCES, vectors="gaussian")  # type: ignore[arg-type]
    assert not (tmp_path / "fitted").exists()


def test_a_block_of_blank_texts_only_moves_the_rows(vae, tmp_path, monkeypatch):
    """The next block's rows count the blank ones."""
    monkeypatch.setattr(neighbors, "_SENTENCES_PER_BLOCK", 2)
    vae.save_pretrained(tmp_path)
    loaded = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert loaded.index([" ", "", SENTENCES[0], SENTENCES[1]]) == 2
    assert sorted(near["row"] for near in loaded.neighbors(SENTENCES[0], k=2)[0]) == [3, 4]


def test_a_blank_text_is_not_indexed_and_moves_no_row(vae, tmp_path):
    """Rows are positions in the input, counted from 1, blank texts included."""
    vae.save_pretrained(tmp_path)
    loaded = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert loaded.index(["", SENTENCES[0], "  ", SENTENCES[1]]) == 2
    assert sorted(near["row"] for near in loaded.neighbors(SENTENCES[0], k=2)[0]) == [2, 4]


def test_an_index_belongs_to_one_model(indexed, tmp_path):
    """An index of another model is refused, and so is a missing or a damaged one."""
    other = TextVAE(tiny_vae(seed=1).model, indexed.tokenizer, indexed.folder)
    with pytest.raises(CheckpointError, match="another model's latents"):
        other.neighbors("a man", k=1)
    with pytest.raises(CheckpointError, match=r"no index was fitted there. Available: default\."):
        indexed.neighbors("a man", name="other")
    (tmp_path / "fitted" / "index" / "default" / "vectors.faiss").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="is damaged"):
        indexed.neighbors("a man", k=1)


def test_an_index_that_cannot_be_built_or_searched_is_refused(lstm, tmp_path):
    """No text, an unknown factory, more neighbors than sentences, or no folder."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(DataError, match="no text to index"):
        vae.index([])
    with pytest.raises(ConfigError, match="factory = 'Flatter': FAISS cannot build such an index"):
        vae.index(SENTENCES, factory="Flatter")
    assert not (tmp_path / "fitted").exists()
    vae.index(SENTENCES)
    with pytest.raises(ConfigError, match="k = 7: this index contains 6 sentences"):
        vae.neighbors("a man", k=7)
    assert vae.neighbors([]) == []
    with pytest.raises(ConfigError, match="not loaded from a folder"):
        lstm.index(SENTENCES)
    with pytest.raises(ConfigError, match=r"name = '\.\./x'"):
        vae.index(SENTENCES, name="../x")


def test_the_commands_index_and_search(tiny_run, tmp_path, capsys):
    """They print one JSON object per neighbor; wrong input ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    run = str(tmp_path / "run")
    file = tmp_path / "some.txt"
    file.write_text("a man rides a wave.\nthe dog likes his hat.\n")
    assert main(["index", run, str(file), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "default", "sentences": 2}
    query = ["neighbors", run, "a man rides a wave.", "-k", "2", "--json", "--device", "cpu"]
    assert main(query) == 0
    near = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert near[0]["text"] == near[0]["of"] == "a man rides a wave."
    assert len(near) == 2
    assert main(["neighbors", run, "a man", "-k", "3"]) == 2
    assert "expected a number from 1" in capsys.readouterr().err


def test_an_index_that_must_be_trained_is_trained_on_its_own_vectors(lstm, tmp_path):
    """Too few vectors are refused, and so is an unknown factory; neither leaves a folder."""
    texts = [f"{first} {second} ." for first in SENTENCES for second in SENTENCES]
    inverted = IndexSettings(factory="IVF4,Flat")
    assert neighbors.index(lstm.bundle, texts, tmp_path / "trained", inverted) == len(texts)
    trained = neighbors.NeighborIndex(lstm.bundle, tmp_path / "trained")
    assert trained.neighbors(texts[:1], 1)[0][0]["text"] == texts[0]
    with pytest.raises(DataError, match="from 2 texts; give more, or use Flat"):
        neighbors.index(lstm.bundle, texts[:2], tmp_path / "few", inverted)
    with pytest.raises(ConfigError, match="FAISS cannot build such an index"):
        neighbors.index(lstm.bundle, texts, tmp_path / "none", IndexSettings(factory="Bogus"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trained"]


def test_a_blank_text_has_no_neighbors(vae, tmp_path, capsys):
    """The neighbors of the other texts do not change."""
    vae.save_pretrained(tmp_path / "run")
    saved = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    saved.index(SENTENCES)
    of_blank, of_sentence = saved.neighbors(["", SENTENCES[0]], 2)
    assert of_blank == []
    assert of_sentence == saved.neighbors(SENTENCES[0], 2)[0]
    assert "1 of 2 rows is blank (row 1): without neighbors" in capsys.readouterr().err


PAIRS = [f"{first} {second} ." for first in SENTENCES for second in SENTENCES]


@pytest.fixture
def saved(lstm, tmp_path) -> TextVAE:
    """A tiny VAE in a folder."""
    lstm.save_pretrained(tmp_path)
    return TextVAE.from_pretrained(tmp_path, device="cpu")


@pytest.mark.parametrize("factory", ["IVF6,Flat", "RR3,IVF6,Flat"])
def test_an_inverted_file_finds_as_many_neighbors_as_asked_for(saved, factory, capsys):
    """Further clusters are searched only for the texts and the k that need them."""
    saved.index(PAIRS, factory=factory)
    nearest = saved.neighbors(PAIRS[:3], k=len(PAIRS))
    assert [sorted(near["row"] for near in row) for row in nearest] == [
        [*range(1, len(PAIRS) + 1)]
    ] * 3
    for row in nearest:
        similarities = [near["similarity"] for near in row]
        assert similarities == sorted(similarities, reverse=True)
    assert "found fewer" not in capsys.readouterr().err


def test_similarities_are_cosines_also_in_a_compressed_index(saved):
    """The index may find other neighbors than an exact one, but says how near they are."""
    saved.index(PAIRS, factory="PQ2x4")
    vectors = neighbors.normalize_vectors(saved.encode(PAIRS))
    for query, nearest in zip(vectors[:3], saved.neighbors(PAIRS[:3], k=5), strict=True):
        found = [near["similarity"] for near in nearest]
        expected = [float(query @ vectors[near["row"] - 1]) for near in nearest]
        assert found == pytest.approx(expected, abs=1e-5)
        assert found == sorted(found, reverse=True)


def test_an_index_that_centres_its_vectors_is_refused(saved, tmp_path):
    """Their products would be no cosines, and other neighbors would be found."""
    with pytest.raises(ConfigError, match="it centres the vectors"):
        saved.index(PAIRS, factory="PCA3,Flat")
    assert not (tmp_path / "fitted").exists()


def test_a_search_of_more_clusters_does_not_change_later_searches(saved):
    """The number of clusters is the index's own again afterwards."""
    saved.index(PAIRS, factory="IVF6,Flat")
    index = neighbors.NeighborIndex(saved.bundle, saved.folder / "fitted" / "index" / "default")
    few = index.neighbors(PAIRS, k=1)
    assert all(len(row) == len(PAIRS) for row in index.neighbors(PAIRS[:2], k=len(PAIRS)))
    assert index.neighbors(PAIRS, k=1) == few


def test_neighbors_that_an_index_cannot_find_are_reported(saved, capsys):
    """A graph may not reach every vector; the note names the kind of index and an exact one."""
    count = 400
    texts = [f"{PAIRS[number % len(PAIRS)]} {'a man ' * (number % 7)}" for number in range(count)]
    saved.index(texts, factory="HNSW2")
    capsys.readouterr()
    found = [len(row) for row in saved.neighbors(PAIRS[:2], k=count)]
    assert max(found) < count
    note = capsys.readouterr().err
    assert f"found fewer than k = {count} neighbors of 2 of 2 texts" in note
    assert "an index of the kind 'HNSW2' is not exact" in note


@pytest.mark.parametrize("factory", ["IDMap,Flat", "IDMap2,HNSW8"])
def test_an_index_that_takes_no_texts_is_refused_with_the_reason(saved, tmp_path, factory):
    """More texts would not help, so the message gives FAISS's reason, without its source files."""
    with pytest.raises(ConfigError, match="cannot add texts to such an index") as caught:
        saved.index(PAIRS, factory=factory)
    message = str(caught.value)
    assert "add does not make sense with IndexIDMap" in message
    assert "give more" not in message
    assert ".cpp" not in message
    assert not (tmp_path / "fitted").exists()
