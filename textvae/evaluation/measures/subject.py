"""Texts that measures need, each written or read once however many measures ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from textvae.data.tokenization import decode_batch
from textvae.errors import DataError
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.evaluation.measures.settings import DEFAULT_MEASURE_SETTINGS, MeasureSettings
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.generate import generate
from textvae.inference.paths import linear
from textvae.runtime.processes import SINGLE_PROCESS, Processes

_SOME = 64  # texts that show whether anything is written at all


@dataclass(frozen=True)
class EvaluationTexts:
    """What a subject's model writes, and what it was trained on."""

    subject: "EvaluationInput"

    @cached_property
    def real(self) -> list[str]:
        """The sentences measured on, as the data set has them."""
        return list(self.subject.dataset["text"])

    @cached_property
    def readable(self) -> list[str]:
        """The same as their tokens are written out: what a perfect reconstruction gives."""
        return decode_batch(self.subject.bundle.tokenizer, self.subject.dataset["input_ids"])

    @cached_property
    def reconstructions(self) -> list[str]:
        """Each sentence, written greedily from its posterior mean."""
        of = self.subject
        return decode_latents(
            of.bundle,
            of.outputs.mean,
            DecodingSettings(),
            samples=False,
            progress=of.progress,
            label_ids=of.label_ids,
        )

    @cached_property
    def samples(self) -> list[str]:
        """Sentences from the prior."""
        of = self.subject
        options = DecodingSettings(do_sample=not of.settings.greedy, seed=of.seed)
        return generate(of.bundle, of.settings.prior_samples, options, progress=of.progress)

    @cached_property
    def paths(self) -> list[list[str]]:
        """Sentences written greedily at even steps between the posterior means of pairs drawn by seed.

        Raises:
            DataError: fewer than two sentences.
        """
        of, n = self.subject, len(self.subject.outputs)
        if not of.bundle.model.config.latent_dim:
            raise DataError(
                "a language model has no latent to interpolate in; leave these measures out."
            )
        if n < 2:
            raise DataError(f"there is {n} sentence to interpolate between; at least 2 are needed.")
        order = np.random.default_rng(of.seed).permutation(n)
        pairs = order[: 2 * min(of.settings.pairs, n // 2)].reshape(-1, 2)
        mean, steps = of.outputs.mean, of.settings.steps
        z = torch.cat([linear(mean[first], mean[second], steps) for first, second in pairs])
        labels = (
            None
            if of.label_ids is None
            else torch.cat([_nearest_end_labels(of.label_ids[pair], steps) for pair in order])
        )
        written = decode_latents(
            of.bundle, z, DecodingSettings(), samples=False, progress=of.progress, label_ids=labels
        )
        return [written[start : start + steps] for start in range(0, len(written), steps)]

    @property
    def training(self) -> Sequence[str]:
        """The sentences the model was trained on."""
        return require_training_text(self.subject.training)

    @cached_property
    def learned(self) -> list[str]:
        """The training sentences that n-grams are learned from: all, or as many as the settings say, evenly spaced."""
        return take_evenly(self.training, self.subject.settings.training_sentences)

    @cached_property
    def ngrams(self) -> NGramModel:
        """The n-gram model of the training text."""
        return NGramModel(self.learned)


def empty_texts(subject: "EvaluationInput") -> dict[str, float]:
    """Return `empty_reconstructions` and `empty_samples`, the shares of texts without a word among a few dozen."""
    labels = None if subject.label_ids is None else subject.label_ids[:_SOME]
    reconstructions = decode_latents(
        subject.bundle,
        subject.outputs.mean[:_SOME],
        DecodingSettings(),
        samples=False,
        label_ids=labels,
    )
    return {
        "empty_reconstructions": _empty_share(reconstructions),
        "empty_samples": _empty_share(
            generate(subject.bundle, _SOME, DecodingSettings(seed=subject.seed))
        ),
    }


def _empty_share(texts: Sequence[str]) -> float:
    """Return the share of texts without a word."""
    return sum(not text.strip() for text in texts) / len(texts)


def _nearest_end_labels(ends: torch.Tensor, steps: int) -> torch.Tensor:
    """Return the label of the nearer end, of two, at each step of a path, (steps,)."""
    return ends[(torch.arange(steps) * 2 >= steps).long()]


def require_training_text(training: Sequence[str] | None) -> Sequence[str]:
    """Return the training text.

    Raises:
        DataError: there is none.
    """
    if not training:
        raise DataError(
            "these measures need the training text, and there is none here; give it: evaluate(..., training=texts)."
        )
    return training


def take_evenly(texts: Sequence[str], most: int) -> list[str]:
    """Return all of the texts, or `most` of them, evenly spaced."""
    count = min(most, len(texts))
    return [texts[place * len(texts) // count] for place in range(count)]


@dataclass(frozen=True)
class EvaluationInput:
    """A model, the sentences to measure it on, and how thoroughly.

    Attributes:
        samples: importance samples a sentence.
        progress: whether long work shows a bar.
        processes: that share the work; each has all of the evidence.
        training: the sentences the model was trained on, for measures that hold samples against them.
    """

    bundle: Bundle
    dataset: Dataset
    outputs: ModelOutputs
    samples: int
    seed: int
    progress: bool
    processes: Processes = SINGLE_PROCESS
    training: Sequence[str] | None = None
    settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS

    @cached_property
    def label_ids(self) -> Tensor | None:
        """The label of each sentence, (n,), where the model is conditional."""
        labels = self.bundle.labels
        if labels is None or self.bundle.label is not None:
            return self.bundle.label_ids(len(self.dataset))
        return labels.ids(self.dataset[labels.column])

    @cached_property
    def texts(self) -> EvaluationTexts:
        """What the model writes, each text once."""
        return EvaluationTexts(self)
