"""Uncertainty: the spread of the posterior, and the disagreement of decoded samples."""

import json
import math
from typing import Any

import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.data.tokenization import encode_batch
from textvae.errors import ConfigError
from textvae.model.posteriors import DiagonalGaussian
from textvae.uses.uncertainty import (
    calibration_curve,
    entropies,
    selective_errors,
    word_difference,
)


def test_the_word_difference_is_a_share_of_words():
    """It is 0 for equal texts, 1 for texts without a common word, and 0 for two empty texts."""
    assert word_difference("a man rides", "a man rides") == 0
    assert word_difference("a man rides", "two dogs sleep") == 1
    assert word_difference("a man rides a horse", "a man rides a bike") == pytest.approx(1 / 5)
    assert word_difference("", "") == 0
    assert word_difference("a man", "") == 1


def test_the_word_difference_does_not_depend_on_the_order_of_the_texts():
    """It counts the longest common subsequence, here `b c d`, and not the longest block first."""
    one, other = "b c x a a d", "a a b c d"
    assert word_difference(one, other) == word_difference(other, one)
    assert word_difference(one, other) == pytest.approx(1 - 2 * 3 / 11)


def test_a_text_has_the_same_uncertainty_alone_and_among_others(lstm):
    """Its samples depend on the seed and on the text alone."""
    among = lstm.uncertainty(SENTENCES, draws=3, seed=2)
    for text, record in zip(SENTENCES, among, strict=True):
        alone = lstm.uncertainty(text, draws=3, seed=2)[0]
        # Matrix products of other sizes add up in another order.
        rounded = {
            key: pytest.approx(record[key], rel=1e-5) for key in ("spread", "nats_per_token")
        }
        assert alone == {**record, **rounded}


def test_spread_is_the_entropy_of_the_posterior():
    """For a Gaussian it is half of log(2 pi e variance) per dimension."""
    torch.manual_seed(0)
    logvar = torch.tensor([[0.0, -1.0], [2.0, 1.0], [-4.0, 0.0]])
    q = DiagonalGaussian(torch.randn(3, 2), logvar)
    z = torch.stack([q.sample() for _ in range(20_000)], dim=1)
    exact = 0.5 * (math.log(2 * math.pi * math.e) + logvar.mean(1))
    torch.testing.assert_close(torch.tensor(entropies(q, z)), exact, atol=0.02, rtol=0)


def test_each_text_has_one_record_and_the_same_seed_gives_the_same(vae):
    """Records keep the order of the texts."""
    records = vae.uncertainty(SENTENCES, draws=3)
    assert records == vae.uncertainty(SENTENCES, draws=3)
    assert [record["reconstruction"] for record in records] == vae.reconstruct(SENTENCES)
    for record in records:
        assert 0 <= record["disagreement"] <= 1
        assert 0 <= record["error"] <= 1
    assert vae.uncertainty([]) == []


def test_a_posterior_without_noise_has_no_disagreement_and_no_spread():
    """All of its samples are one point, which has no density."""
    vae = tiny_vae()
    config = type(vae.model.config)(
        **{**vae.model.config.to_dict(), "posterior_settings": {"kind": "deterministic"}}
    )
    model = type(vae)(type(vae.model)(config), vae.tokenizer)
    model.model.generation_config.update(max_new_tokens=12)
    for record in model.uncertainty(SENTENCES):
        assert record["disagreement"] == 0
        assert record["spread"] is None


def test_the_cost_is_that_of_the_text_alone_at_its_posterior_mean(vae):
    """Other texts in the call do not change it, and its end counts as a token."""
    together = [record["nats_per_token"] for record in vae.uncertainty(SENTENCES, draws=2)]
    for text, cost in zip(SENTENCES, together, strict=True):
        ids = encode_batch(vae.tokenizer, [text])[0][: vae.bundle.max_text_tokens]
        batch = vae.bundle.make_batch([ids])
        tensors = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        with torch.no_grad():
            q = vae.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
            nats = vae.model(**tensors, latent=q.mean).sentence_reconstruction
        assert cost == pytest.approx(float(nats) / (len(ids) + 1), rel=1e-5)


def test_the_error_of_a_cut_text_is_that_of_its_beginning(lstm):
    """The model never reads the rest; `is_cut` says so, and nothing else differs."""
    words = ["a", "man", "rides"] * 20
    beginning = " ".join(words[: lstm.bundle.max_text_tokens])
    long, short = lstm.uncertainty([" ".join(words), beginning], draws=2)
    assert (long["is_cut"], short["is_cut"]) == (True, False)
    assert long["error"] == word_difference(beginning, long["reconstruction"])
    assert {**long, "is_cut": False} == pytest.approx(short, rel=1e-5)


def test_selective_errors_are_those_of_the_most_certain_texts():
    """The last one is the error of all texts; with fewer texts than groups, some are left out."""
    records = [{"spread": -float(at), "error": at / 10} for at in range(10)]
    curve = selective_errors(records, "spread", 5)
    assert [share for share, _ in curve] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [error for _, error in curve] == pytest.approx([0.85, 0.75, 0.65, 0.55, 0.45])
    assert selective_errors(records[:1], "spread") == [(share / 10, 0.0) for share in range(6, 11)]


def test_the_calibration_curve_goes_from_most_to_least_certain():
    """Groups have equal size; with fewer texts than groups, each text is a group."""
    records = [{"spread": float(at % 7), "error": at % 7 / 10} for at in range(70)]
    expected: list[Any] = [(float(group), pytest.approx(group / 10)) for group in range(7)]
    assert calibration_curve(records, "spread", 7) == expected
    assert len(calibration_curve(records[:3], "spread")) == 3


def test_a_language_model_has_no_uncertainty():
    """It has no posterior."""
    vae = tiny_vae()
    config = type(vae.model.config)(**{**vae.model.config.to_dict(), "latent_dim": 0})
    with pytest.raises(ConfigError, match="is a language model"):
        type(vae)(type(vae.model)(config), vae.tokenizer).uncertainty(SENTENCES)


def test_the_command_prints_one_line_per_sentence(tiny_run, tmp_path, capsys):
    """With `--curve` it prints one line per group instead."""
    file = tmp_path / "some.txt"
    file.write_text("a man rides a wave.\nthe dog likes his hat.\ntwo boys see a bike.\n")
    command = ["uncertainty", str(tiny_run), str(file), "--draws", "2", "--device", "cpu", "--json"]
    assert main(command) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == file.read_text().splitlines()
    assert main([*command, "--curve"]) == 0
    groups = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(group) for group in groups] == [{"nats_per_token", "error", "selective_error"}] * 3
    costs = [group["nats_per_token"] for group in groups]
    assert costs == sorted(costs)


def test_the_command_says_which_sentences_were_cut(tiny_run, tmp_path, capsys):
    """The note is on the line of the sentence."""
    file = tmp_path / "some.txt"
    file.write_text(f"a man rides a wave.\n{'a man rides ' * 60}\n")
    command = ["uncertainty", str(tiny_run), str(file), "--draws", "2", "--device", "cpu"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["only the beginning was read" in line for line in lines] == [False, False, True, False]
