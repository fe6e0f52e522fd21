"""Insight: one record per dimension, its associations and words, and what is refused."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from tests.tiny import SENTENCES, tiny_model, tiny_tokenizer, tiny_vae
from textvae.errors import ConfigError, DataError
from textvae.inference.encode import posterior
from textvae.model.posteriors import DiagonalGaussian
from textvae.uses.insight import build_column
from textvae.uses.insight.associations import compute_associations, find_words_at_ends
from textvae.uses.insight.insight import describe_dimensions
from textvae.vae import TextVAE

BEGINNINGS = ("a man", "two dogs", "the old woman", "a child", "two old men in the town")
VERBS = ("reads", "sings", "run")
ENDS = (".", "in the park .", "at night")
TEXTS = [f"{beginning} {verb} {end}" for verb, beginning, end in product(VERBS, BEGINNINGS, ENDS)]
COUNT = ["many" if text.startswith("two") else "one" for text in TEXTS]
NUMBER = [index % 7 for index in range(len(TEXTS))]


@pytest.fixture(scope="module", params=("lstm", "gpt2"))
def vae(request):
    return tiny_vae(request.param)


def test_a_record_describes_what_a_dimension_encodes(vae):
    """KL and variance are those of the posterior, and associations are sorted by strength."""
    result = vae.insight(TEXTS, {"count": COUNT, "number": NUMBER})
    rows = result["dimensions"]
    q = posterior(vae.bundle, TEXTS)
    assert isinstance(q, DiagonalGaussian)
    assert [row["dimension"] for row in rows] == list(range(vae.latent_dim))
    kl = 0.5 * (q.mean.square() + q.logvar.exp() - q.logvar - 1).mean(0)
    np.testing.assert_allclose([row["kl"] for row in rows], kl, rtol=1e-4)
    np.testing.assert_allclose([row["variance"] for row in rows], q.mean.var(0), rtol=1e-4)
    assert sum(row["kl_share"] for row in rows) == pytest.approx(1)
    for row in rows:
        assert {one["column"] for one in row["associations"]} == {"length", "count", "number"}
        strengths = [abs(one["value"]) for one in row["associations"]]
        assert strengths == sorted(strengths, reverse=True)
        assert all(0 <= one["p_value"] <= 1 for one in row["associations"])
    assert [row["factor"] for row in result["scores"]] == ["length", "count", "number", "all"]


def associated_columns(result):
    """Return the names of all columns that dimensions are associated with."""
    return {one["column"] for row in result["dimensions"] for one in row["associations"]}


def test_without_columns_there_is_the_length_and_no_score(vae):
    """A column named length replaces it; it is left out if all texts are equally long."""
    result = vae.insight(TEXTS)
    assert associated_columns(result) == {"length"}
    assert result["scores"] == []
    equally_long = vae.insight([f"a man {letter}" for letter in "abcdefghijklmnopqrstuv"])
    assert associated_columns(equally_long) == set()
    replaced = vae.insight(TEXTS, {"length": NUMBER})
    assert replaced == vae.insight(TEXTS, {"length": NUMBER})
    assert associated_columns(replaced) == {"length"}
    assert replaced["scores"][-1]["disentanglement"] is None


def test_associations_are_one_for_the_same_order_and_small_for_noise():
    """Spearman's correlation has a sign; a coordinate that never varies has no association."""
    noise = np.random.default_rng(0).normal(size=300)
    number = np.arange(300.0)
    z = np.stack([np.exp(number / 99), -number, noise, np.ones(300)], 1).astype(np.float32)
    texts = ["a"] * 300
    rows = compute_associations(z, build_column("number", texts, list(number)))
    assert [row["value"] for row in rows] == pytest.approx([1, -1, 0, 0], abs=0.15)
    half = ["low" if index < 150 else "up" for index in range(300)]
    rows = compute_associations(z, build_column("half", texts, half))
    assert [row["value"] for row in rows] == pytest.approx([0.866, 0.866, 0, 0], abs=0.15)
    assert [(row["low"], row["high"]) for row in rows[:2]] == [("low", "up"), ("up", "low")]
    assert rows[3]["p_value"] == 1


def test_eta_of_two_classes_is_the_size_of_spearmans_correlation():
    """Both are correlations of ranks, and ties get their mean rank."""
    random = np.random.default_rng(1)
    z = random.integers(9, size=(200, 3)).astype(np.float32)
    truth = random.random(200) < 0.3
    z[:, 0] += 4 * truth
    rows = compute_associations(z, build_column("class", ["a"] * 200, list(truth)))
    for coordinate, row in zip(z.T, rows, strict=True):
        # The mean rank of a value lies between the numbers of smaller and of no larger values.
        is_above = coordinate[:, None] > coordinate
        is_not_below = coordinate[:, None] >= coordinate
        ranks = (is_above.sum(1) + is_not_below.sum(1)) / 2
        expected = abs(np.corrcoef(ranks, truth)[0, 1])
        assert row["value"] == pytest.approx(expected, abs=1e-6)


def test_words_are_listed_at_the_end_where_their_texts_lie():
    """Rare words, words of every text, and correlations explained by chance are left out."""
    texts = ["a Bad day .", "a good day ."] * 50
    texts[0] = "a Bad day indeed ."
    signs = np.where(np.arange(100) % 2, 1.0, -1.0)
    noise = np.random.default_rng(0).normal(size=100)
    z = np.stack([signs, noise, np.ones(100)], 1).astype(np.float32)
    of_signs, of_noise, of_constant = find_words_at_ends(z, texts)
    assert of_signs == {"low": {"bad": pytest.approx(-1)}, "high": {"good": pytest.approx(1)}}
    assert of_noise == of_constant == {"low": {}, "high": {}}


ENOUGH = ["a"] * 20
BAD = {
    "a missing value": ([None, *range(19)], "column 'it': text 0 .* has no label"),
    "an infinite number": ([float("inf"), *range(19)], "text 0 has inf; expected finite"),
    "NaN": ([1, float("nan"), *range(18)], "text 1 .* has no label"),
    "one class": (["same"] * 20, "every text has 'same'"),
    "a constant": ([3.5] * 20, "every text has '3.5'"),
    "a class with one text": (["one"] + ["two"] * 19, "only one text is 'one'"),
    "too few values": ([1, 2], "20 texts and 2 labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_columns_that_cannot_be_used_are_refused(case):
    """The message names the column and says what came and what was expected."""
    values, message = BAD[case]
    with pytest.raises(DataError, match=message):
        build_column("it", ENOUGH, values)


def test_more_than_two_different_numbers_are_numeric_and_all_else_is_classes():
    """Two numbers, truth values and numbers in strings are classes."""
    assert build_column("it", ENOUGH, list(range(20))).is_numeric
    assert not build_column("it", ENOUGH, [0, 1] * 10).is_numeric
    assert not build_column("it", ENOUGH, [True, False] * 10).is_numeric
    assert not build_column("it", ENOUGH, ["1", "2", "3", "4"] * 5).is_numeric


def test_too_few_texts_and_a_language_model_are_refused(vae):
    """Both are refused before anything is computed."""
    with pytest.raises(DataError, match="got 2 texts, need at least 20"):
        vae.insight(["a man", "two dogs"])
    with pytest.raises(ConfigError, match="language model"):
        language_model().insight(TEXTS)


def test_blank_texts_are_left_out_with_their_values(vae, capsys):
    """The result is that of the other texts alone, and a note says which are missing."""
    values = [len(text) % 3 for text in TEXTS]
    expected = vae.insight(TEXTS, {"it": values})
    texts = [*TEXTS[:3], " ", *TEXTS[3:]]
    assert vae.insight(texts, {"it": [*values[:3], 7, *values[3:]]}) == expected
    assert "1 of" in capsys.readouterr().err


def test_columns_are_a_table_or_a_mapping(vae):
    """A table is not mistaken for the names of its columns."""
    frame = pd.DataFrame({"it": [len(text) % 3 for text in TEXTS]})
    assert vae.insight(TEXTS, frame) == vae.insight(TEXTS, {"it": list(frame["it"])})
    with pytest.raises(DataError, match="columns is a list; expected a table"):
        vae.insight(TEXTS, [list(frame["it"])])
    with pytest.raises(DataError, match=f"column 'it' has 1 values for {len(TEXTS)} texts"):
        vae.insight(TEXTS, {"it": [1]})


def language_model():
    """Return a tiny language model."""
    tokenizer = tiny_tokenizer()
    return TextVAE(tiny_model(conditioning=[], latent=0, vocab=len(tokenizer)), tokenizer)


def test_a_conditional_model_with_one_dimension_has_no_kl():
    """Without a label its prior is a mixture, and the KL to that is no sum over dimensions."""
    vae = tiny_vae(latent=1, labels={"a": 3, "b": 2})
    q = posterior(vae.bundle, SENTENCES)
    assert describe_dimensions(vae.bundle, q)[0]["kl"] is None
    labelled = describe_dimensions(vae.with_label("a").bundle, q)
    assert labelled[0]["kl"] > 0
