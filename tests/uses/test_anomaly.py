"""Anomalies: p-values that hold whatever the model, from scores that are what they say."""

import json
import shutil

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.uses.anomaly import (
    SCORE_FUNCTIONS,
    AnomalySettings,
    anomaly_scores,
    conformal_p_values,
)
from textvae.vae import TextVAE

NORMAL = [f"{first} {second}" for first in SENTENCES[:5] for second in SENTENCES[:5]]


def test_normal_texts_get_small_p_values_no_more_often_than_they_say():
    """On exchangeable scores, ties included, P(p <= alpha) <= alpha, and nearly alpha."""
    random = np.random.default_rng(0)
    draws = random.normal(size=(4000, 40)).round(1)
    p = np.array([conformal_p_values(np.sort(row[1:]), row[:1])[0] for row in draws])
    for alpha in (0.05, 0.1, 0.5):
        assert alpha * 0.7 < (p <= alpha).mean() <= alpha + 0.015


def test_the_strangest_and_the_least_strange():
    """At most 1, at least 1 / (n + 1); equal scores count as strange."""
    normal = np.array([1.0, 2.0, 2.0, 3.0])
    assert conformal_p_values(normal, np.array([0.0, 2.0, 9.0])).tolist() == [1.0, 0.8, 0.2]


@pytest.mark.parametrize("score", SCORE_FUNCTIONS)
def test_a_score_is_of_its_text_alone(vae, score):
    """Nats a token: of a single draw they are those of `score`; the batch they stand in changes only the noise."""
    settings = AnomalySettings(score=score, draws=200)
    together = anomaly_scores(vae.bundle, SENTENCES, settings)
    alone = np.concatenate([anomaly_scores(vae.bundle, [text], settings) for text in SENTENCES])
    np.testing.assert_allclose(together, alone, rtol=0.15)
    assert np.array_equal(together, anomaly_scores(vae.bundle, SENTENCES, settings))


def test_the_reconstruction_score_is_that_of_score_a_token(lstm):
    """One draw under one seed gives the same nats."""
    mine = anomaly_scores(lstm.bundle, SENTENCES, AnomalySettings(draws=1, seed=3))
    theirs = lstm.score(SENTENCES, samples=2, seed=3)
    np.testing.assert_allclose(
        mine, [row["reconstruction"] / row["tokens"] for row in theirs], rtol=1e-5
    )


def test_a_calibration_is_kept_with_the_run(lstm, tmp_path):
    """Loaded again it gives the same p-values; another model's is refused."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert vae.fit_anomaly(NORMAL, "talk")["texts"] == 25
    found = TextVAE.from_pretrained(tmp_path, device="cpu").anomaly(SENTENCES, "talk")
    assert found == vae.anomaly(SENTENCES, "talk")
    assert vae.anomaly([], "talk") == []
    assert all(0 < row["p_value"] <= 1 for row in found)
    assert [row["is_cut"] for row in vae.anomaly(["a man rides " * 20, "a man"], "talk")] == [
        True,
        False,
    ]
    with pytest.raises(CheckpointError, match="another model's latents"):
        TextVAE(tiny_vae(seed=1).model, vae.tokenizer, tmp_path).anomaly(SENTENCES, "talk")


def test_longer_texts_than_the_model_holds_are_cut(lstm):
    """Scored is the beginning."""
    text = " ".join(SENTENCES)
    kept = text.split()[: lstm.bundle.max_length - 1]
    settings = AnomalySettings()
    np.testing.assert_allclose(
        *(anomaly_scores(lstm.bundle, [words], settings) for words in (text, " ".join(kept)))
    )


def test_what_gives_no_p_value_is_refused(lstm, tmp_path):
    """Too few normal texts, a score there is not, a likelihood where there is none."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(DataError, match="18 normal sentences: wanted are 19 or more"):
        vae.fit_anomaly(NORMAL[:18])
    with pytest.raises(ConfigError, match="did you mean 'elbo'"):
        vae.fit_anomaly(NORMAL, score="elbow")
    with pytest.raises(CheckpointError, match="no anomaly was fitted"):
        vae.anomaly(SENTENCES)
    with torch.no_grad(), pytest.raises(ConfigError, match="gives no likelihood"):
        SCORE_FUNCTIONS["elbo"](without_density(vae).bundle, vae.bundle.make_batch([[4, 5]]), 1)


def without_density(vae: TextVAE) -> TextVAE:
    """Return an autoencoder of the same sizes."""
    config = type(vae.model.config)(
        **{**vae.model.config.to_dict(), "posterior": {"kind": "deterministic"}}
    )
    return TextVAE(type(vae.model)(config), vae.tokenizer)


def test_the_commands_calibrate_and_score(tiny_run, tmp_path, capsys):
    """One JSON object a sentence; a step that came too early ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    run, file = str(tmp_path / "run"), tmp_path / "some.txt"
    file.write_text("\n".join(NORMAL) + "\n")
    assert main(["anomaly", "score", run, str(file)]) == 2
    assert "no anomaly was fitted" in capsys.readouterr().err
    assert main(["anomaly", "fit", run, str(file), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == 25
    assert main(["anomaly", "score", run, str(file), "--json", "--device", "cpu"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == NORMAL
