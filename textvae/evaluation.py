"""Evaluation: all measures of a model on a set of sentences, as one flat record."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from textvae.bundle import Bundle
from textvae.doctor import diagnose
from textvae.measures import MEASURES, Measure, Subject, gather


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    samples: int = 500,
    measures: Mapping[str, Measure] = MEASURES,
    kl_target: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Return the measures and the doctor's verdict.

    Args:
        dataset: a tokenised split.
        samples: importance samples a sentence, for the likelihood.
        kl_target: the KL the model was trained to, if any.

    Raises:
        DataError: the data set is empty.
    """
    bundle.model.eval()
    subject = Subject(bundle, dataset, gather(bundle, dataset, seed, progress), samples, seed, progress)
    record: dict[str, Any] = {}
    for measure in measures.values():
        record.update(measure(subject))
    diagnosis = diagnose(record, kl_target)
    return {
        **record,
        "kl_target": kl_target,
        "verdict": diagnosis.verdict,
        "findings": diagnosis.findings,
        "advice": diagnosis.advice,
    }
