"""The input of the measures, and the texts that several of them need.

Each text is decoded or read once, however many measures use it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from textvae.data.tokenization import decode_batch
from textvae.errors import ConfigError, DataError
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.evaluation.settings import DEFAULT_MEASURE_SETTINGS, MeasureSettings
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents, decode_to_tokens
from textvae.inference.generate import generate, sample_labels, sample_prior
from textvae.inference.memory import check_texts_fit
from textvae.inference.paths import linear
from textvae.inference.proposal import fit_width
from textvae.inference.settings import DecodingSettings
from textvae.model.posteriors import DiagonalGaussian
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.runtime.seeds import derive_seed
from textvae.runtime.spacing import take_evenly

FEW_TEXTS = 64  # texts that show whether the decoder writes anything at all

_FIT_KEY = 2**32  # tells the seed of the proposal's fit from those of `compute_sums`


@dataclass(frozen=True)
class EvaluationInput:
    """A model, the sentences to evaluate it on, and the settings of the evaluation.

    Attributes:
        outputs: the model's outputs for all sentences, the same in every process.
        importance_samples: importance samples per sentence, for the likelihood.
        progress: whether to show progress bars.
        processes: the processes that share the work.
        training: the training sentences, for measures that need them.
        validation: tokenized sentences to fit the proposal of the likelihood on; by default
            the evaluated ones.

    Raises:
        ConfigError: the proposal should be fitted, but the posterior is not a Gaussian.
    """

    bundle: Bundle
    dataset: Dataset
    outputs: ModelOutputs
    importance_samples: int
    seed: int
    progress: bool
    processes: Processes = SINGLE_PROCESS
    training: Sequence[str] | None = None
    settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS
    validation: Dataset | None = None

    def __post_init__(self) -> None:
        """Check now: the likelihood may come after hours of other measures."""
        if self.settings.fit_proposal and not isinstance(self.outputs.posterior, DiagonalGaussian):
            raise ConfigError(
                "fit_proposal = True needs a Gaussian posterior, whose width can be changed; this "
                "model has another kind. Leave it out, and raise samples for a tighter likelihood."
            )

    @cached_property
    def proposal_width(self) -> Tensor | None:
        """The fitted factors of q's standard deviations, (latent,); None to sample from q."""
        # A language model has no latent, and its likelihood is exact.
        if not self.settings.fit_proposal or not self.bundle.model.config.latent_dim:
            return None
        dataset = self.dataset if self.validation is None else self.validation
        # A seed of its own: on the evaluated sentences, the draws of the fit must not be
        # those of the measure, or the bound would be too low.
        return fit_width(self.bundle, dataset, derive_seed(self.seed, _FIT_KEY), self.processes)

    @cached_property
    def label_ids(self) -> Tensor | None:
        """The label of each sentence, (n,); None for an unconditional model."""
        labels = self.bundle.labels
        if labels is None or self.bundle.fixed_label_id is not None:
            return self.bundle.fixed_label_ids(len(self.dataset))
        return labels.to_ids(self.dataset[labels.column])

    @cached_property
    def texts(self) -> "EvaluationTexts":
        """The texts that the model writes and that it was trained on."""
        return EvaluationTexts(self)


@dataclass(frozen=True)
class EvaluationTexts:
    """The texts that measures compare; each is decoded or read when first used, then cached."""

    source: EvaluationInput

    @cached_property
    def originals(self) -> list[str]:
        """The evaluated sentences as they are in the data set."""
        return list(self.source.dataset["text"])

    @cached_property
    def detokenized(self) -> list[str]:
        """The evaluated sentences, decoded from their tokens: perfect reconstructions."""
        return decode_batch(self.source.bundle.tokenizer, self.source.dataset["input_ids"])

    @cached_property
    def reconstructions(self) -> list[str]:
        """The greedy reconstruction of each sentence from its posterior mean."""
        source = self.source
        return decode_latents(
            source.bundle,
            source.outputs.mean,
            DecodingSettings(),
            samples_by_default=False,
            progress=source.progress,
            label_ids=source.label_ids,
        )

    @cached_property
    def prior_samples(self) -> list[str]:
        """Sentences from the prior."""
        source = self.source
        options = DecodingSettings(do_sample=False, seed=source.seed)
        if not source.settings.greedy:
            options = DecodingSettings(temperature=1.0, seed=source.seed)
        count = source.settings.prior_samples
        check_texts_fit("prior_samples", count, source.bundle.model.config.latent_dim)
        return generate(source.bundle, count, options, progress=source.progress)

    @cached_property
    def few_samples(self) -> list[list[int]]:
        """The token ids of a few samples from the prior, special tokens included."""
        source = self.source
        label_ids = sample_labels(source.bundle, FEW_TEXTS, source.seed)
        return decode_to_tokens(
            source.bundle,
            sample_prior(source.bundle, FEW_TEXTS, source.seed, label_ids),
            DecodingSettings(temperature=1.0, seed=source.seed),
            samples_by_default=True,
            label_ids=label_ids,
        )

    @cached_property
    def paths(self) -> list[list[str]]:
        """Interpolations between random pairs of sentences, decoded greedily.

        The latents are evenly spaced between the two posterior means. The seed
        determines the pairs, and no sentence is in two of them. In a conditional
        model, each latent has the label of the nearer sentence.

        Raises:
            DataError: there are fewer than two sentences, or the model is a language model.
        """
        source = self.source
        n = len(source.outputs)
        require_latent_paths(source.bundle, n)
        steps = source.settings.steps
        order = np.random.default_rng(source.seed).permutation(n)
        pairs = order[: 2 * min(source.settings.pairs, n // 2)].reshape(-1, 2)
        mean = source.outputs.mean
        z = torch.cat([linear(mean[first], mean[second], steps) for first, second in pairs])
        z = source.bundle.model.prior.project(z)
        label_ids = source.label_ids
        if label_ids is not None:
            label_ids = torch.cat([_nearest_end_labels(label_ids[pair], steps) for pair in pairs])
        texts = decode_latents(
            source.bundle,
            z,
            DecodingSettings(),
            samples_by_default=False,
            progress=source.progress,
            label_ids=label_ids,
        )
        return [texts[start : start + steps] for start in range(0, len(texts), steps)]

    def take_real(self, count: int) -> list[str]:
        """Return `count` of the evaluated sentences, evenly spaced; none if there are fewer."""
        if len(self.originals) < count:
            return []
        return take_evenly(self.originals, count)

    @property
    def training_texts(self) -> Sequence[str]:
        """The training sentences.

        Raises:
            DataError: they are not available.
        """
        return require_training_text(self.source.training)

    @cached_property
    def ngram_training_texts(self) -> list[str]:
        """The training sentences for the n-gram model, evenly spaced if there are too many."""
        return take_evenly(self.training_texts, self.source.settings.training_sentences)

    @cached_property
    def ngrams(self) -> NGramModel:
        """The n-gram model of the training text."""
        return NGramModel(self.ngram_training_texts)


def _nearest_end_labels(ends: Tensor, steps: int) -> Tensor:
    """Return the label of the nearer end for each step of a path, (steps,); `ends` is (2,)."""
    return ends[(torch.arange(steps) * 2 >= steps).long()]


def require_training_text(training: Sequence[str] | None) -> Sequence[str]:
    """Return the training text, or refuse to go on without it.

    Raises:
        DataError: the training text is missing or empty.
    """
    if not training:
        raise DataError(
            "these measures need the training text, which this run does not have; "
            "pass it: evaluate(..., training=texts)."
        )
    return training


def require_latent_paths(bundle: Bundle, sentences: int) -> None:
    """Check that there are paths between sentences in the latent.

    Raises:
        DataError: there is one sentence, or the model is a language model.
    """
    if not bundle.model.config.latent_dim:
        raise DataError(
            "a language model has no latent to interpolate in; leave out the measures smoothness "
            "and fluency."
        )
    if sentences == 1:
        raise DataError(
            "there is 1 sentence to interpolate between; at least 2 are needed: leave out the "
            "measures smoothness and fluency, or evaluate more sentences."
        )
