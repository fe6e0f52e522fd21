"""Uncertainty: what is the same every time is sure, and what differs is not."""

import json
import math

import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.errors import ConfigError
from textvae.model.posteriors import DiagonalGaussian
from textvae.uses.uncertainty import calibration_curve, entropies, word_difference


def test_difference_is_a_share_of_words():
    """Nothing for the same text, one for nothing in common, the same in both directions of a swap of words."""
    assert word_difference("a man rides", "a man rides") == 0
    assert word_difference("a man rides", "two dogs sleep") == 1
    assert word_difference("a man rides a horse", "a man rides a bike") == pytest.approx(1 / 5)
    assert word_difference("", "") == 0


def test_spread_is_the_entropy_of_the_posterior():
    """Of a Gaussian, half of log(2 pi e variance) a dimension."""
    torch.manual_seed(0)
    logvar = torch.tensor([[0.0, -1.0], [2.0, 1.0], [-4.0, 0.0]])
    q = DiagonalGaussian(torch.randn(3, 2), logvar)
    z = torch.stack([q.sample() for _ in range(20_000)], dim=1)
    exact = 0.5 * (math.log(2 * math.pi * math.e) + logvar.mean(1))
    torch.testing.assert_close(torch.tensor(entropies(q, z)), exact, atol=0.02, rtol=0)


def test_each_text_has_its_own_record_and_the_same_seed_the_same(vae):
    """In the order given; a batch changes nothing of what is not drawn."""
    records = vae.uncertainty(SENTENCES, draws=3)
    assert records == vae.uncertainty(SENTENCES, draws=3)
    assert [record["reconstruction"] for record in records] == vae.reconstruct(SENTENCES)
    assert all(0 <= record["disagreement"] <= 1 and 0 <= record["error"] <= 1 for record in records)
    assert vae.uncertainty([]) == []


def test_a_posterior_without_noise_disagrees_with_nothing():
    """Its draws are one point: no disagreement, and no spread to speak of."""
    vae = tiny_vae()
    config = type(vae.model.config)(
        **{**vae.model.config.to_dict(), "posterior": {"kind": "deterministic"}}
    )
    model = type(vae)(type(vae.model)(config), vae.tokenizer)
    model.model.generation_config.update(max_new_tokens=12)
    assert {(row["disagreement"], row["spread"]) for row in model.uncertainty(SENTENCES)} == {
        (0.0, None)
    }


def test_the_curve_goes_from_the_surest_to_the_least_sure():
    """Groups of equal size; fewer texts than groups give as many as there are."""
    records = [{"spread": float(at % 7), "error": at % 7 / 10} for at in range(70)]
    assert calibration_curve(records, "spread", 7) == [
        (float(at), pytest.approx(at / 10)) for at in range(7)
    ]
    assert len(calibration_curve(records[:3], "spread")) == 3


def test_a_language_model_has_none():
    """It has no posterior."""
    vae = tiny_vae()
    config = type(vae.model.config)(**{**vae.model.config.to_dict(), "latent_dim": 0})
    with pytest.raises(ConfigError, match="is a language model"):
        type(vae)(type(vae.model)(config), vae.tokenizer).uncertainty(SENTENCES)


def test_the_command_prints_a_line_a_sentence(tiny_run, tmp_path, capsys):
    """Texts under `text`; `--curve` the groups instead."""
    file = tmp_path / "some.txt"
    file.write_text("a man rides a wave.\nthe dog likes his hat.\ntwo boys see a bike.\n")
    command = ["uncertainty", str(tiny_run), str(file), "--draws", "2", "--device", "cpu", "--json"]
    assert main(command) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == file.read_text().splitlines()
    assert main([*command, "--curve"]) == 0
    assert [set(json.loads(line)) for line in capsys.readouterr().out.splitlines()] == [
        {"disagreement", "error"}
    ] * 3
