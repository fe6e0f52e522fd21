"""Insight and traversals: closed forms on made-up latents, what goes with what, and what is refused."""

import json

import numpy as np
import pytest
from scipy.stats import f_oneway, spearmanr

from tests.tiny import SENTENCES, WRITERS, tiny_vae
from textvae.cli import main
from textvae.errors import ConfigError, DataError
from textvae.uses.insight.associations import associations, correlation_ratios, telling_words
from textvae.uses.insight.columns import Column
from textvae.uses.insight.disentanglement import concentration, disentanglement

N = 2000


def factors():
    """Two columns of two classes each, independent of each other, and noise."""
    random = np.random.default_rng(0)
    return random.integers(2, size=(N, 2)), random.normal(size=(N, 4)), random


def scored(means, known):
    """Return the scores of some means by columns of classes."""
    return disentanglement(means, [Column(str(place), None, column) for place, column in enumerate(known.T)])


def test_a_code_with_a_dimension_a_column_scores_one():
    """MIG and completeness reach 1; a linear classifier on any other dimension guesses: SAP is a half."""
    known, noise, _ = factors()
    scores = scored(np.concatenate([known + 0.01 * noise[:, :2], noise[:, 2:]], axis=1), known)
    for key in ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert scores[key] == pytest.approx(1, abs=0.03), key
    assert scores["sap"] == pytest.approx(0.5, abs=0.05)
    assert [scores["columns"][name]["dimension"] for name in "01"] == [0, 1]


def test_noise_scores_nothing_and_a_turned_code_less():
    """What no dimension tells has no gap; turned by 45 degrees two dimensions tell alike."""
    known, noise, random = factors()
    nothing = scored(noise, known)
    assert max(nothing["mig"], nothing["sap"]) < 0.03
    assert nothing["dci_informativeness"] == pytest.approx(0.5, abs=0.05)
    code = known + 0.2 * random.normal(size=(N, 2))
    turned = scored(code @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2), known)
    assert turned["mig"] < 0.1 < 0.8 < scored(code, known)["mig"]
    assert scored(noise, known[:, :1])["dci_disentanglement"] is None  # of one column there is nothing to tell apart


def test_concentration_is_one_where_a_row_has_one_share_and_none_where_they_are_even():
    """Rows count by their sums."""
    assert concentration(np.eye(3)) == pytest.approx(1)
    assert concentration(np.ones((2, 5))) == pytest.approx(0)
    assert concentration(np.array([[3.0, 0.0], [0.5, 0.5]])) == pytest.approx(0.75)


def test_associations_are_those_of_the_textbooks():
    """Spearman's of scipy, ties and all; eta from the F statistic of one-way analysis of variance."""
    random = np.random.default_rng(1)
    means, numbers = random.normal(size=(60, 3)), random.integers(30, size=60).astype(float)
    found = associations(means, Column.of("length", numbers.tolist(), 60))
    np.testing.assert_allclose(found, [spearmanr(row, numbers).statistic for row in means.T], atol=1e-12)
    classes = random.integers(3, size=60)
    ratio = f_oneway(*(means[classes == kind] for kind in range(3))).statistic * 2
    np.testing.assert_allclose(correlation_ratios(means, classes), np.sqrt(ratio / (ratio + 57)), atol=1e-12)
    same = np.ones((60, 1))
    assert associations(same, Column.of("length", numbers.tolist(), 60)) == 0
    assert correlation_ratios(same, classes) == 0


def test_words_stand_at_the_end_they_go_with():
    """Words in every text, and rare ones, tell nothing."""
    texts = ["the dog runs", "the dog sits now", "The cat sits", "the cat sleeps here"] * 5 + ["the rare one"]
    first = np.array([[1.0 if "dog" in text else -1.0] for text in texts])
    low, high = telling_words(np.concatenate([first, -first], axis=1), texts)
    assert (low[0][0], high[0][0]) == ("cat", "dog")
    assert (low[1], high[1]) == (high[0], low[0])
    assert not {"the", "The", "rare"} & set(low[0] + high[0])
    assert telling_words(first[:2], texts[:2]) == ([[]], [[]])


def test_a_column_is_numbers_or_classes():
    """Few different numbers are classes; many are cut into classes of like size; one alone is no class."""
    assert Column.of("a", ["1", 0, 1.0, "0"] * 5, 20).numbers is None
    cut = Column.of("a", list(range(200)), 200)
    assert np.bincount(cut.classes).tolist() == [20] * 10
    assert Column.of("a", [1, 2] * 10 + [9], 21).numbers is not None


@pytest.mark.parametrize("writer", WRITERS)
def test_insight_has_a_record_a_dimension(writer):
    """Those of most variance first; length is always known."""
    texts = [f"{sentence} {'again ' * number}" for number in range(4) for sentence in SENTENCES]
    vae = tiny_vae(writer)
    found = vae.insight(texts, {"dog": ["dog" in text for text in texts]})
    records = found["dimensions"]
    assert sorted(record["dimension"] for record in records) == list(range(vae.latent_dim))
    variances = [record["variance"] for record in records]
    assert variances == sorted(variances, reverse=True)
    np.testing.assert_allclose(variances[0], vae.encode(texts).var(0, ddof=1).max(), rtol=1e-5)
    assert set(records[0]["associations"]) == {"length", "dog"} == set(found["disentanglement"]["columns"])


@pytest.mark.parametrize("writer", WRITERS)
def test_a_traversal_changes_one_dimension(writer):
    """At the mean's own value it is the reconstruction; elsewhere the mean with that value."""
    vae = tiny_vae(writer)
    z = vae.encode(SENTENCES[0])
    records = vae.traverse(SENTENCES[0], 2, steps=3, reach=5.0)
    moved = np.repeat(z, 3, axis=0)
    moved[:, 2] = [-5, 0, 5]
    assert [record["text"] for record in records] == vae.decode(moved)
    assert [record["value"] for record in records] == [-5, 0, 5]


COLUMNS = {
    "too few values": ([1, 2], "2 values for 24 texts"),
    "a value is missing": ([None] * 24, "text 0 has no value"),
    "one class": (["a"] * 24, "'a' for every text"),
    "a class of one text": (["a"] * 23 + ["b"], "one text only is 'b'"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_tell_nothing_are_refused(case):
    """Each by its name."""
    values, words = COLUMNS[case]
    with pytest.raises(DataError, match=f"column 'kind'.*{words}"):
        tiny_vae().insight(SENTENCES * 4, {"kind": values})


def test_what_cannot_be_traversed_or_seen_is_refused():
    """A dimension that is not there, a value that is none, too few texts."""
    vae = tiny_vae()
    with pytest.raises(ConfigError, match="latent has 0 to 3"):
        vae.traverse("two dogs run .", 4)
    with pytest.raises(ConfigError, match="not finite"):
        vae.traverse("two dogs run .", 0, reach=float("nan"))
    with pytest.raises(DataError, match=r"6 texts .* 20 or more"):
        vae.insight(SENTENCES)


def test_the_verbs_print_what_they_found(tiny_run, tmp_path, capsys):
    """As a table, as JSON, and a missing column is named."""
    rows = [f"{sentence.replace(',', '')},{'two' if 'two' in sentence else 'one'}" for sentence in SENTENCES * 4]
    table = tmp_path / "labelled.csv"
    table.write_text("\n".join(["text,number", *rows]) + "\n")
    assert main(["insight", str(tiny_run), str(table), "--column", "number"]) == 0
    assert "best dimension" in capsys.readouterr().out
    assert main(["insight", str(tiny_run), str(table), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["disentanglement"]["columns"]) == ["length"]
    assert main(["traverse", str(tiny_run), "two dogs run .", "--dimension", "0", "--steps", "2", "--json"]) == 0
    assert [json.loads(line)["value"] for line in capsys.readouterr().out.splitlines()] == [-3, 3]
    assert main(["insight", str(tiny_run), str(table), "--column", "tense"]) == 2
    assert "no column 'tense'" in capsys.readouterr().err
