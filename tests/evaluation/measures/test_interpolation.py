"""The interpolation measures, on paths whose values are known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import SENTENCES, tiny_dataset, tiny_vae
from textvae.errors import DataError
from textvae.evaluation.measures import MEASURES, EvaluationInput, MeasureSettings, run_model
from textvae.evaluation.measures.inputs import EvaluationTexts
from textvae.evaluation.measures.interpolation import path_smoothness
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.word_vectors import load_word_vectors, read_word2vec

LINE = "5 1\na 0\nb 1\nc 2\nd 3\ne 9\n"  # a header, then words on a straight line
TRAINING = ["a b c", "a b d", "b c d e"]


@pytest.fixture
def vectors(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text(LINE)
    return read_word2vec(file)


@pytest.fixture(scope="module")
def inputs():
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
        (["a", "b", "a"], 0),  # back to the start
        (["a", "a", "a"], 0),  # no movement
        (["a b", "b c", "c d"], 1),
        (["a zzz", "B", "c"], 1),  # unknown words and letter case do not count
    ],
)
def test_smoothness_is_the_distance_of_the_ends_over_the_path_length(path, expected, vectors):
    """For words on a straight line, it can be computed by hand."""
    assert path_smoothness(path, vectors) == pytest.approx(expected)


def test_an_empty_sentence_is_a_word_at_the_origin(vectors):
    """Distances to it are defined, and the smoothness is at most 1."""
    assert path_smoothness(["", "b", "d"], vectors) == pytest.approx(1)
    assert path_smoothness(["d", "", "d"], vectors) == 0


def test_the_record_has_the_vectors_name_and_the_number_of_paths(inputs, tmp_path):
    """The vectors are the decoder's embedding, or a file of the user."""
    record = MEASURES["smoothness"](inputs)
    assert record["word_vectors"] == "the decoder's embedding"
    assert (record["path_pairs"], record["path_steps"]) == (2, 4)
    assert 0 <= record["smoothness_min"] <= record["smoothness"]
    assert record["smoothness"] <= record["smoothness_max"] <= 1 + 1e-9
    file = tmp_path / "words.txt"
    file.write_text("a 1 0\ndog 0 1\n")
    with_file = replace(inputs, settings=MeasureSettings(pairs=2, word_vectors=str(file)))
    assert MEASURES["smoothness"](with_file)["word_vectors"] == "words.txt"


def test_the_decoders_vectors_are_those_of_its_tokens(inputs):
    """Each token has its row of the embedding."""
    vectors = load_word_vectors(inputs.bundle, None)
    bag = vectors.make_bag("two dogs run two")
    weight = inputs.bundle.model.get_input_embeddings().weight.detach().numpy()
    (ids,) = tiny_dataset(inputs.bundle, ["two dogs run"])["input_ids"]
    rows = map(tuple, bag.vectors.astype(np.float32))
    assert dict(zip(rows, bag.counts, strict=True)) == {
        tuple(weight[token]): 1 + (token == ids[0]) for token in ids
    }


@pytest.mark.parametrize("text", ["", "a 1 2\nb 1\n", "a one two\n", "a nan 1\n", "a\n", None])
def test_a_file_without_word_vectors_is_refused(text, tmp_path):
    """A missing file is refused in the same way."""
    file = tmp_path / "words.txt"
    if text is not None:
        file.write_text(text)
    message = r"words.txt.*(expected (one|a) word and|no such file)"
    with pytest.raises(DataError, match=message):
        read_word2vec(file)


def test_fluency_is_the_perplexity_between_the_ends_and_at_the_ends(inputs, monkeypatch):
    """Both are perplexities under the n-grams of the training text."""
    monkeypatch.setattr(
        EvaluationTexts, "paths", [["a b c", "a c", "b d", "a b d"], ["e", "d e", "c", "b c"]]
    )
    record = MEASURES["fluency"](replace(inputs))
    model = NGramModel(TRAINING)
    assert record["path_ppl"] == model.perplexity(["a c", "b d", "d e", "c"])
    assert record["path_ends_ppl"] == model.perplexity(["a b c", "a b d", "e", "b c"])


def test_paths_run_between_different_sentences_and_their_ends_are_reconstructions(inputs):
    """No sentence is in two pairs, and there are as many pairs as possible."""
    many = replace(inputs, settings=MeasureSettings(pairs=50, steps=3))
    assert len(many.texts.paths) == len(many.dataset) // 2
    ends = []
    for path in many.texts.paths:
        ends += [path[0], path[-1]]
    assert sorted(ends) == sorted(many.texts.reconstructions)


def test_paths_of_a_conditional_model_begin_and_end_with_the_labels_of_their_sentences():
    """Their ends are the reconstructions, each under its own label."""
    bundle = tiny_vae(labels={"calm": 3, "wild": 1}).bundle
    names = ["calm" if index % 2 else "wild" for index in range(len(SENTENCES))]
    dataset = tiny_dataset(bundle).add_column("kind", names)
    inputs = EvaluationInput(
        bundle,
        dataset,
        run_model(bundle, dataset),
        1,
        0,
        progress=False,
        settings=MeasureSettings(steps=4),
    )
    ends = []
    for path in inputs.texts.paths:
        ends += [path[0], path[-1]]
    assert sorted(ends) == sorted(inputs.texts.reconstructions)
    few = replace(inputs, settings=MeasureSettings(pairs=2, steps=4))
    assert MEASURES["smoothness"](few)["path_pairs"] == 2
