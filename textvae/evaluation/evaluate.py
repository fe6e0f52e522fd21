"""Evaluation: all measures of a model on a set of sentences, as one flat record."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset

from textvae.data.corpus import prepare_file
from textvae.data.tables import Quoting
from textvae.errors import ConfigError
from textvae.evaluation.doctor import diagnose
from textvae.evaluation.measures import (
    QUICK_MEASURES,
    STANDARD_MEASURES,
    TRAINING_TEXT_MEASURES,
    EvaluationInput,
    Measure,
    MeasureSettings,
    run_model,
    select_measures,
)
from textvae.evaluation.measures.settings import DEFAULT_MEASURE_SETTINGS
from textvae.evaluation.measures.subject import empty_texts, require_training_text
from textvae.inference.bundle import Bundle
from textvae.runs.run import Run
from textvae.runtime.processes import SINGLE_PROCESS, Processes


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    samples: int = 500,
    measures: Mapping[str, Measure] | Sequence[str] = STANDARD_MEASURES,
    kl_target: float | None = None,
    seed: int = 0,
    progress: bool = False,
    processes: Processes = SINGLE_PROCESS,
    training: Sequence[str] | None = None,
    settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS,
) -> dict[str, Any]:
    """Return the measures and, where they hold what it rests on, the doctor's verdict.

    Args:
        dataset: a tokenised split.
        samples: importance samples a sentence, for the likelihood.
        measures: names of measures or groups of them, or a table of them.
        kl_target: the KL the model was trained to, if any.
        processes: that share the work, all of which must call this; the record does not depend on their number.
        training: the sentences the model was trained on, for measures that need them.
        settings: of measures of written text.

    Raises:
        ConfigError: a measure is unknown.
        DataError: the data set is empty, or too small for a measure, or one needs the training text.
    """
    table = measures if isinstance(measures, Mapping) else select_measures(measures)
    if table.keys() & TRAINING_TEXT_MEASURES:
        require_training_text(training)  # refused before anything is measured
    bundle.model.eval()
    evidence = run_model(bundle, dataset, seed, progress, processes)
    subject = EvaluationInput(
        bundle, dataset, evidence, samples, seed, progress, processes, training, settings
    )
    record: dict[str, Any] = {"sentences": len(dataset)}
    for measure in table.values():
        record.update(measure(subject))
    return (
        {**record, **_build_verdict_entries(record, kl_target)}
        if QUICK_MEASURES.keys() <= table.keys()
        else record
    )


def _build_verdict_entries(record: Mapping[str, Any], kl_target: float | None) -> dict[str, Any]:
    """Return the doctor's word as entries of the record."""
    diagnosis = diagnose(record, kl_target)
    return {
        "kl_target": kl_target,
        "verdict": diagnosis.verdict,
        "findings": diagnosis.findings,
        "advice": diagnosis.advice,
    }


def evaluate_run(
    run: Run,
    bundle: Bundle,
    file: str | None = None,
    samples: int = 500,
    limit: int | None = None,
    measures: Sequence[str] = ("standard",),
    settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS,
    *,
    text_column: str | None = None,
    quoting: Quoting | None = None,
) -> dict[str, Any]:
    """Measure a run on its own test split, or on a file that is cleaned as its corpus was.

    The measures of the test split are kept in the run folder, beside those kept there before of as many sentences.

    Args:
        text_column, quoting: of a file that is a table; by default as the run was trained.
    """
    table = select_measures(measures)
    reading = {"text_column": text_column, "quoting": quoting}
    how = {name: value for name, value in reading.items() if value is not None}
    with _open_evaluation_split(run, bundle, file, how) as dataset:
        most = len(dataset) if limit is None else min(limit, len(dataset))
        record = evaluate(
            bundle,
            dataset.select(range(most)),
            samples,
            table,
            run.read_kl_target(),
            progress=True,
            training=_find_training_text(run),
            settings=settings,
        )
    if file is None:
        run.update(
            "measures.json",
            lambda kept: {**(kept if kept.get("sentences") == most else {}), **record},
        )
    return record


def _find_training_text(run: Run) -> Sequence[str] | None:
    """Return the sentences a run was trained on, read from disk as asked for; streams and copies of runs keep none."""
    is_kept = (run.folder / "corpus" / "train.arrow").is_file()
    return run.open_split("train")["text"] if is_kept else None


@contextmanager
def _open_evaluation_split(
    run: Run, bundle: Bundle, file: str | None, how: Mapping[str, str]
) -> Iterator[Dataset]:
    """Yield the tokenised sentences.

    Args:
        how: settings of the run's data that are other ones for this file.

    Raises:
        ConfigError: the file is standard input, or such settings are given without a file.
    """
    if file == "-":
        raise ConfigError(
            "standard input cannot be evaluated; put the sentences into a file and name it."
        )
    if file is None and how:
        raise ConfigError(
            f"{', '.join(how)}: of a table that is measured; name its file, or leave it out."
        )
    if file is None:
        yield run.open_split("test")
        return
    with TemporaryDirectory() as folder:
        yield prepare_file(
            run.read_settings().data.model_copy(update=dict(how)),
            bundle.tokenizer,
            file,
            Path(folder),
        )


def evaluate_quick(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Return the quick measures on the validation split, whether texts are empty, and the doctor's verdict."""
    split = run.open_split("validation")
    most = min(len(split), run.read_settings().training.validation_sentences)
    table = {**QUICK_MEASURES, "empty_texts": empty_texts}
    return evaluate(
        bundle, split.select(range(most)), measures=table, kl_target=run.read_kl_target()
    )
