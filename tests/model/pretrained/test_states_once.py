"""What does not depend on z is computed once per batch, however many samples of z there are."""

from contextlib import nullcontext

import pytest
import torch
from datasets import Dataset

from tests.model.pretrained.families import CORPUS
from tests.model.pretrained.test_contract import batch_of, build
from textvae.data.tokenization import encode_batch
from textvae.evaluation.measures import MEASURES
from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.outputs import run_model
from textvae.inference import likelihood
from textvae.inference.likelihood import sample_log_weights, sample_terms
from textvae.model.decoders import side_tuned
from textvae.uses.latent_proposals import log_evidence
from textvae.uses.score import score
from textvae.uses.settings import ScoreSettings

# The decoder, its conditioning, and where z enters: at the side, or at half of the layers.
CASES = [("side", "every_step"), (0.5, "memory")]


@pytest.fixture(autouse=True)
def _single_precision(monkeypatch):
    """Compute in single precision, so that the results of two ways agree closely."""
    monkeypatch.setattr(side_tuned, "compute_in_bf16", lambda device: nullcontext())


@pytest.fixture(params=CASES, ids=["side", "entry"])
def bundle(request, bases, monkeypatch):
    """A model whose samples go through the decoder in many portions."""
    entry, conditioning = request.param
    monkeypatch.setattr(likelihood, "_MAX_DECODER_TOKENS", 100)
    return build(bases, conditioning=[conditioning], entry=entry)


@pytest.fixture
def calls(bundle, monkeypatch):
    """The number of tokens of each pass through the layers that do not depend on z."""
    seen: list[int] = []
    compute = type(bundle.model.decoder).compute_lower_states

    def watched(decoder, embedded, *args, **options):
        seen.append(len(embedded))
        return compute(decoder, embedded, *args, **options)

    monkeypatch.setattr(type(bundle.model.decoder), "compute_lower_states", watched)
    return seen


def test_importance_weights_run_the_frozen_layers_once_per_batch(bundle, calls, monkeypatch):
    """The weights are those of separate passes for each portion of the samples."""
    batch = {**batch_of(bundle), "noise_seeds": torch.arange(len(CORPUS))}
    shared = sample_log_weights(bundle, batch, 9)
    assert calls == [len(CORPUS)]
    monkeypatch.setattr(likelihood, "add_decoder_states", lambda model, batch: batch)
    separate = sample_log_weights(bundle, batch, 9)
    assert len(calls) > 4
    torch.testing.assert_close(shared, separate, rtol=0, atol=0)


def test_the_terms_of_a_score_run_the_frozen_layers_once_per_batch(bundle, calls, monkeypatch):
    """The costs of all tokens are those of separate passes."""
    batch = {**batch_of(bundle), "noise_seeds": torch.arange(len(CORPUS))}
    shared = sample_terms(bundle, batch, 9)
    assert calls == [len(CORPUS)]
    monkeypatch.setattr(likelihood, "add_decoder_states", lambda model, batch: batch)
    separate = sample_terms(bundle, batch, 9)
    torch.testing.assert_close(shared.token_nll, separate.token_nll, rtol=0, atol=0)


def test_score_and_evaluate_run_the_frozen_layers_once_per_batch(bundle, calls):
    """All sentences fit into a single batch."""
    score(bundle, CORPUS, ScoreSettings(samples=50))
    assert calls == [len(CORPUS)]
    ids = encode_batch(bundle.tokenizer, CORPUS)
    counts = [len(row) for row in ids]
    columns = {"input_ids": ids, "length": counts, "words": counts, "bytes": counts}
    dataset = Dataset.from_dict(columns)
    outputs = run_model(bundle, dataset)
    inputs = EvaluationInput(bundle, dataset, outputs, 50, 0, progress=False)
    calls.clear()
    MEASURES["likelihood"](inputs)
    assert calls == [len(CORPUS)]


def test_infilling_weighs_its_latents_in_one_pass_of_the_frozen_layers(bundle, calls):
    """The text is the same for all latents."""
    log_evidence(bundle, CORPUS[0], 64, seed=0)
    assert calls == [1]
