"""Scores: each sentence's own terms, and the identities between them."""

import math

import pytest
import torch

from tests.linear_gaussian import LinearGaussian, subject
from tests.tiny import SENTENCES, tiny_dataset
from textvae.data.tokenization import encode_batch
from textvae.errors import ConfigError
from textvae.evaluation.measures import MEASURES, EvaluationInput, run_model
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import sample_log_weights

WHOLE = [
    text for text in SENTENCES if len(text.split()) <= 11
]  # the others are longer than a tiny model


def stderr(weights):
    return ImportanceSums.from_log_weights(weights).variance.sqrt()


def test_the_surprisals_of_the_tokens_sum_to_the_reconstruction(vae):
    """One a token and one for the end, whatever padding stood behind; the ELBO follows."""
    for text, record in zip(WHOLE, vae.score(WHOLE, samples=2), strict=True):
        assert sum(record["surprisal"]) == pytest.approx(record["reconstruction"], rel=1e-4)
        assert record["elbo"] == pytest.approx(-record["reconstruction"] - record["kl"])
        assert (
            len(record["surprisal"])
            == record["tokens"]
            == len(encode_batch(vae.tokenizer, [text])[0]) + 1
        )
        assert record["words"] == len(text.split()) + 1
        assert min(record["surprisal"]) >= 0
        assert record["kl"] >= 0


def test_scores_are_the_measures_a_sentence_at_a_time(lstm):
    """The KL exactly; the sampled ones on average over seeds."""
    bundle = lstm.bundle
    dataset = tiny_dataset(bundle, WHOLE)
    of = EvaluationInput(bundle, dataset, run_model(bundle, dataset), 400, 0, False)
    records = lstm.score(WHOLE, samples=400)
    torch.testing.assert_close(
        torch.tensor([record["kl"] for record in records]), of.outputs.kl.sum(1)
    )
    found = sum(record["iw_nll"] for record in records) / len(records)
    error = math.sqrt(sum(record["iw_nll_stderr"] ** 2 for record in records)) / len(records)
    assert found == pytest.approx(MEASURES["likelihood"](of)["iw_nll"], abs=5 * error)


def test_the_importance_weighted_bound_is_below_the_elbos(lstm):
    """On average over seeds, within error."""
    seeds = [lstm.score(SENTENCES, samples=20, seed=seed) for seed in range(20)]
    gaps = torch.tensor(
        [[-record["elbo"] - record["iw_nll"] for record in records] for records in seeds]
    ).mean(1)
    assert gaps.mean() > -2 * gaps.std() / math.sqrt(len(gaps))


def test_the_standard_error_is_what_repetition_shows():
    """Of an inexact posterior of a linear-Gaussian model; with the exact one it is nought."""
    of = subject(LinearGaussian(n=5, shift=0.4, spread=1.3))
    batch = of.bundle.make_batch(of.dataset["input_ids"])
    torch.manual_seed(0)
    draws = [sample_log_weights(of.bundle, batch, 200) for _ in range(300)]
    shown = torch.stack([stderr(weights) for weights in draws]).mean(0)
    repeated = torch.stack([weights.logsumexp(0) for weights in draws]).std(0)
    torch.testing.assert_close(shown, repeated, rtol=0.2, atol=0)
    exact = subject(LinearGaussian(n=5))
    assert stderr(sample_log_weights(exact.bundle, batch, 50)).max() < 1e-5


def test_the_order_is_kept_and_the_seed_is_the_scores_own(lstm):
    """Whatever lengths were batched together; global random numbers are left alone."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    records = lstm.score(SENTENCES, samples=2)
    assert torch.equal(torch.rand(1), expected)
    assert records == lstm.score(SENTENCES, samples=2)
    assert records != lstm.score(SENTENCES, samples=2, seed=1)
    alone = [lstm.score(text, samples=2)[0]["kl"] for text in SENTENCES]
    assert [record["kl"] for record in records] == pytest.approx(alone, rel=1e-4)


def test_a_text_longer_than_the_model_is_scored_as_far_as_it_goes_and_says_so(lstm):
    """Words are counted on what was scored."""
    words = ["a", "man", "rides"] * 20
    long, short = lstm.score([" ".join(words), " ".join(words[:11])], samples=2)
    assert (long["is_cut"], short["is_cut"]) == (True, False)
    assert long["tokens"] == short["tokens"] == long["words"] == short["words"] == 12
    assert long["kl"] == pytest.approx(short["kl"], rel=1e-5)


def test_nothing_in_nothing_out_and_one_sample_is_refused(lstm):
    """A single sample has no error to show."""
    assert lstm.score([]) == []
    with pytest.raises(ConfigError, match=r"score\.samples = 1 does not fit"):
        lstm.score("a man", samples=1)
