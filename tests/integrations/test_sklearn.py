"""The scikit-learn transformer, used like those of scikit-learn itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from tests.tiny_run import SENTENCES, SETTINGS
from textvae.errors import ConfigError, DataError, ShapeError, TextVAEError
from textvae.integrations.sklearn import TextVAETransformer
from textvae.vae import TextVAE

LABELS = ["boat" if "wave" in text else "land" for text in SENTENCES]
CHECKS = (  # scikit-learn's own checks that do not need numbers as input
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_an_estimator(check, tiny_run):
    """It passes scikit-learn's own checks."""
    getattr(estimator_checks, check)("TextVAETransformer", TextVAETransformer(str(tiny_run)))


def test_it_returns_the_posterior_means_of_its_run(tiny_run):
    """Lists and arrays of texts are equivalent, and so is a clone of the transformer."""
    transformer = TextVAETransformer(tiny_run, features="mean", device="cpu").fit(SENTENCES)
    means = TextVAE.from_pretrained(tiny_run, device="cpu").encode(SENTENCES)
    array = np.array(SENTENCES, dtype=object)
    np.testing.assert_allclose(transformer.transform(array), means, atol=1e-6)
    copied = clone(transformer).fit(SENTENCES)
    np.testing.assert_allclose(copied.transform(SENTENCES[:3]), means[:3], atol=1e-6)


def test_the_columns_have_numbered_names(tiny_run):
    """They are also the names of the columns of a DataFrame."""
    transformer = TextVAETransformer(tiny_run, features="mean", device="cpu").fit(SENTENCES)
    names = transformer.get_feature_names_out().tolist()
    assert names == [f"textvaetransformer{number}" for number in range(4)]
    frame = transformer.set_output(transform="pandas").transform(SENTENCES[:2])
    assert list(frame.columns) == names


def test_it_takes_the_column_of_a_frame(tiny_run):
    """A frame of one column, and an array of one, are the texts; a frame keeps its index."""
    frame = pd.DataFrame({"text": SENTENCES[:4], "n": range(4)}, index=[5, 6, 7, 8])
    transformer = TextVAETransformer(tiny_run, features="mean", device="cpu").fit(frame[["text"]])
    expected = transformer.transform(SENTENCES[:4])
    for texts in (frame["text"], frame[["text"]], frame[["text"]].to_numpy()):
        np.testing.assert_allclose(transformer.transform(texts), expected, atol=1e-6)
    columns = ColumnTransformer([("z", transformer, ["text"]), ("n", "passthrough", ["n"])])
    written = columns.set_output(transform="pandas").fit_transform(frame)
    assert list(written.index) == [5, 6, 7, 8]
    assert list(written.columns) == [f"z__textvaetransformer{i}" for i in range(4)] + ["n__n"]
    with pytest.raises(DataError):
        transformer.transform(frame)


@pytest.mark.parametrize("features", ["states", "mean", "gaussian"])
def test_vectors_become_texts_again(tiny_run, features):
    """Those of a text become its reconstruction, from arrays and from frames."""
    transformer = TextVAETransformer(tiny_run, features=features, device="cpu").fit(SENTENCES)
    vectors = transformer.transform(SENTENCES[:5])
    expected = TextVAE.from_pretrained(tiny_run, device="cpu").reconstruct(SENTENCES[:5])
    assert transformer.inverse_transform(vectors).tolist() == expected
    assert transformer.inverse_transform(pd.DataFrame(vectors)).tolist() == expected


def test_other_features_count_only_after_the_next_fit(tiny_run):
    """Until then, the vectors keep the kind and the width that the names of the columns have."""
    transformer = TextVAETransformer(tiny_run, features="mean", device="cpu").fit(SENTENCES)
    means = transformer.transform(SENTENCES[:3])
    texts = transformer.inverse_transform(means).tolist()
    transformer.set_params(features="gaussian")
    np.testing.assert_array_equal(transformer.transform(SENTENCES[:3]), means)
    assert transformer.inverse_transform(means).tolist() == texts
    assert len(transformer.get_feature_names_out()) == 4
    assert transformer.fit(SENTENCES).transform(SENTENCES[:3]).shape == (3, 8)
    assert len(transformer.get_feature_names_out()) == 8


def test_unknown_features_are_refused_before_a_training(tmp_path):
    """No run is begun in `output`."""
    transformer = TextVAETransformer(settings=SETTINGS, output=tmp_path / "run", features="z")
    with pytest.raises(ConfigError, match="features = 'z' is unknown"):
        transformer.fit(SENTENCES)
    assert not (tmp_path / "run").exists()


def test_vectors_may_be_a_tensor_with_a_gradient_or_a_single_one(tiny_run):
    """As those of `TextVAE.decode`."""
    transformer = TextVAETransformer(tiny_run, features="mean", device="cpu").fit(SENTENCES)
    means = transformer.transform(SENTENCES[:3])
    expected = transformer.inverse_transform(means).tolist()
    tensor = torch.from_numpy(means).requires_grad_()
    assert transformer.inverse_transform(tensor).tolist() == expected
    assert transformer.inverse_transform(means[0]).tolist() == expected[:1]


def test_vectors_that_are_none_are_refused(tiny_run):
    """Another width, complex numbers, text, NaN, and use before `fit`."""
    transformer = TextVAETransformer(tiny_run, features="mean", device="cpu")
    with pytest.raises(NotFittedError):
        transformer.inverse_transform(np.zeros((1, 4)))
    transformer.fit(SENTENCES)
    wrong: tuple[tuple[Any, type[Exception]], ...] = (
        (np.zeros((2, 5)), ShapeError),
        (np.zeros(5), ShapeError),
        (np.zeros((0, 5)), ShapeError),
        (np.zeros((2, 4), dtype=complex), DataError),
        ([["a"] * 4], DataError),
        ([[float("nan")] * 4], DataError),
        (None, TextVAEError),
        ("a man", TextVAEError),
    )
    for vectors, error in wrong:
        with pytest.raises(error):
            transformer.inverse_transform(vectors)


def test_it_works_in_a_pipeline_and_a_search(tiny_run):
    """Its parameters can be searched like those of any estimator."""
    pipeline = make_pipeline(TextVAETransformer(tiny_run, device="cpu"), LogisticRegression())
    search = GridSearchCV(pipeline, {"textvaetransformer__features": ["mean", "states"]}, cv=2)
    search.fit(SENTENCES, LABELS)
    assert set(search.predict(SENTENCES)) <= {"boat", "land"}


def test_without_a_run_it_trains_one(tmp_path):
    """It saves the run in `output`."""
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "steps": 2, "evaluations": 1}}
    transformer = TextVAETransformer(settings=settings, output=tmp_path / "run", device="cpu")
    rows = transformer.fit_transform(SENTENCES)
    saved = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    np.testing.assert_allclose(saved.features(SENTENCES), rows, atol=1e-6)


def test_wrong_input_is_refused(tiny_run):
    """One string, no text, a number, settings next to a run and use before `fit` are refused."""
    transformer = TextVAETransformer(tiny_run, device="cpu")
    with pytest.raises(NotFittedError):
        transformer.transform(SENTENCES)
    for texts, message in (
        ("a man", "got one string"),
        ([], "there are no texts"),
        ([3], "expected a string"),
    ):
        with pytest.raises(DataError, match=message):
            transformer.fit(texts)  # type: ignore[arg-type]  # a wrong type, on purpose
    with pytest.raises(ConfigError, match="leave out settings and output, or the run"):
        TextVAETransformer(tiny_run, settings={}).fit(SENTENCES)
    with pytest.raises(ConfigError, match="features = 'z' is unknown"):
        TextVAETransformer(tiny_run, features="z").fit(SENTENCES)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "many"], ids=str)
def test_a_batch_size_that_is_no_count_is_refused(tiny_run, size):
    """As scikit-learn's conventions say, when it is used, and not when it is set."""
    transformer = TextVAETransformer(tiny_run, batch_size=size, device="cpu")
    with pytest.raises(ConfigError, match="batch_size = "):
        transformer.fit(SENTENCES)
    fitted = TextVAETransformer(tiny_run, features="mean", device="cpu").fit(SENTENCES)
    vectors = fitted.transform(SENTENCES[:2])
    fitted.set_params(batch_size=size)
    with pytest.raises(ConfigError, match="batch_size = "):
        fitted.transform(SENTENCES)
    with pytest.raises(ConfigError, match="batch_size = "):
        fitted.inverse_transform(vectors)


WRONG_SETTINGS: dict[str, tuple[Any, str]] = {
    "a list": (["a"], r"settings = \['a'\]: expected a mapping from sections"),
    "an empty list": ([], "expected a mapping from sections"),
    "a number": (3, "expected a mapping from sections"),
    "text": ("training", "expected a mapping from sections"),
    "a number as a key": ({3: {}}, "expected a mapping from sections"),
    "the output": ({"output": "run"}, "settings has 'output', which is not a section"),
    "the device": ({"device": "cpu"}, "settings has 'device', which is not a section"),
    "the corpus": ({"corpus": "captions"}, "settings has 'corpus', which is not a section"),
    "an unknown section": ({"trainig": {}}, "did you mean 'training'"),
}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_settings_that_have_no_sections_are_refused(case):
    """When the transformer is fitted, and before anything is trained."""
    settings, message = WRONG_SETTINGS[case]
    with pytest.raises(ConfigError, match=message):
        TextVAETransformer(settings=settings, device="cpu").fit(SENTENCES)


def test_blank_texts_are_refused_by_their_rows(tiny_run):
    """A blank text has no features, and later steps of a pipeline need a row for every text."""
    transformer = TextVAETransformer(tiny_run, device="cpu").fit(SENTENCES[:3])
    with pytest.raises(
        DataError, match=r"2 of 4 texts are blank \(rows 2, 4\) and have no features"
    ):
        transformer.transform(["a man", "", "the dog", "  "])
    with pytest.raises(DataError, match="are blank"):
        transformer.fit([*SENTENCES[:3], ""])


def test_texts_may_come_from_an_iterator(tiny_run):
    """It is read once, for both steps."""
    together = TextVAETransformer(tiny_run).fit_transform(iter(SENTENCES[:4]))
    np.testing.assert_array_equal(
        together, TextVAETransformer(tiny_run).fit(SENTENCES[:4]).transform(SENTENCES[:4])
    )
