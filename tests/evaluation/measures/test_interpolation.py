"""Interpolation measures on paths whose values are known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import tiny_dataset, tiny_vae
from textvae.errors import DataError
from textvae.evaluation.measures import MEASURES, EvaluationInput, MeasureSettings, run_model
from textvae.evaluation.measures.interpolation import path_smoothness
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.subject import EvaluationTexts
from textvae.evaluation.measures.word_vectors import load_word_vectors, read_word2vec

LINE = "5 1\na 0\nb 1\nc 2\nd 3\ne 9\n"  # words on a line; a header first
TRAINING = ["a b c", "a b d", "b c d e"]


@pytest.fixture
def vectors(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text(LINE)
    return read_word2vec(file)


@pytest.fixture(scope="module")
def subject():
    bundle = tiny_vae().bundle
    dataset = tiny_dataset(bundle)
    few = MeasureSettings(pairs=2, steps=4)
    return EvaluationInput(
        bundle,
        dataset,
        run_model(bundle, dataset),
        1,
        0,
        progress=False,
        training=TRAINING,
        settings=few,
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["a", "b", "c", "d"], 1),  # straight
        (["a", "d"], 1),
        (["a", "c", "b", "d"], 3 / 5),  # a detour
        (["a", "e", "d"], 3 / 15),
        (["a", "b", "a"], 0),  # back again
        (["a", "a", "a"], 0),  # never left
        (["a b", "b c", "c d"], 1),
        (["a zzz", "B", "c"], 1),  # the unknown is left out, letter case is not a difference
    ],
)
def test_smoothness_is_the_ends_distance_over_the_way(path, expected, vectors):
    """For words on a line it can be counted."""
    assert path_smoothness(path, vectors) == pytest.approx(expected)


def test_an_empty_sentence_is_a_word_at_the_origin(vectors):
    """Distances to it exist, and the measure stays below 1."""
    assert path_smoothness(["", "b", "d"], vectors) == pytest.approx(1)
    assert path_smoothness(["d", "", "d"], vectors) == 0


def test_the_record_names_its_vectors_and_its_amounts(subject, tmp_path):
    """The decoder's embedding, or the user's file."""
    record = MEASURES["smoothness"](subject)
    assert record["word_vectors"] == "the decoder's embedding"
    assert (record["path_pairs"], record["path_steps"]) == (2, 4)
    assert (
        0
        <= record["smoothness_min"]
        <= record["smoothness"]
        <= record["smoothness_max"]
        <= 1 + 1e-9
    )
    (tmp_path / "words.txt").write_text("a 1 0\ndog 0 1\n")
    given = replace(
        subject, settings=MeasureSettings(pairs=2, word_vectors=str(tmp_path / "words.txt"))
    )
    assert MEASURES["smoothness"](given)["word_vectors"] == "words.txt"


def test_the_decoders_vectors_are_those_of_its_tokens(subject):
    """A row of its embedding for each."""
    vectors = load_word_vectors(subject.bundle, None)
    bag = vectors.bag("two dogs run two")
    weight = subject.bundle.model.get_input_embeddings().weight.detach().numpy()
    (ids,) = tiny_dataset(subject.bundle, ["two dogs run"])["input_ids"]
    rows = {
        tuple(row): count
        for row, count in zip(bag.vectors.astype(np.float32), bag.counts, strict=True)
    }
    assert rows == {tuple(weight[token]): 1 + (token == ids[0]) for token in ids}


@pytest.mark.parametrize("text", ["", "a 1 2\nb 1\n", "a one two\n", "a nan 1\n", "a\n", None])
def test_a_file_that_is_no_table_of_vectors_is_refused(text, tmp_path):
    """Also one that is missing."""
    file = tmp_path / "words.txt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(
        DataError,
        match=r"words.txt: holds no word vectors.*wanted is a word and its numbers a line",
    ):
        read_word2vec(file)


def test_fluency_is_the_perplexity_of_what_lies_between_and_at_the_ends(subject, monkeypatch):
    """Under the training text's n-grams."""
    monkeypatch.setattr(
        EvaluationTexts, "paths", [["a b c", "a c", "b d", "a b d"], ["e", "d e", "c", "b c"]]
    )
    record, model = MEASURES["fluency"](replace(subject)), NGramModel(TRAINING)
    assert record["path_ppl"] == model.perplexity(["a c", "b d", "d e", "c"])
    assert record["path_ends_ppl"] == model.perplexity(["a b c", "a b d", "e", "b c"])


def test_paths_run_between_different_sentences_and_their_ends_are_reconstructions(subject):
    """Nobody is in two pairs; no more pairs than there can be."""
    of = replace(subject, settings=MeasureSettings(pairs=50, steps=3))
    assert len(of.texts.paths) == len(of.dataset) // 2
    ends = sorted(text for path in of.texts.paths for text in (path[0], path[-1]))
    assert ends == sorted(of.texts.reconstructions)
