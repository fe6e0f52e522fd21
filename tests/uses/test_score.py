"""Scores: the terms of each sentence, and the identities between them."""

import math

import numpy as np
import pytest
import torch

from tests.linear_gaussian import LinearGaussian, build_inputs
from tests.tiny import SENTENCES, tiny_dataset, tiny_vae
from textvae.data.tokenization import encode_batch
from textvae.errors import ConfigError
from textvae.evaluation.measures import MEASURES, EvaluationInput, run_model
from textvae.inference import likelihood
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import sample_log_weights
from textvae.uses.anomaly import anomaly_scores
from textvae.uses.settings import AnomalySettings

# A tiny model reads at most 11 tokens; longer sentences are cut.
UNCUT = [text for text in SENTENCES if len(text.split()) <= 11]
SPACED = [text.replace(" ", "\n ") for text in UNCUT]


def stderr(weights):
    return ImportanceSums.from_log_weights(weights).variance.sqrt()


def test_the_surprisals_of_the_tokens_sum_to_the_reconstruction(vae):
    """There is one per token and one for the end, without padding; the ELBO follows."""
    for text, record in zip(UNCUT, vae.score(UNCUT, samples=2), strict=True):
        assert sum(record["surprisal"]) == pytest.approx(record["reconstruction"], rel=1e-4)
        assert record["elbo"] == pytest.approx(-record["reconstruction"] - record["kl"])
        tokens = len(encode_batch(vae.tokenizer, [text])[0]) + 1
        assert len(record["surprisal"]) == record["tokens"] == tokens
        assert record["words"] == len(text.split()) + 1
        assert min(record["surprisal"]) >= 0
        assert record["kl"] >= 0


def test_white_space_is_folded_as_in_training(vae, lstm):
    """Unless it is kept, line breaks and repeated spaces change no score of any verb."""
    assert vae.score(SPACED, samples=2) == vae.score(UNCUT, samples=2)
    assert lstm.uncertainty(SPACED, draws=2) == lstm.uncertainty(UNCUT, draws=2)
    settings = AnomalySettings()
    scores = anomaly_scores(lstm.bundle, SPACED, settings)
    np.testing.assert_array_equal(scores, anomaly_scores(lstm.bundle, UNCUT, settings))


def test_kept_white_space_is_scored():
    """A model of texts whose white space is kept reads all of it."""
    vae = tiny_vae("lstm", kind="character")
    before = vae.score(SPACED, samples=2)
    vae.tokenizer.init_kwargs["keeps_white_space"] = True
    assert vae.score(SPACED, samples=2) != before


def test_scores_of_sentences_average_to_the_measures(lstm):
    """The KL of each sentence is exact; the sampled IW-NLL agrees within its error."""
    bundle = lstm.bundle
    dataset = tiny_dataset(bundle, UNCUT)
    inputs = EvaluationInput(bundle, dataset, run_model(bundle, dataset), 400, 0, False)
    records = lstm.score(UNCUT, samples=400)
    kl = torch.tensor([record["kl"] for record in records])
    assert inputs.outputs.kl is not None
    torch.testing.assert_close(kl, inputs.outputs.kl.sum(1))
    iw_nll = sum(record["iw_nll"] for record in records) / len(records)
    error = math.sqrt(sum(record["iw_nll_stderr"] ** 2 for record in records)) / len(records)
    assert iw_nll == pytest.approx(MEASURES["likelihood"](inputs)["iw_nll"], abs=5 * error)


def test_the_importance_weighted_nll_is_at_most_the_negative_elbo(lstm):
    """It holds on average over seeds, within the error."""
    seeds = [lstm.score(SENTENCES, samples=20, seed=seed) for seed in range(20)]
    gaps = torch.tensor(
        [[-record["elbo"] - record["iw_nll"] for record in records] for records in seeds]
    ).mean(1)
    assert gaps.mean() > -2 * gaps.std() / math.sqrt(len(gaps))


def test_the_standard_error_matches_repeated_estimates():
    """It is checked on a linear-Gaussian model; with its exact posterior the error is 0."""
    inexact = build_inputs(LinearGaussian(n=5, shift=0.4, spread=1.3))
    batch = inexact.bundle.make_batch(inexact.dataset["input_ids"])
    torch.manual_seed(0)
    draws = [sample_log_weights(inexact.bundle, batch, 200) for _ in range(300)]
    estimated = torch.stack([stderr(weights) for weights in draws]).mean(0)
    observed = torch.stack([weights.logsumexp(0) for weights in draws]).std(0)
    torch.testing.assert_close(estimated, observed, rtol=0.2, atol=0)
    exact = build_inputs(LinearGaussian(n=5))
    assert stderr(sample_log_weights(exact.bundle, batch, 50)).max() < 1e-5


def test_scores_keep_the_order_and_use_their_own_seed(lstm):
    """Sentences are batched by length; the global random numbers do not change."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    records = lstm.score(SENTENCES, samples=2)
    assert torch.equal(torch.rand(1), expected)
    assert records == lstm.score(SENTENCES, samples=2)
    assert records != lstm.score(SENTENCES, samples=2, seed=1)


def test_only_the_beginning_of_a_too_long_text_is_scored(lstm):
    """`is_cut` reports it, and tokens and words are counted on the beginning."""
    words = ["a", "man", "rides"] * 20
    long, short = lstm.score([" ".join(words), " ".join(words[:11])], samples=2)
    assert (long["is_cut"], short["is_cut"]) == (True, False)
    assert long["tokens"] == short["tokens"] == long["words"] == short["words"] == 12
    assert long["kl"] == pytest.approx(short["kl"], rel=1e-5)


def test_no_text_gives_no_score_and_one_sample_is_refused(lstm):
    """A single sample has no standard error."""
    assert lstm.score([]) == []
    with pytest.raises(ConfigError, match=r"score\.samples = 1 does not fit"):
        lstm.score("a man", samples=1)


@pytest.mark.parametrize("kind", ["gaussian", "language model"])
def test_a_sentence_has_the_same_scores_alone_and_among_others(kind):
    """Only rounding depends on the other sentences, and on their order."""
    vae = tiny_vae() if kind == "gaussian" else without_latent(tiny_vae())
    among = vae.score(SENTENCES, samples=5, seed=3)
    backwards = vae.score(SENTENCES[::-1], samples=5, seed=3)[::-1]
    for text, *records in zip(SENTENCES, among, backwards, strict=True):
        alone = vae.score(text, samples=5, seed=3)[0]
        for record in records:
            assert record == {name: approximately(value) for name, value in alone.items()}


def approximately(value):
    return value if isinstance(value, bool) else pytest.approx(value, rel=1e-4, abs=1e-5)


def without_latent(vae):
    config = type(vae.model.config)(**{**vae.model.config.to_dict(), "latent_dim": 0})
    model = type(vae.model)(config).eval()
    model.generation_config.update(max_new_tokens=12)
    return type(vae)(model, vae.tokenizer)


def test_the_standard_error_of_the_elbo_matches_repeated_estimates(lstm):
    """The ELBO is an average over samples; the error is that of the average."""
    runs = [lstm.score(UNCUT, samples=20, seed=seed) for seed in range(40)]
    elbos = torch.tensor([[record["elbo"] for record in records] for records in runs])
    errors = torch.tensor([[record["elbo_stderr"] for record in records] for records in runs])
    torch.testing.assert_close(errors.mean(0), elbos.std(0), rtol=0.5, atol=0)


def test_the_first_samples_do_not_depend_on_how_many_are_decoded_at_once(lstm, monkeypatch):
    """Portions bound the memory, and change nothing else."""
    batch = lstm.bundle.make_batch(encode_batch(lstm.tokenizer, UNCUT))
    batch["noise_seeds"] = torch.arange(len(UNCUT))
    whole = sample_log_weights(lstm.bundle, batch, 7)
    monkeypatch.setattr(likelihood, "_MAX_DECODER_TOKENS", 2 * batch["input_ids"].numel())
    torch.testing.assert_close(
        sample_log_weights(lstm.bundle, batch, 7), whole, rtol=1e-6, atol=1e-6
    )
