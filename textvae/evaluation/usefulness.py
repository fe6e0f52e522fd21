"""Whether a run is useful: its corpus, a trigram model as a baseline, overfitting, the prior.

The measures of the latent alone call a model healthy that predicts sentences worse than
a table of word counts. So the doctor also compares the run with what costs seconds: a
trigram model (see `measures.ngrams`) of the same training sentences, in the run's own
tokens, so that both predict the same outcomes.

The cost of a sentence under the model is first taken from the ELBO. Only if that is
worse than the baseline, it is computed again by importance sampling on fewer sentences,
because the ELBO of a good model may be a few nats too low.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from textvae.data.corpus_report import compute_shares
from textvae.data.tokenization import encode_batch
from textvae.evaluation.measures import EvaluationInput, Measure, run_model
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.written_texts import strip_special_tokens
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.generate import sample_labels, sample_prior
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.objective.techniques.base import ObjectiveTerm
from textvae.runs.run import Run
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.runtime.spacing import take_evenly

_BASELINE_ORDER = 3
_MAX_BASELINE_TRAINING = 50_000  # sentences, evenly spaced
_MAX_COMPARED = 500  # sentences whose cost is compared with the baseline's
_MAX_SAMPLED = 200  # sentences with importance samples
_IMPORTANCE_SAMPLES = 50
# Multiplications that importance sampling may take; a large decoder gets fewer sentences.
_MAX_SAMPLING_WORK = 1e12
_MIN_SAMPLED = 10
_MAX_TRAINING_CHECKED = 200  # training sentences whose bound is compared with the held-out one
_MAX_TOKENIZER_CHECKED = 64
_MAX_TRIMMED_TOKENS = 4  # of a cut sentence, in addition: the parts of half a character
_PRIOR_SAMPLES = 2000

_Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class UsefulnessChecks:
    """The checks of a run, each a measure.

    Attributes:
        is_own_split: whether the evaluated sentences are a split of the run, and not of a file.
        is_validation: whether they are those of the evaluations during training.
    """

    run: Run
    bundle: Bundle
    is_own_split: bool = True
    is_validation: bool = False

    @property
    def measures(self) -> dict[str, Measure]:
        """The checks by name."""
        return {
            "corpus_shares": self.check_corpus,
            "tokenizer": self.check_tokenizer,
            "baseline": self.compare_with_baseline,
            "samples_fit": self.check_samples,
            "overfitting": self.check_overfitting,
            "prior_gap": self.measure_prior_gap,
        }

    def check_corpus(self, inputs: EvaluationInput) -> dict[str, float]:
        """Return the shares of the corpus that were cut, unknown, copied or shared.

        `unknown_share` is that of the evaluated sentences if it is higher.
        """
        unknown = _compute_unknown_share(inputs.bundle, inputs.dataset)
        counts = self.run.read_counts()
        if not counts:
            return {"unknown_share": unknown}
        shares: dict[str, Any] = {**compute_shares(counts)}
        shares["unknown_share"] = max(unknown, shares["unknown_share"])
        if self.run.is_streamed():
            del shares["training_sentences"]  # those of the sample
        return shares

    def check_tokenizer(self, inputs: EvaluationInput) -> dict[str, float]:
        """Return the share of sentences whose stored tokens are not those of the tokenizer.

        Cut sentences do not count: the tokens of a part are not always a part of the tokens.
        """
        columns = inputs.dataset[:_MAX_TOKENIZER_CHECKED]
        encoded = encode_batch(self.bundle.tokenizer, columns["text"])
        shortest_cut = self.run.read_settings().data.max_tokens - _MAX_TRIMMED_TOKENS
        is_other = [
            list(stored) != ids
            for stored, ids in zip(columns["input_ids"], encoded, strict=True)
            if len(stored) < shortest_cut
        ]
        if not is_other:
            return {}
        return {"retokenized_share": sum(is_other) / len(is_other)}

    def compare_with_baseline(self, inputs: EvaluationInput) -> dict[str, float]:
        """Return the cost of a sentence under the model and under a trigram model, in nats.

        `model_nll` and `trigram_nll` are averages over the same sentences, and
        `model_nll_stderr` is the standard error of their difference. Without a likelihood there
        is only the reconstruction, which may be low because z has the whole sentence. It is
        compared only if it is the higher one: then it says that the model is worse.
        """
        trigrams = self._trigrams
        if trigrams is None:
            return {}
        rows = take_evenly(range(len(inputs.dataset)), _MAX_COMPARED)
        baseline = _compute_sentence_costs(trigrams, inputs.dataset[rows]["input_ids"])
        model = inputs.outputs.reconstruction.double().numpy()[rows]
        kl = inputs.outputs.kl
        if kl is not None and self._has_likelihood:
            bound = model + kl.double().sum(1).numpy()[rows]
            if bound.mean() > baseline.mean() > model.mean() and inputs.outputs.mean.shape[1]:
                chosen = _choose_sampled(inputs, len(rows))
                rows = [rows[index] for index in chosen]
                baseline = baseline[chosen]
                bound = _sample_sentence_costs(inputs, rows)
            model = bound
        elif model.mean() <= baseline.mean():
            return {}
        difference = model - baseline
        error = difference.std() / math.sqrt(len(difference))
        return {
            "model_nll": float(model.mean()),
            "trigram_nll": float(baseline.mean()),
            "model_nll_stderr": float(error),
        }

    def check_samples(self, inputs: EvaluationInput) -> dict[str, float]:
        """Return the cost per token of samples and of real sentences under the trigram model."""
        if self._trigrams is None:
            return {}
        tokenizer = inputs.bundle.tokenizer
        samples = [strip_special_tokens(tokenizer, row)[0] for row in inputs.texts.few_samples]
        real = inputs.dataset[: len(samples)]["input_ids"]
        return {
            "sample_token_nll": _compute_token_cost(self._trigrams, samples),
            "real_token_nll": _compute_token_cost(self._trigrams, real),
        }

    def check_overfitting(self, inputs: EvaluationInput) -> dict[str, float]:
        """Return the bounds of training and held-out sentences, and how far the ELBO has fallen.

        `training_cost` and `held_out_cost` are -ELBO in nats, or the reconstruction without a
        KL. `elbo_fall` is the fall of the validation ELBO from its best value in training,
        and `elbo_change` its change since the model was saved.
        """
        record: dict[str, float] = {}
        if self.is_own_split and self._training_split is not None:
            train = self._training_split
            rows = take_evenly(range(len(train)), _MAX_TRAINING_CHECKED)
            outputs = run_model(inputs.bundle, train.select(rows), inputs.seed)
            record["training_cost"] = _compute_mean_cost(outputs)
            record["held_out_cost"] = _compute_mean_cost(inputs.outputs)
        log = self.run.read_json("training.json")
        step = log.get("kept_step")
        if step is None or not self._has_likelihood:
            return record
        fall = compute_elbo_fall(log["history"], step)
        if fall is not None:
            record["elbo_fall"] = fall
        saved = _find_elbo(log["history"], step)
        if self.is_validation and saved is not None and inputs.outputs.kl is not None:
            record["elbo_change"] = -_compute_mean_cost(inputs.outputs) - saved
        return record

    def measure_prior_gap(self, inputs: EvaluationInput) -> dict[str, float]:
        """Return a lower bound on KL(q(z) || p(z)), from means and variances, in nats.

        It is the KL of two Gaussians with the means and variances of the aggregate posterior
        and of the prior, less what sampling alone makes it. For a Gaussian prior it is
        a lower bound.
        """
        z = inputs.outputs.latent.double()
        if not self.run.is_prior_matched() or len(z) < 2 or z.shape[1] == 0:
            return {}
        is_varied = z.var(0) > 0  # copies of one sentence all have its latent
        if not is_varied.any():
            return {}
        label_ids = sample_labels(inputs.bundle, _PRIOR_SAMPLES, inputs.seed)
        prior = sample_prior(inputs.bundle, _PRIOR_SAMPLES, inputs.seed, label_ids).double().cpu()
        z, prior = z[:, is_varied], prior[:, is_varied]
        ratio = z.var(0) / prior.var(0)
        shift = (z.mean(0) - prior.mean(0)).square() / prior.var(0)
        gap = 0.5 * (ratio + shift - 1 - ratio.log()).sum()
        noise = z.shape[1] * (1 / len(z) + 1 / len(prior))
        return {"prior_gap": max(0.0, float(gap) - noise)}

    @cached_property
    def _has_likelihood(self) -> bool:
        """Whether training fits the ELBO; if information costs nothing, the KL is not bounded."""
        techniques = self.run.read_settings().objective.techniques.values()
        return not any(ObjectiveTerm.INFORMATION_COST in part.replaces for part in techniques)

    @cached_property
    def _training_split(self) -> Dataset | None:
        """The training split; None for a stream, which keeps none."""
        return self._open_split("train")

    @cached_property
    def _trigrams(self) -> NGramModel | None:
        """The trigram model of the run's tokens; None if the run has no sentences to learn from."""
        # A stream keeps its held-out splits alone: a trigram model of few sentences, but of others
        # than those that are evaluated.
        is_test = self.is_own_split and not self.is_validation
        split = self._training_split or self._open_split("validation" if is_test else "test")
        if split is None:
            return None
        rows = take_evenly(range(len(split)), _MAX_BASELINE_TRAINING)
        texts = _join_tokens(split.select_columns(["input_ids"])[rows]["input_ids"])
        vocabulary = range(self.bundle.model.config.vocab_size)
        return NGramModel(texts, _BASELINE_ORDER, map(str, vocabulary))

    def _open_split(self, name: str) -> Dataset | None:
        """Return a split of the run; None if its folder does not have it."""
        if not (self.run.folder / "corpus" / f"{name}.arrow").is_file():
            return None
        return self.run.open_split(name)


def compute_elbo_fall(history: Sequence[Mapping[str, Any]], step: int) -> float | None:
    """Return by how many nats the validation ELBO at a step is below the best one until then.

    Args:
        history: the logged values of a training.
    """
    elbos = [
        float(entry["eval_elbo"])
        for entry in history
        if entry.get("eval_elbo") is not None and entry["step"] <= step
    ]
    if not elbos:
        return None
    return max(elbos) - elbos[-1]


def _find_elbo(history: Sequence[Mapping[str, Any]], step: int) -> float | None:
    """Return the validation ELBO that was logged at a step; None if none was."""
    for entry in reversed(history):
        if entry["step"] == step and entry.get("eval_elbo") is not None:
            return float(entry["eval_elbo"])
    return None


def _compute_unknown_share(bundle: Bundle, dataset: Dataset) -> float:
    """Return the share of unknown tokens in evaluated sentences."""
    unknown = bundle.tokenizer.unk_token_id
    rows = dataset[take_evenly(range(len(dataset)), _MAX_COMPARED)]["input_ids"]
    total = sum(map(len, rows))
    if unknown is None or not total:
        return 0.0
    return sum(list(row).count(unknown) for row in rows) / total


def _compute_mean_cost(outputs: Any) -> float:
    """Return the mean of -ELBO in nats, or of the reconstruction if there is no KL."""
    cost = outputs.reconstruction.double().mean()
    if outputs.kl is not None:
        cost = cost + outputs.kl.double().sum(1).mean()
    return float(cost)


def _join_tokens(rows: Sequence[Sequence[int]]) -> list[str]:
    """Return rows of token ids as sentences of words, which the n-gram model reads."""
    return [" ".join(map(str, row)) for row in rows]


def _compute_sentence_costs(model: NGramModel, rows: Sequence[Sequence[int]]) -> _Float64Array:
    """Return -log p of each sentence under an n-gram model, in nats, its end included."""
    logs = model.log_probs(_join_tokens(rows))
    ends = np.cumsum([len(row) + 1 for row in rows])
    starts = np.concatenate([[0], ends[:-1]])
    costs: _Float64Array = -np.add.reduceat(logs, starts)
    return costs


def _compute_token_cost(model: NGramModel, rows: Sequence[Sequence[int]]) -> float:
    """Return -log p per token under an n-gram model, in nats, the ends counted as tokens."""
    return float(-model.log_probs(_join_tokens(rows)).mean())


def _choose_sampled(inputs: EvaluationInput, count: int) -> list[int]:
    """Return which of `count` sentences get importance samples, evenly spaced."""
    parameters = sum(value.numel() for value in inputs.bundle.model.decoder.parameters())
    tokens = float(inputs.outputs.tokens.double().mean())
    affordable = int(_MAX_SAMPLING_WORK / (parameters * tokens * _IMPORTANCE_SAMPLES))
    return take_evenly(range(count), min(_MAX_SAMPLED, max(_MIN_SAMPLED, affordable)))


def _sample_sentence_costs(inputs: EvaluationInput, rows: list[int]) -> _Float64Array:
    """Return an importance-sampled -log p of each of these sentences, in nats."""
    costs = torch.zeros(len(rows), dtype=torch.float64)
    batches = iterate_batches(
        inputs.bundle,
        inputs.dataset.select(rows),
        inputs.seed,
        SINGLE_PROCESS,
        LIKELIHOOD_BATCH_TOKENS,
    )
    for indices, batch in batches:
        log_weights = sample_log_weights(inputs.bundle, batch, _IMPORTANCE_SAMPLES)
        evidence = log_weights.logsumexp(0) - math.log(_IMPORTANCE_SAMPLES)
        costs[indices] = -evidence.cpu()
    array: _Float64Array = costs.numpy()
    return array
