"""Numeric attributes: the direction, its measures, what is saved, and what is refused."""

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae import NumericAttribute
from textvae.cli.main import main
from textvae.data.corpus_labels import collect_labels
from textvae.errors import DataError
from textvae.uses.attribute import fit_attribute
from textvae.uses.numeric_attribute import (
    are_quantities,
    compute_slope,
    cross_validate_numbers,
)
from textvae.vae import TextVAE

NUMBERS = [1.0, 2.5, 3.0, 4.0, 10.0, 6.0]


def test_codes_are_names_and_no_numbers(tiny_run, tmp_path, capsys):
    """A number that begins with 0 is a code, as everywhere."""
    rows = [f"{text},00{number % 2 + 7}" for number, text in enumerate(SENTENCES)]
    file = tmp_path / "coded.csv"
    file.write_text("\n".join(["text,code", *rows]) + "\n")
    shutil.copytree(tiny_run, tmp_path / "run")
    command = ["attribute", "fit", str(tmp_path / "run"), str(file), "--label-column", "code"]
    assert main([*command, "--name", "code", "--towards", "008", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["towards"] == "008"


@pytest.fixture(scope="module")
def vae():
    return tiny_vae()


def test_the_direction_is_the_slope_of_a_regression_of_z():
    """It is what least squares finds, for one standard deviation of the number."""
    random = np.random.default_rng(0)
    z = random.normal(size=(50, 3)).astype(np.float32)
    values = random.normal(5, 3, size=50)
    inputs = np.stack([values, np.ones(50)], 1)
    slope = np.linalg.lstsq(inputs, z.astype(np.float64), rcond=None)[0][0]
    np.testing.assert_allclose(compute_slope(z, values), slope * values.std(), atol=1e-6)


def test_for_two_numbers_the_slope_leads_from_one_mean_to_the_other():
    """As the direction of two classes does, but for its length."""
    z = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    values = np.repeat([0.0, 4.0], 20)
    difference = z[20:].mean(0) - z[:20].mean(0)
    np.testing.assert_allclose(compute_slope(z, values) / values.std() * 4, difference, atol=1e-6)


def test_a_number_is_predicted_from_its_own_latent_only():
    """R² is near 1 along a dimension of z, and not above 0 for random numbers."""
    random = np.random.default_rng(0)
    z = random.normal(size=(300, 4)).astype(np.float32)
    known = cross_validate_numbers(z, 7 + 2 * z[:, 1].astype(np.float64))
    unknown = cross_validate_numbers(z, random.normal(size=300))
    for kind in ("", "regression_"):
        assert known[f"{kind}correlation"] > 0.95
        assert known[f"{kind}r2"] > 0.9
        assert abs(unknown[f"{kind}correlation"]) < 0.3
        assert unknown[f"{kind}r2"] < 0.05


def test_an_edit_moves_along_the_direction(vae):
    """Strength 1 is one step of the direction, and 0 the reconstruction."""
    attribute = vae.fit_attribute(SENTENCES, NUMBERS)
    assert isinstance(attribute, NumericAttribute)
    assert (attribute.minimum, attribute.maximum, attribute.texts) == (1.0, 10.0, 6)
    assert attribute.deviation == pytest.approx(np.std(NUMBERS))
    z = vae.encode(SENTENCES) + 1.5 * attribute.direction.numpy()
    assert vae.edit(SENTENCES, attribute, 1.5) == vae.decode(z)
    assert vae.edit(SENTENCES, attribute, 0) == vae.reconstruct(SENTENCES)


def test_a_numeric_attribute_is_saved_with_its_run(vae, tmp_path):
    """It is loaded as it was, by its name."""
    vae.save_pretrained(tmp_path)
    loaded = TextVAE.from_pretrained(tmp_path, device="cpu")
    attribute = loaded.fit_attribute(SENTENCES, NUMBERS, "score")
    assert loaded.edit(SENTENCES, "score", 2.0) == loaded.edit(SENTENCES, attribute, 2.0)


@pytest.mark.parametrize(
    "numbers",
    [
        tuple(NUMBERS),
        np.array(NUMBERS),
        np.array(NUMBERS, dtype=np.float32),
        pd.Series(NUMBERS),
        torch.tensor(NUMBERS),
        [np.float64(number) for number in NUMBERS],
    ],
    ids=["tuple", "numpy", "numpy, short", "pandas", "torch", "a list of numpy"],
)
def test_numbers_may_come_in_any_sequence(vae, numbers):
    """The direction is the same."""
    expected = vae.fit_attribute(SENTENCES, NUMBERS).direction
    torch.testing.assert_close(vae.fit_attribute(SENTENCES, numbers).direction, expected)


@pytest.mark.parametrize("values", [[0, 1] * 3, [True, False], list("123"), ["a", 1, 2], [1, 1.0]])
def test_names_of_classes_are_not_quantities(values):
    """Two numbers are classes, and so are truth values and text."""
    assert not are_quantities(values)


def test_with_towards_numbers_are_classes(vae):
    """The direction leads to the texts with that number."""
    attribute = vae.fit_attribute(SENTENCES, [1, 2, 3] * 2, towards="3")
    assert (attribute.towards, attribute.texts_towards) == ("3", 2)


REFUSED: dict[str, tuple[list[Any], str]] = {
    "a missing number": ([*NUMBERS[:5], None], "text 5 .* has no label"),
    "NaN": ([*NUMBERS[:5], float("nan")], "text 5 .* has no number"),
    "an infinite number": ([*NUMBERS[:5], float("inf")], "text 5 has the number inf"),
    "numbers as text": (list("123456"), "pass numbers"),
    "one number": ([3.5] * 6, "one class only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_numbers_that_give_no_direction_are_refused(vae, case):
    """The message says which text is meant."""
    numbers, message = REFUSED[case]
    with pytest.raises(Exception, match=message):
        fit_attribute(vae.bundle, SENTENCES, numbers)


def test_too_few_texts_are_refused(vae):
    """Cross-validation needs texts to hold out."""
    with pytest.raises(DataError, match=r"5 texts have numbers; .* at least 6"):
        fit_attribute(vae.bundle, SENTENCES[:5], NUMBERS[:5])


def test_the_command_reads_a_column_of_numbers(tiny_run, tmp_path, capsys):
    """Of a CSV and of JSON; with --towards they are classes."""
    run = str(shutil.copytree(tiny_run, tmp_path / "run"))
    frame = pd.DataFrame({"text": SENTENCES, "score": [1, 2, 3] * 2})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for file in ("rows.csv", "rows.jsonl"):
        command = ["attribute", "fit", run, str(tmp_path / file), "--label-column", "score"]
        assert main([*command, "--name", "score", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["maximum"] == 3
        assert main([*command, "--name", "score"]) == 0
        assert "along a number from 1 to 3 (6 texts)" in capsys.readouterr().out
        assert main([*command, "--name", "three", "--towards", "3", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["towards"] == "3"
    assert main(["edit", run, "a man", "--attribute", "score", "--strength", "-2"]) == 0


def make_splits(labels):
    """Return the splits of a corpus with these labels."""
    from datasets import Dataset

    return {"train": Dataset.from_dict({"y": list(map(str, labels))})}


@pytest.mark.parametrize(
    "labels",
    [
        [number / 10 for number in range(40)] * 3,
        list(range(18, 70)) * 3,
        [2 * number for number in range(30)] * 3,
        [number * 1.5 for number in range(1000)],
    ],
    ids=["fractions", "ages", "even numbers", "one per sentence"],
)
def test_a_model_is_not_conditioned_on_a_quantity(labels):
    """The message says what to do instead."""
    with pytest.raises(DataError, match=r"different numbers from .* bins .* textvae attribute fit"):
        collect_labels("y", make_splits(labels))


@pytest.mark.parametrize(
    "labels",
    [[1, 2, 3, 4, 5] * 4, [0.5, 1.0, 1.5] * 4, list(range(77)) * 3, list(range(1, 31)) * 2],
    ids=["a scale", "a scale with halves", "ids of classes", "ids from 1"],
)
def test_a_scale_and_ids_of_classes_condition_a_model(labels):
    """They are numbers as well."""
    assert len(collect_labels("y", make_splits(labels)).names) == len(set(labels))
