"""Prepare a run folder: corpus, tokenizer, initial model and settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import read_number_column
from textvae.data.cleaning import normalize_as_corpus
from textvae.data.corpus_labels import collect_labels
from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.labels import Labels
from textvae.data.run_corpus import choose_corpus
from textvae.data.settings import DataSettings
from textvae.data.sources import RowSource
from textvae.data.tokenizer_report import report_tokenizer
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.model.building import build_model
from textvae.model.decoders.language_model import LanguageModelDecoder
from textvae.model.encoders.pretrained import PretrainedEncoderSettings
from textvae.model.modeling import TextVAEModel
from textvae.runs.run import INIT_FOLDER, SETTINGS_FILE, Run
from textvae.runtime.device import is_bf16_fast, require_lstm_in_bf16
from textvae.runtime.processes import Processes
from textvae.settings.auto import resolve_auto
from textvae.settings.run import Settings
from textvae.training.bases import (
    Bases,
    check_positions,
    lengthen_encoder_tokenizer,
    open_run_bases,
)
from textvae.training.batch_memory import check_batches_fit
from textvae.training.trackers import choose_trackers
from textvae.training.word_vectors import open_vectors, start_from_vectors

_SPLITS = ("train", "validation", "test")


def read_inherited_settings(run: Run) -> dict[str, Any]:
    """Return the settings that a run must share with the run it starts from (--init)."""
    settings = run.read_settings().model_dump(mode="json")
    return {"model": settings["model"], "tokenizer": settings["tokenizer"]}


def prepare_run(
    run: Run,
    settings: Settings,
    rows: Mapping[str, RowSource] | None,
    init: str | Path | None,
    processes: Processes,
    device: torch.device,
) -> None:
    """Write everything that training needs into a run folder.

    Args:
        run: the staging folder of the run.
        rows: for a corpus passed as a Python object, the rows of each split; otherwise None.
        init: another run folder; training starts from the model and tokenizer of that run.
        device: where the model will be trained.

    Raises:
        ConfigError: a setting does not fit the corpus, the machine or the model to start from.
        DataError: the corpus is missing, broken, or too small to learn from.
    """
    settings = _choose_trackers(settings)
    corpus = choose_corpus(run.folder / "corpus", settings.data, rows)
    corpus.refuse_settings(settings.training, settings.objective.techniques)
    # Everything that can be refused without the corpus is refused here; reading it may take hours.
    start, settings = _choose_start(settings, init, device)
    if settings.training.uses_bf16(is_bf16_fast(device)) and settings.model.has_lstm():
        require_lstm_in_bf16(device)
    initial, bases = start.initial, start.bases
    vectors = {} if initial else open_vectors(settings)
    tokenizer, counts = corpus.prepare(
        settings.tokenizer if initial else bases.locate_tokenizer(settings.tokenizer),
        initial.tokenizer if initial else None,
    )
    report_tokenizer(tokenizer, run.open_split("train"), is_inherited=initial is not None)
    is_new = initial is None and settings.tokenizer.kind not in ("folder", "pretrained")
    normalize_as_corpus(tokenizer, settings.data, is_new=is_new)
    labels = _find_run_labels(run, settings.data, initial)
    train_counts = counts["tokenized"]["train"]
    sentences = train_counts["sentences"]
    settings = resolve_auto(settings, train_counts["tokens"] / sentences, sentences)
    bases = bases.fit_to_corpus(sentences)
    torch.manual_seed(settings.training.seed)  # for the initial weights
    model = initial.model if initial else None
    if model is None:
        model = _build_initial_model(settings, tokenizer, labels, bases, device)
    start_from_vectors(model, vectors, tokenizer, run.open_split("train"))
    longest = max(read_number_column(run.open_split(split), "length").max() for split in _SPLITS)
    # One token more, for the end of the sentence. top_k=0, since transformers would otherwise
    # sample only among the 50 likeliest tokens.
    model.generation_config.update(max_new_tokens=int(longest) + 1, do_sample=True, top_k=0)
    bundle = Bundle(model, tokenizer, start.encoder_tokenizer)
    if not model.list_base_weights():  # bases were checked before they were loaded
        check_batches_fit(
            bundle,
            run.open_split("train"),
            settings.training,
            device,
            processes=processes.count,
            uses_bf16=settings.training.uses_bf16(is_bf16_fast(device)),
        )
    save_bundle(bundle, run.folder / INIT_FOLDER)
    corpus.finish_preparation(settings.training, processes)
    # The settings come last, because a folder with settings counts as completely prepared.
    settings.save(run.folder / SETTINGS_FILE)


def _choose_trackers(settings: Settings) -> Settings:
    """Return the settings with the names of the trackers in place of `auto`.

    Raises:
        ConfigError: a tracker is unknown or not installed.
    """
    trackers = choose_trackers(settings.training.trackers)
    training = settings.training.model_copy(update={"trackers": trackers})
    return settings.model_copy(update={"training": training})


@dataclass(frozen=True)
class _Start:
    """What the model of a run starts from.

    Attributes:
        initial: an existing model (--init), or None.
        bases: pretrained models, if the model is new.
        encoder_tokenizer: the tokenizer of an encoder with tokens of its own, or None.
    """

    initial: Bundle | None
    bases: Bases
    encoder_tokenizer: EncoderTokenizer | None


def _choose_start(
    settings: Settings, init: str | Path | None, device: torch.device
) -> tuple[_Start, Settings]:
    """Return what the model starts from, and the settings with what follows from it.

    Raises:
        ConfigError: a setting does not fit the machine or the model to start from.
    """
    max_tokens = settings.data.max_tokens
    if not init:
        bases, settings = open_run_bases(settings, device)
        encoder = settings.model.encoder
        is_embedder = isinstance(encoder, PretrainedEncoderSettings) and encoder.is_embedder
        tokenizer = bases.load_encoder_tokenizer(max_tokens, is_whole=is_embedder)
        return _Start(None, bases, tokenizer), settings
    initial = load_bundle(init, "cpu")
    _check_initial_objective(settings, initial)
    _check_initial_labels(settings.data, initial)
    if isinstance(initial.model.decoder, LanguageModelDecoder):
        check_positions(settings, initial.model.decoder.language_model.upper.config)
    before = Run(Path(init)).read_settings().data.max_tokens
    encoder_tokenizer = lengthen_encoder_tokenizer(initial, max_tokens, before)
    return _Start(initial, Bases(None, None), encoder_tokenizer), settings


def _build_initial_model(
    settings: Settings,
    tokenizer: PreTrainedTokenizerBase,
    labels: Labels | None,
    bases: Bases,
    device: torch.device,
) -> TextVAEModel:
    """Return the model that the settings describe, with random weights."""
    return build_model(
        settings.model,
        tokenizer,
        labels=labels,
        is_language_model=settings.objective.kind == "language_model",
        bases=bases.opened,
        device=device,
    )


def _find_run_labels(run: Run, data: DataSettings, initial: Bundle | None) -> Labels | None:
    """Return the labels that condition the model, or None for a model without labels.

    Args:
        initial: the model to start from (--init), or None.

    Raises:
        ConfigError: the model to start from does not know one of the labels.
        DataError: the labels are unsuitable, for example all the same.
    """
    if data.label is None:
        return None
    labels = collect_labels(data.label, {split: run.open_split(split) for split in _SPLITS})
    if initial is not None and initial.labels is not None:
        initial.labels.to_ids(labels.names)  # raises ConfigError for an unknown label
        initial.model.config.label_column = labels.column
        counts = dict(zip(labels.names, labels.counts, strict=True))
        initial.model.set_label_counts([counts.get(name, 0) for name in initial.labels.names])
    return labels


def _check_initial_objective(settings: Settings, initial: Bundle) -> None:
    """Check that a language model is trained as one, and a model with a latent is not.

    Raises:
        ConfigError: the model has a latent and the objective none, or the other way around.
    """
    has_latent = bool(initial.model.config.latent_dim)
    if has_latent and settings.objective.kind == "language_model":
        raise ConfigError(
            "the model to start from (--init) has a latent, which a language model lacks: leave "
            "objective=language_model out."
        )
    if not has_latent and settings.objective.kind != "language_model":
        raise ConfigError(
            "the model to start from (--init) is a language model, without a latent: set "
            "objective=language_model."
        )


def _check_initial_labels(data: DataSettings, initial: Bundle) -> None:
    """Check that both the settings and the model to start from have labels, or neither.

    Raises:
        ConfigError: only one of the two has labels.
    """
    if initial.labels is None and data.label is not None:
        raise ConfigError("the model to start from (--init) has no labels: leave data.label out.")
    if initial.labels is not None and data.label is None:
        raise ConfigError("the model to start from (--init) has labels: set data.label.")
