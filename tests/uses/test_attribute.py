"""Attributes, edits and analogies: the arithmetic, what is saved, and what is refused."""

import shutil
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny import DECODER_SETTINGS, SENTENCES, tiny_model, tiny_vae
from textvae.errors import CheckpointError, ConfigError, DataError, ShapeError
from textvae.inference.keep_tokens import KeepTokensProcessor
from textvae.uses.attribute import cross_validate, fit_attribute
from textvae.vae import TextVAE

LABELS = ["one", "many", "one", "one", "one", "many"]


@pytest.fixture(scope="module", params=DECODER_SETTINGS)
def vae(request):
    return tiny_vae(request.param)


@pytest.fixture
def saved(vae, tmp_path):
    """The model, loaded from a folder of its own."""
    vae.save_pretrained(tmp_path / "run")
    return TextVAE.from_pretrained(tmp_path / "run", device="cpu")


def count_characters(text: str) -> Counter[str]:
    """Tokens may be joined to other words than in the text."""
    return Counter(text.replace(" ", ""))


def test_the_direction_is_the_difference_of_the_class_means(vae):
    """By default it points to the label that sorts last; towards the other it is the opposite."""
    z = vae.encode(SENTENCES)
    is_one = np.array([label == "one" for label in LABELS])
    expected = z[is_one].mean(0) - z[~is_one].mean(0)
    attribute = vae.fit_attribute(SENTENCES, LABELS)
    np.testing.assert_allclose(attribute.direction, expected, atol=1e-5)
    opposite = vae.fit_attribute(SENTENCES, LABELS, towards="many")
    torch.testing.assert_close(opposite.direction, -attribute.direction)
    assert (attribute.away, attribute.texts_away) == ("many", 2)
    assert (attribute.towards, attribute.texts_towards) == ("one", 4)
    assert attribute.chance == pytest.approx(4 / 6)


def test_separability_is_one_for_separate_classes_and_half_for_random_labels():
    """The classes are two distant balls of points, and then one ball with random labels."""
    random = np.random.default_rng(0)
    truth = random.random(400) < 0.5
    noise = random.normal(size=(400, 3)).astype(np.float32)
    separate = cross_validate(noise + 9 * truth[:, None].astype(np.float32), truth)
    mixed = cross_validate(noise, truth)
    for key in ("accuracy", "auroc", "regression_accuracy", "regression_auroc"):
        assert separate[key] == 1
        assert mixed[key] == pytest.approx(0.5, abs=0.1)


def test_an_edit_is_decoding_after_the_step(vae):
    """Strength 0 is the reconstruction; texts of unequal lengths are edited together."""
    attribute = vae.fit_attribute(SENTENCES, LABELS)
    assert vae.edit(SENTENCES, attribute, strength=0) == vae.reconstruct(SENTENCES)
    for strength in (-2.0, 1.5):
        z = vae.encode(SENTENCES) + strength * attribute.direction.numpy()
        assert vae.edit(SENTENCES, attribute, strength) == vae.decode(z)
    assert vae.edit([], attribute) == []


def test_the_tokens_of_a_text_are_preferred_as_often_as_it_has_them():
    """Two texts of unequal lengths with two beams each; token 0 starts every sequence."""
    prefer = KeepTokensProcessor([[3, 3, 1], [2]], vocab_size=5, nats=1.5)
    written = torch.tensor([[0, 3], [0, 4], [0, 2], [0, 3]])
    scores = torch.arange(20.0).view(4, 5)
    preferred = [[1, 3], [1, 3], [], [2]]  # the first beam may write token 3 once more
    for row, tokens in enumerate(preferred):
        expected = scores[row].clone()
        expected[tokens] += 1.5
        torch.testing.assert_close(prefer(written, scores)[row], expected)
    all_written = torch.tensor([[0, 3, 1, 3], [0, 3, 1, 3], [0, 2, 2, 2], [0, 2, 2, 2]])
    torch.testing.assert_close(prefer(all_written, scores), scores)


@pytest.mark.parametrize("decoding", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_with_a_large_preference_an_edit_has_all_words_of_the_text(vae, decoding):
    """Whatever the latent, and in whatever order; without a preference nothing changes."""
    attribute = vae.fit_attribute(SENTENCES, LABELS)
    plain = vae.edit(SENTENCES, attribute, 1.5, **decoding)
    assert vae.edit(SENTENCES, attribute, 1.5, keep=0, **decoding) == plain
    # A longer text is cut off.
    short = [text for text in SENTENCES if len(text.split()) < vae.bundle.max_text_tokens]
    assert len(short) > 1
    kept = vae.edit(short, attribute, 1.5, keep=100, **decoding)
    for text, edited in zip(short, kept, strict=True):
        assert count_characters(text) <= count_characters(edited)
    analogy = vae.analogy(*short[:3], keep=100, **decoding)
    assert count_characters(short[2]) <= count_characters(analogy)


def test_an_analogy_of_a_text_with_itself_is_the_reconstruction(vae):
    """z_c + (z_a - z_a) is z_c, and z_a + (z_b - z_a) is z_b."""
    a, b, c = SENTENCES[:3]
    assert vae.analogy(a, a, c) == vae.reconstruct(c)[0]
    assert vae.analogy(a, b, a) == vae.reconstruct(b)[0]
    assert vae.analogy(a, b, c, strength=0) == vae.reconstruct(c)[0]


def test_a_direction_of_another_size_is_refused(vae):
    """It would be broadcast, or end in an error of torch."""
    attribute = vae.fit_attribute(SENTENCES, LABELS)
    for size in (1, 7):
        with pytest.raises(ShapeError, match=rf"the direction has the shape \({size},\)"):
            vae.edit(SENTENCES, replace(attribute, direction=torch.ones(size)))


def test_a_missing_label_is_named_by_the_place_of_its_text(vae):
    """Blank texts count, although they are left out."""
    with pytest.raises(DataError, match=r"text 3 .* has no label"):
        vae.fit_attribute(["", " ", *SENTENCES[:3]], ["a", "a", "b", None, "a"])


def test_the_direction_may_lead_to_a_label_that_is_a_number(vae):
    """Labels are compared as text."""
    numbers = [int(label == "one") for label in LABELS]
    attribute = vae.fit_attribute(SENTENCES, numbers, towards=1)
    assert attribute.towards == "1"


def test_an_attribute_is_saved_and_copied_with_its_run(saved, tmp_path):
    """It is used by its name, also after save_pretrained to another folder."""
    attribute = saved.fit_attribute(SENTENCES, LABELS, name="number")
    assert saved.edit(SENTENCES, "number", 2.0) == saved.edit(SENTENCES, attribute, 2.0)
    saved.save_pretrained(tmp_path / "copy")
    copy = TextVAE.from_pretrained(tmp_path / "copy", device="cpu")
    assert copy.edit(SENTENCES, "number", 2.0) == saved.edit(SENTENCES, "number", 2.0)


def test_an_unknown_attribute_and_one_of_another_model_are_refused(saved, tmp_path):
    """The message lists the known ones; a fingerprint tells models apart."""
    saved.fit_attribute(SENTENCES, LABELS, name="number")
    with pytest.raises(CheckpointError, match=r"no attribute was fitted there\. Available: number"):
        saved.edit("a man", "tense")
    other = TextVAE(tiny_model(vocab=len(saved.tokenizer), seed=5), saved.tokenizer)
    other.save_pretrained(tmp_path / "other")
    shutil.copytree(tmp_path / "run" / "fitted", tmp_path / "other" / "fitted")
    with pytest.raises(CheckpointError, match="another model"):
        TextVAE.from_pretrained(tmp_path / "other", device="cpu").edit("a man", "number")


BAD: dict[str, tuple[list[str], list[Any], str | None, type[Exception], str]] = {
    "no texts": ([], [], None, DataError, "there are no texts"),
    "too few labels": (SENTENCES, LABELS[:3], None, DataError, "got 6 texts and 3 labels"),
    "a missing label": (SENTENCES, [None, *LABELS[1:]], None, DataError, "text 0 .* has no label"),
    "a label that is not a number": (
        SENTENCES,
        [float("nan"), *LABELS[1:]],
        None,
        DataError,
        "has no label",
    ),
    "one class": (SENTENCES, ["one"] * 6, None, DataError, r"one class only: one \(6\)"),
    "a class with one example": (
        SENTENCES,
        ["many"] + ["one"] * 5,
        None,
        DataError,
        "1 text is labelled other than",
    ),
    "three classes": (
        SENTENCES,
        ["a", "b", "c"] * 2,
        None,
        ConfigError,
        "3 labels: .* choose with `towards`",
    ),
    "an unknown label": (
        SENTENCES,
        LABELS,
        "few",
        ConfigError,
        r"towards = 'few' is not among the labels; .*many \(2\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_labels_without_information_are_refused(case):
    """The message says what came and what was expected."""
    texts, labels, towards, error, message = BAD[case]
    with pytest.raises(error, match=message):
        fit_attribute(tiny_vae().bundle, texts, labels, towards)


def test_a_name_or_a_strength_that_cannot_be_used_is_refused(vae):
    """A path as a name, a model without a folder, and a strength that is NaN."""
    with pytest.raises(ConfigError, match=r"name = '\.\./mood'"):
        vae.fit_attribute(SENTENCES, LABELS, name="../mood")
    with pytest.raises(ConfigError, match="not loaded from a folder"):
        vae.edit("a man", "mood")
    with pytest.raises(ConfigError, match=r"analogy\.strength = nan does not fit"):
        vae.analogy("a man", "two dogs", "a child", strength=float("nan"))


@pytest.mark.parametrize(
    "labels",
    ["ab" * 4, None, 3, {"l": [0, 1] * 4}, {0, 1}, pd.DataFrame({"a": [0] * 8, "b": [1] * 8})],
)
def test_labels_are_one_sequence(lstm, labels):
    """A table of several columns or a mapping is not mistaken for the names in it."""
    with pytest.raises(DataError, match="labels is "):
        lstm.fit_attribute(["a man", "two dogs"] * 4, labels)


def test_one_number_in_two_spellings_is_not_two_labels(lstm):
    """A column with missing values has 1.0 where one without has 1."""
    texts = ["a man", "two dogs"] * 4
    with pytest.raises(
        DataError, match=r"the labels '1' and '1.0' are one number in two spellings"
    ):
        lstm.fit_attribute(texts, [1, 1.0] * 4)
    labels = pd.DataFrame({"l": ["0", "00"] * 4})
    assert lstm.fit_attribute(texts, labels).towards == "00"
