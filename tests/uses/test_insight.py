"""Insight: a row a dimension, what it goes with, its words, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from tests.tiny import tiny_model, tiny_tokenizer, tiny_vae
from textvae.errors import ConfigError, DataError
from textvae.inference.encode import posterior
from textvae.uses.insight import build_column
from textvae.uses.insight.associations import compute_associations, find_words_at_ends
from textvae.vae import TextVAE

BEGINNINGS = ("a man", "two dogs", "the old woman", "a child", "two old men in the town")
TEXTS = [f"{beginning} {verb} {end}" for verb in ("reads", "sings", "run") for beginning in BEGINNINGS
         for end in (".", "in the park .", "at night")]  # fmt: skip
COUNT = ["many" if text.startswith("two") else "one" for text in TEXTS]
NUMBER = [place % 7 for place in range(len(TEXTS))]


@pytest.fixture(scope="module", params=("lstm", "gpt2"))
def vae(request):
    return tiny_vae(request.param)


def test_a_row_says_what_a_dimension_carries(vae):
    """KL and variance are those of the posterior; shares sum to one; associations come strongest first."""
    found = vae.insight(TEXTS, {"count": COUNT, "number": NUMBER})
    rows, q = found["dimensions"], posterior(vae.bundle, TEXTS)
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
    assert [row["factor"] for row in found["scores"]] == ["length", "count", "number", "all"]


def test_without_columns_there_is_the_length_and_no_score(vae):
    """A column of that name takes its place; where all are as long, it goes with nothing and is left out."""
    found = vae.insight(TEXTS)
    assert {one["column"] for row in found["dimensions"] for one in row["associations"]} == {
        "length"
    }
    assert found["scores"] == []
    alike = vae.insight(
        [f"{one} {two}" for one in BEGINNINGS[:1] for two in "abcdefghijklmnopqrstuv"]
    )
    assert all(row["associations"] == [] for row in alike["dimensions"])
    given = vae.insight(TEXTS, {"length": NUMBER})
    assert given == vae.insight(TEXTS, {"length": NUMBER})
    assert {one["column"] for row in given["dimensions"] for one in row["associations"]} == {
        "length"
    }
    assert given["scores"][-1]["disentanglement"] is None


def test_correlations_are_one_for_the_same_order_and_small_for_none():
    """Spearman's sign; eta of classes apart; a coordinate that never varies goes with nothing."""
    random = np.random.default_rng(0)
    noise, number = random.normal(size=300), np.arange(300.0)
    z = np.stack([np.exp(number / 99), -number, noise, np.ones(300)], 1).astype(np.float32)
    texts = ["a"] * 300
    values = [
        one["value"] for one in compute_associations(z, build_column("number", texts, list(number)))
    ]
    assert values == pytest.approx([1, -1, 0, 0], abs=0.15)
    half = ["low" if place < 150 else "up" for place in range(300)]
    rows = compute_associations(z, build_column("half", texts, half))
    assert [row["value"] for row in rows] == pytest.approx([0.866, 0.866, 0, 0], abs=0.15)
    assert [(row["low"], row["high"]) for row in rows[:2]] == [("low", "up"), ("up", "low")]
    assert rows[3]["p_value"] == 1


def test_eta_of_two_classes_is_the_size_of_spearmans_correlation():
    """With ties too: both are the correlation of ranks."""
    random = np.random.default_rng(1)
    z, truth = random.integers(9, size=(200, 3)).astype(np.float32), random.random(200) < 0.3
    z[:, 0] += 4 * truth
    classes = compute_associations(z, build_column("class", ["a"] * 200, list(truth)))
    for coordinate, row in zip(z.T, classes, strict=True):
        ranks = np.array(
            [
                np.mean([(value > coordinate).sum(), (value >= coordinate).sum()])
                for value in coordinate
            ]
        )
        assert row["value"] == pytest.approx(abs(np.corrcoef(ranks, truth)[0, 1]), abs=1e-6)


def test_words_stand_at_the_end_their_texts_lie_at():
    """Rare words and those of every text are left out, and so are correlations that chance may give."""
    texts = [
        f"a {'good' if place % 2 else 'Bad'} day{'' if place else ' indeed'} ."
        for place in range(100)
    ]
    signs = np.where(np.arange(100) % 2, 1.0, -1.0)
    z = np.stack([signs, np.random.default_rng(0).normal(size=100), np.ones(100)], 1).astype(
        np.float32
    )
    signed, random, constant = find_words_at_ends(z, texts)
    assert signed == {"low": {"bad": pytest.approx(-1)}, "high": {"good": pytest.approx(1)}}
    assert random == constant == {"low": {}, "high": {}}


ENOUGH = ["a"] * 20
BAD = {
    "a missing value": ([None, *range(19)], "column 'it': text 0 .* has no label"),
    "an infinite number": ([float("inf"), *range(19)], "text 0 has inf; wanted are finite"),
    "a number that is none": ([1, float("nan"), *range(18)], "text 1 .* has no label"),
    "one class": (["same"] * 20, "every text has 'same'"),
    "a constant": ([3.5] * 20, "every text has '3.5'"),
    "a class with one text": (["one"] + ["two"] * 19, "one text only is 'one'"),
    "too few values": ([1, 2], "20 texts and 2 labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_columns_that_tell_nothing_are_refused(case):
    """Each with its name, what came and what was wanted."""
    values, message = BAD[case]
    with pytest.raises(DataError, match=message):
        build_column("it", ENOUGH, values)


def test_numbers_are_numeric_and_two_of_them_classes():
    """Truth values are classes as well."""
    assert build_column("it", ENOUGH, list(range(20))).is_numeric
    assert not build_column("it", ENOUGH, [0, 1] * 10).is_numeric
    assert not build_column("it", ENOUGH, [True, False] * 10).is_numeric
    assert not build_column(
        "it", ENOUGH, ["1", "2", "3", "3", "2", "1"] * 3 + ["1", "2"]
    ).is_numeric


def test_too_few_texts_and_a_language_model_are_refused(vae):
    """Before anything is computed."""
    with pytest.raises(DataError, match="there are 2 texts; wanted are 20"):
        vae.insight(["a man", "two dogs"])
    with pytest.raises(ConfigError, match="language model"):
        language_model().insight(TEXTS)


def test_blank_texts_are_left_out_with_their_values(vae, capsys):
    """What remains is what comes of the others alone, and a note says which are missing."""
    values = [len(text) % 3 for text in TEXTS]
    expected = vae.insight(TEXTS, {"it": values})
    assert (
        vae.insight([*TEXTS[:3], " ", *TEXTS[3:]], {"it": [*values[:3], 7, *values[3:]]})
        == expected
    )
    assert "1 of" in capsys.readouterr().err


def test_columns_are_a_table_or_a_mapping(vae):
    """A table is not taken for the names of its columns."""
    frame = pd.DataFrame({"it": [len(text) % 3 for text in TEXTS]})
    assert vae.insight(TEXTS, frame) == vae.insight(TEXTS, {"it": list(frame["it"])})
    with pytest.raises(DataError, match="columns is a list; expected a table"):
        vae.insight(TEXTS, [list(frame["it"])])
    with pytest.raises(DataError, match=f"column 'it' has 1 values for {len(TEXTS)} texts"):
        vae.insight(TEXTS, {"it": [1]})


def language_model():
    """Return one of tiny size."""
    tokenizer = tiny_tokenizer()
    return TextVAE(tiny_model(conditioning=[], latent=0, vocab=len(tokenizer)), tokenizer)
