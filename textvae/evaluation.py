"""Evaluation: all measures of a model on a set of sentences, as one flat record."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset

from textvae.bundle import Bundle
from textvae.corpus import read_file
from textvae.doctor import diagnose
from textvae.measures import MEASURES, QUICK, Measure, Subject, gather
from textvae.processes import ALONE, Processes
from textvae.run import Run


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    samples: int = 500,
    measures: Mapping[str, Measure] = MEASURES,
    kl_target: float | None = None,
    seed: int = 0,
    progress: bool = False,
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Return the measures and the doctor's verdict.

    Args:
        dataset: a tokenised split.
        samples: importance samples a sentence, for the likelihood.
        kl_target: the KL the model was trained to, if any.
        processes: that share the work, all of which must call this; the record does not depend on their number.

    Raises:
        DataError: the data set is empty.
    """
    bundle.model.eval()
    evidence = gather(bundle, dataset, seed, progress, processes)
    subject = Subject(bundle, dataset, evidence, samples, seed, progress, processes)
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


def evaluate_run(
    run: Run, bundle: Bundle, file: str | None = None, samples: int = 500, limit: int | None = None
) -> dict[str, Any]:
    """Measure a run on its own test split, or on a file that is cleaned as its corpus was.

    The measures of the test split are kept in the run folder.
    """
    with sentences_to_measure(run, bundle, file) as dataset:
        most = len(dataset) if limit is None else min(limit, len(dataset))
        record = evaluate(bundle, dataset.select(range(most)), samples, kl_target=run.kl_target, progress=True)
    if file is None:
        run.write("measures.json", record)
    return record


@contextmanager
def sentences_to_measure(run: Run, bundle: Bundle, file: str | None) -> Iterator[Dataset]:
    """Yield the tokenised sentences."""
    if file is None:
        yield run.split("test")
        return
    with TemporaryDirectory() as folder:
        yield read_file(run.settings.data, bundle.tokenizer, file, Path(folder))


def quick_look(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Return the quick measures on the validation split, with the doctor's verdict."""
    split = run.split("validation")
    most = min(len(split), run.settings.training.validation_sentences)
    return evaluate(bundle, split.select(range(most)), measures=QUICK, kl_target=run.kl_target)
