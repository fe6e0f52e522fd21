"""Anomalies: scores of texts, and p-values that are valid for every model."""

import json
import shutil

import numpy as np
import pytest
import torch

from tests.corpora import prepared
from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.settings.reading import read_settings
from textvae.uses.anomaly import (
    SCORE_FUNCTIONS,
    anomaly_scores,
    conformal_p_values,
)
from textvae.uses.settings import AnomalySettings
from textvae.vae import TextVAE

NORMAL = [f"{first} {second}" for first in SENTENCES[:5] for second in SENTENCES[:5]]


def test_a_normal_text_has_a_p_value_below_alpha_with_probability_alpha():
    """For exchangeable scores, ties included, P(p <= alpha) is at most alpha, and close to it."""
    random = np.random.default_rng(0)
    draws = random.normal(size=(4000, 40)).round(1)
    p = np.array([conformal_p_values(np.sort(row[1:]), row[:1])[0] for row in draws])
    for alpha in (0.05, 0.1, 0.5):
        assert alpha * 0.7 < (p <= alpha).mean() <= alpha + 0.015


def test_p_values_lie_between_1_and_1_over_n_plus_1():
    """A normal score equal to the text's counts as at least as anomalous."""
    normal = np.array([1.0, 2.0, 2.0, 3.0])
    assert conformal_p_values(normal, np.array([0.0, 2.0, 9.0])).tolist() == [1.0, 0.8, 0.2]


@pytest.mark.parametrize("score", SCORE_FUNCTIONS)
def test_a_score_does_not_depend_on_the_other_texts(vae, score):
    """The batch changes only the noise of the estimate; the same seed gives the same scores."""
    settings = AnomalySettings(score=score, draws=200)
    together = anomaly_scores(vae.bundle, SENTENCES, settings)
    alone = np.concatenate([anomaly_scores(vae.bundle, [text], settings) for text in SENTENCES])
    np.testing.assert_allclose(together, alone, rtol=0.15)
    assert np.array_equal(together, anomaly_scores(vae.bundle, SENTENCES, settings))


def test_the_reconstruction_score_is_that_of_score_per_token(lstm):
    """The same number of samples under the same seed gives the same nats."""
    scores = anomaly_scores(lstm.bundle, SENTENCES, AnomalySettings(draws=2, seed=3))
    records = lstm.score(SENTENCES, samples=2, seed=3)
    expected = [record["reconstruction"] / record["tokens"] for record in records]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_a_calibration_is_saved_with_the_run(lstm, tmp_path):
    """After loading it gives the same p-values; that of another model is refused."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert vae.fit_anomaly(NORMAL, "talk")["texts"] == 25
    rows = TextVAE.from_pretrained(tmp_path, device="cpu").anomaly(SENTENCES, "talk")
    assert rows == vae.anomaly(SENTENCES, "talk")
    assert vae.anomaly([], "talk") == []
    p_values = [row["p_value"] for row in rows]
    assert all(value is not None and 0 < value <= 1 for value in p_values)
    long, short = vae.anomaly(["a man rides " * 20, "a man"], "talk")
    assert long["is_cut"]
    assert not short["is_cut"]
    with pytest.raises(CheckpointError, match="another model's latents"):
        TextVAE(tiny_vae(seed=1).model, vae.tokenizer, tmp_path).anomaly(SENTENCES, "talk")


def test_only_the_beginning_of_a_too_long_text_is_scored(lstm):
    """Its score is that of its first tokens alone."""
    words = " ".join(SENTENCES).split()
    beginning = words[: lstm.bundle.max_text_tokens]
    settings = AnomalySettings()
    np.testing.assert_allclose(
        anomaly_scores(lstm.bundle, [" ".join(words)], settings),
        anomaly_scores(lstm.bundle, [" ".join(beginning)], settings),
    )


def test_a_calibration_that_cannot_give_p_values_is_refused(lstm, tmp_path):
    """Too few normal texts, an unknown score, no calibration, or a model without a likelihood."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(DataError, match="got 18 normal sentences, need at least 19"):
        vae.fit_anomaly(NORMAL[:18])
    with pytest.raises(ConfigError, match="did you mean 'elbo'"):
        vae.fit_anomaly(NORMAL, score="elbow")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="no anomaly was fitted"):
        vae.anomaly(SENTENCES)
    with torch.no_grad(), pytest.raises(ConfigError, match="defines no likelihood"):
        SCORE_FUNCTIONS["elbo"](without_density(vae).bundle, vae.bundle.make_batch([[4, 5]]), 1)


def without_density(vae: TextVAE) -> TextVAE:
    """Return an autoencoder of the same sizes."""
    config = type(vae.model.config)(
        **{**vae.model.config.to_dict(), "posterior_settings": {"kind": "deterministic"}}
    )
    return TextVAE(type(vae.model)(config), vae.tokenizer)


def test_the_commands_calibrate_and_score(tiny_run, tmp_path, capsys):
    """They print one JSON object per sentence; scoring before calibrating ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    run = str(tmp_path / "run")
    file = tmp_path / "some.txt"
    file.write_text("\n".join(NORMAL) + "\n")
    assert main(["anomaly", "score", run, str(file)]) == 2
    assert "no anomaly was fitted" in capsys.readouterr().err
    assert main(["anomaly", "fit", run, str(file), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == 25
    assert main(["anomaly", "score", run, str(file), "--json", "--device", "cpu"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == NORMAL


def test_a_calibration_with_another_label_is_refused(tmp_path):
    """The score of a sentence depends on the label, so the p-values would mean nothing."""
    tiny_vae(labels={"bad": 3, "good": 3}).save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    good, bad = vae.with_label("good"), vae.with_label("bad")
    assert good.fit_anomaly(NORMAL)["label"] == "good"
    assert len(good.anomaly(SENTENCES)) == len(SENTENCES)
    with pytest.raises(
        ConfigError, match=r"label = 'bad': the normal texts were scored with .*good"
    ):
        bad.anomaly(SENTENCES)


@pytest.mark.parametrize("score", SCORE_FUNCTIONS)
def test_a_sentence_has_the_same_score_alone_and_among_others(lstm, score):
    """Only rounding depends on the other sentences."""
    settings = AnomalySettings(score=score, draws=3)
    among = anomaly_scores(lstm.bundle, SENTENCES, settings)
    alone = [anomaly_scores(lstm.bundle, [text], settings)[0] for text in SENTENCES]
    np.testing.assert_allclose(among, alone, rtol=1e-4)


def test_normal_sentences_that_were_trained_on_are_counted(tmp_path, capsys):
    """They have better scores than new sentences."""
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join(f"{text} {number}" for text in SENTENCES for number in range(9)))
    (tmp_path / "run").mkdir()
    _, splits = prepared(tmp_path / "run" / "corpus", str(file))
    tiny_vae().save_pretrained(tmp_path / "run")
    vae = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    read_settings(overrides=["data.lowercase=true"]).save(tmp_path / "run" / "settings.yaml")
    known = [text.upper() for text in splits["train"][:2]["text"]]
    vae.fit_anomaly([*NORMAL, *known])
    assert "2 of 27 normal sentences are training sentences" in capsys.readouterr().err
    vae.fit_anomaly(NORMAL)
    assert "training sentences" not in capsys.readouterr().err
