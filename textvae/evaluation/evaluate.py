"""Evaluation: all measures of a model on a set of sentences, as one flat record."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset
from transformers import GenerationConfig

from textvae.data.arrow import require_known_tokens
from textvae.data.corpus import prepare_file
from textvae.data.sources import list_corpus_files
from textvae.data.table_options import refuse_unused_options
from textvae.data.tables import TableOptions, override_table_settings
from textvae.errors import ConfigError
from textvae.evaluation.doctor import diagnose
from textvae.evaluation.measures import (
    INTERPOLATION_MEASURES,
    MEASURES,
    QUICK_MEASURES,
    STANDARD_MEASURES,
    TRAINING_TEXT_MEASURES,
    EvaluationInput,
    Measure,
    MeasureSettings,
    run_model,
    select_measures,
)
from textvae.evaluation.measures.inputs import require_latent_paths, require_training_text
from textvae.evaluation.settings import DEFAULT_IMPORTANCE_SAMPLES, DEFAULT_MEASURE_SETTINGS
from textvae.evaluation.small_sets import list_size_warnings, list_unreliable_measures
from textvae.evaluation.usefulness import UsefulnessChecks
from textvae.inference.bundle import Bundle
from textvae.model.modeling import TextVAEModel
from textvae.runs.model_card import refresh_card
from textvae.runs.run import Run
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.runtime.spacing import take_evenly

_KEPT_GENERATION_OPTIONS = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("max_new_tokens", "max_length"),
)

# What the measures of samples and of paths depend on, and how their keys begin.
_SET_KEYS = {"samples": ("prior_samples", "prior_decoding"), "paths": ("path_pairs", "path_steps")}
_SET_STEMS = {
    "samples": (
        *("prior_samples", "prior_decoding", "prior_words", "distinct_", "self_bleu", "ngram_"),
        *("forward_", "reverse_", "novel", "seen_4grams", "mauve"),
    ),
    "paths": ("path_", "smoothness", "word_vectors"),
}

# With fewer effective draws, a few of the weights decide each sentence's likelihood.
MIN_EFFECTIVE_SAMPLES = 10


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    samples: int = DEFAULT_IMPORTANCE_SAMPLES,
    measures: Mapping[str, Measure] | Sequence[str] = STANDARD_MEASURES,
    kl_target: float | None = None,
    seed: int = 0,
    progress: bool = False,
    processes: Processes = SINGLE_PROCESS,
    training: Sequence[str] | None = None,
    settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS,
    kl_weight: float | None = None,
    validation: Dataset | None = None,
    kl_before_refit: float | None = None,
) -> dict[str, Any]:
    """Evaluate a model on a data set and return all measures as one flat record.

    With all of the quick measures, the record includes the doctor's verdict. With the
    likelihood, it has a list of warnings, which is empty if the likelihood can be trusted.
    It also lists the measures that its sets of sentences and samples are too small for.

    Args:
        dataset: a tokenized split.
        samples: importance samples per sentence, for the likelihood.
        measures: names of measures or of groups of measures, or a table of measures.
        kl_target: the KL that training aimed at, in nats, if any.
        progress: whether to show progress bars.
        processes: the processes that share the work; each of them must call this function.
            The record does not depend on how many they are.
        training: the training sentences, for measures that need them.
        settings: settings of the measures.
        kl_weight: the factor by which the KL counted in the loss at the end of training, before
            a refit, if known. The measures have the KL at weight 1, whatever it is.
        validation: tokenized sentences to fit the likelihood's proposal on, if the settings
            say so; by default the evaluated ones.
        kl_before_refit: the KL before the posterior was refitted, in nats, if it was.

    Raises:
        ConfigError: a measure is unknown, or the proposal of this posterior cannot be fitted.
        DataError: the data set is empty or too small for a measure, or a measure needs the
            training text.
    """
    table = measures if isinstance(measures, Mapping) else select_measures(measures)
    # Check now: other measures may come first and take hours.
    if table.keys() & TRAINING_TEXT_MEASURES:
        require_training_text(training)
    if table.keys() & INTERPOLATION_MEASURES.keys():
        require_latent_paths(bundle, len(dataset))
    bundle.model.eval()
    outputs = run_model(bundle, dataset, seed, progress, processes)
    inputs = EvaluationInput(
        bundle, dataset, outputs, samples, seed, progress, processes, training, settings, validation
    )
    record: dict[str, Any] = {"sentences": len(dataset)}
    with _plain_generation(bundle.model):
        for measure in table.values():
            record.update(measure(inputs))
    if QUICK_MEASURES.keys() <= table.keys():
        record["kl_weight"] = kl_weight
        record["kl_before_refit"] = kl_before_refit
        record.update(_build_verdict_entries(record, kl_target))
    if record.get("iw_ess_median") is not None:
        # A language model has no latent, and its likelihood is exact.
        is_exact = not bundle.model.config.latent_dim
        record["warnings"] = [] if is_exact else _list_warnings(record)
    return record | _list_size_entries(record)


def evaluate_run(
    run: Run,
    bundle: Bundle,
    file: str | None = None,
    samples: int = DEFAULT_IMPORTANCE_SAMPLES,
    limit: int | None = None,
    measures: Sequence[str] = ("standard",),
    settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS,
    *,
    tables: TableOptions | None = None,
) -> dict[str, Any]:
    """Evaluate a run on its own test split, or on a file that is cleaned as its corpus was.

    The measures of the test split are saved in the run folder. Measures saved
    earlier stay there if they are of the same number of sentences, and what is unreliable is
    listed for all of them. With all of the quick
    measures, the verdict also says whether the run is useful.

    Args:
        file: the file to evaluate on; by default the run's test split.
        samples: importance samples per sentence, for the likelihood.
        limit: evaluate on the first `limit` sentences only.
        tables: how the file is read, where that differs from training.

    Raises:
        ConfigError: a measure is unknown, or an option for tables is set without a file.
        DataError: the file cannot be read, or holds too few sentences.
    """
    table = dict(select_measures(measures))
    if QUICK_MEASURES.keys() <= table.keys():
        table |= UsefulnessChecks(run, bundle, is_own_split=file is None).measures
    if file is not None and settings.aggregate_sentences is None:
        # Its sentences may be unlike the training text, whose posteriors then say nothing of q(z).
        settings = settings.model_copy(update={"aggregate_sentences": 0})
    with _open_evaluation_split(run, bundle, file, tables) as dataset:
        count = len(dataset) if limit is None else min(limit, len(dataset))
        require_known_tokens(dataset, bundle.model.config.vocab_size, f"{run.folder}/corpus")
        record = evaluate(
            bundle,
            dataset.select(range(count)),
            samples,
            table,
            run.read_kl_target(),
            progress=True,
            training=_find_training_text(run),
            settings=settings,
            kl_weight=run.read_kl_weight(),
            validation=_find_split(run, "validation"),
            kl_before_refit=run.read_kl_before_refit(),
        )

    def merge(saved: dict[str, Any]) -> dict[str, Any]:
        """Return the record to save; measures of another number of texts are dropped."""
        if saved.get("sentences") != count:
            return record
        merged = {**_drop_outdated(saved, record), **record}
        if "verdict" in record:
            merged |= _build_verdict_entries(merged, record["kl_target"])
        # Those of `record` know only the measures of this evaluation.
        return merged | _list_size_entries(merged)

    if file is None:
        run.update("measures.json", merge)
        # The card shows the whole set of measures; a few of them must not replace it.
        if {"verdict", "iw_nll"} <= record.keys():
            refresh_card(run, record, "test")
    return record


def _drop_outdated(saved: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the saved measures without those of other samples or paths than the new ones."""
    outdated: set[str] = set()
    for group, keys in _SET_KEYS.items():
        if any(key in saved and saved[key] != record.get(key, saved[key]) for key in keys):
            outdated.update(key for key in saved if key.startswith(_SET_STEMS[group]))
    # The value of real text is left out where there is too little of it.
    outdated.update(f"{key}_real" for key in record)
    return {key: value for key, value in saved.items() if key not in outdated}


def evaluate_quick(run: Run, bundle: Bundle) -> dict[str, Any]:
    """Evaluate a run quickly on its validation split, with the doctor's verdict.

    The record has the quick measures, what is wrong with the texts that the model writes, and
    the checks of usefulness.
    """
    split = run.open_split("validation")
    require_known_tokens(split, bundle.model.config.vocab_size, f"{run.folder}/corpus")
    # The same sentences as in the evaluations of the training, with which this one is compared.
    rows = take_evenly(range(len(split)), run.read_settings().training.validation_sentences)
    checks = UsefulnessChecks(run, bundle, is_validation=True)
    table = {**QUICK_MEASURES, "empty_texts": MEASURES["empty_texts"], **checks.measures}
    return evaluate(
        bundle,
        split.select(rows),
        measures=table,
        kl_target=run.read_kl_target(),
        kl_weight=run.read_kl_weight(),
        kl_before_refit=run.read_kl_before_refit(),
    )


@contextmanager
def _plain_generation(model: TextVAEModel) -> Iterator[None]:
    """Let a model write as its measures are defined, whatever its generation_config.json says.

    Its special tokens and its longest text stay.
    """
    configured = model.generation_config
    kept = {name: getattr(configured, name) for name in _KEPT_GENERATION_OPTIONS}
    model.generation_config = GenerationConfig(do_sample=True, top_k=0, **kept)
    try:
        yield
    finally:
        model.generation_config = configured


def _build_verdict_entries(record: Mapping[str, Any], kl_target: float | None) -> dict[str, Any]:
    """Return the doctor's diagnosis as entries of the record."""
    diagnosis = diagnose(record, kl_target)
    return {
        "kl_target": kl_target,
        "verdict": diagnosis.verdict,
        "findings": diagnosis.findings,
        "advice": diagnosis.advice,
    }


def _list_size_entries(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return which measures of a record its sets are too small for, as entries of the record."""
    return {
        "unreliable": list_unreliable_measures(record),
        "size_warnings": list_size_warnings(record),
    }


def _list_warnings(record: Mapping[str, Any]) -> list[str]:
    """Return what is doubtful about the likelihood of a record, with advice."""
    median = record["iw_ess_median"]
    if median >= MIN_EFFECTIVE_SAMPLES:
        return []
    advice = f"raise --samples (now {record['iw_samples']:g})"
    if record["iw_width"] == 1:
        advice += ", and use --fit-proposal if the posterior is Gaussian"
    return [
        f"the effective sample size of the importance weights is {median:.1f}, below "
        f"{MIN_EFFECTIVE_SAMPLES}: the IW-NLL is too high, and how much is only estimated; {advice}."
    ]


def _find_training_text(run: Run) -> Sequence[str] | None:
    """Return the training sentences of a run; None if its folder has no training split.

    Streamed runs and copies of runs have none. The sentences are read from disk
    only when a measure uses them.
    """
    split = _find_split(run, "train")
    return None if split is None else split["text"]


def _find_split(run: Run, name: str) -> Dataset | None:
    """Return a split of a run; None if its folder does not have it."""
    is_saved = (run.folder / "corpus" / f"{name}.arrow").is_file()
    return run.open_split(name) if is_saved else None


@contextmanager
def _open_evaluation_split(
    run: Run, bundle: Bundle, file: str | None, tables: TableOptions | None
) -> Iterator[Dataset]:
    """Yield the tokenized sentences of a file, or of the run's test split.

    Args:
        tables: how the file is read, where that differs from training.

    Raises:
        ConfigError: there are options for tables without a file.
    """
    if file is None and tables:
        raise ConfigError(
            f"{', '.join(tables)}: says how to read a table, but there is no file to read, so "
            "the run's own test split is evaluated; pass the table's file, or leave the option out."
        )
    if file is None:
        yield run.open_split("test")
        return
    # The prepared file is memory-mapped, so its folder must exist until the caller is done.
    with TemporaryDirectory() as folder:
        data = run.read_settings().data
        reading = override_table_settings(data, tables)
        refuse_unused_options(list_corpus_files(file), file, reading, tables)
        settings = data.model_copy(update=reading.model_dump())
        yield prepare_file(settings, bundle.tokenizer, file, Path(folder))
