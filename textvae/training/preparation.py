"""Prepare a run folder: corpus, tokenizer, first model and settings.

All of it is made in a staging folder next to the run. Whatever can be refused is
refused there. The folder then gets its final name with one rename, so that a run
folder is either complete or absent.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import normalizers
from transformers.integrations import get_available_reporting_integrations

from textvae.data import cache
from textvae.data.arrow import read_number_column
from textvae.data.corpus import DataSettings, prepare_splits, reasons_left_out
from textvae.data.corpus_labels import collect_labels
from textvae.data.labels import Labels
from textvae.data.row_report import print_note
from textvae.data.sources import SPLIT_NAMES, RowSource, list_corpus_files
from textvae.data.streaming.sample import is_streamed, prepare_stream
from textvae.data.texts import (
    is_table,
    iterate_column_rows,
    iterate_table_rows,
    require_columns,
    require_texts,
)
from textvae.data.tokenization import build_tokenizer
from textvae.errors import ConfigError, DataError, OutputError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel
from textvae.runs.run import LOCK, Run, find_foreign_entries, is_run
from textvae.runtime.files import (
    clean_up_after_kill,
    find_left_over,
    new_folder,
    remove,
    replace_folder,
)
from textvae.runtime.processes import Processes
from textvae.settings.auto import resolve_auto
from textvae.settings.run import Settings
from textvae.settings.training import TrainingSettings
from textvae.training.batch_shares import share_buckets
from textvae.training.failures import explain_full_disk

INIT_FOLDER = "init"  # inside a run: the model that training starts from

LARGE_CORPUS_BYTES = 2 * 2**30  # of source files; from this size on streaming is recommended

_SETTINGS_FILE = "settings.yaml"
_STAGED_RUN = "run"  # staging folders inside an existing empty folder are named after this
_SPLITS = ("train", "validation", "test")

_BuildTokenizer = Callable[[Iterator[str]], Any]  # from the training sentences


def read_inherited_settings(run: Run) -> dict[str, Any]:
    """Return the settings that a run must share with the run it starts from (--init)."""
    settings = run.read_settings().model_dump(mode="json")
    return {"model": settings["model"], "tokenizer": settings["tokenizer"]}


def read_object_rows(corpus: Any, text_column: str) -> dict[str, RowSource]:
    """Return the rows of a corpus that was passed as a Python object.

    Args:
        corpus: sentences; a table (a DataFrame, a data set, or a mapping from names to
            columns); or a mapping from splits to any of these.
        text_column: the column of a table that holds the sentences.

    Raises:
        DataError: the corpus is something else.
    """
    if not isinstance(corpus, Mapping) or not _names_splits(corpus):
        return {"train": _read_split_rows("train", corpus, text_column)}
    return {
        SPLIT_NAMES[split]: _read_split_rows(split, part, text_column)
        for split, part in corpus.items()
    }


def _names_splits(corpus: Mapping[Any, Any]) -> bool:
    """Return whether the keys of a mapping are splits, and not the columns of a table."""
    return "train" in corpus and all(split in SPLIT_NAMES for split in corpus)


def _read_split_rows(split: str, part: Any, text_column: str) -> RowSource:
    """Return the rows of one split that was passed as a Python object.

    Raises:
        DataError: the split holds no sentences, or is a string.
    """
    if isinstance(part, str | Path):
        raise DataError(
            f"the split {split!r} is the string {str(part)[:60]!r}; expected sentences or a table. "
            "To train on files, give the name of their folder."
        )
    if is_table(part):
        return lambda: iterate_table_rows(part)
    if isinstance(part, Mapping):
        if text_column not in part:
            keys = ", ".join(str(key)[:40] for key in list(part)[:10])
            raise DataError(
                f"the mapping has the keys {keys}; expected splits (train, validation, test) or "
                f"columns, {text_column!r} among them (data.text_column)."
            )
        columns = require_columns(part)
        return lambda: iterate_column_rows(columns)
    sentences = require_texts(part)
    return lambda: ({text_column: sentence} for sentence in sentences)


def create_run_folder(
    run: Run,
    settings: Settings,
    corpus_rows: dict[str, RowSource] | None,
    init: str | Path | None,
    overwrite: bool,
    processes: Processes,
) -> None:
    """Prepare a run in a staging folder, then give it its place.

    Args:
        corpus_rows: the rows of each split, of a corpus passed as a Python object.
        init: a run whose model and tokenizer to start from.

    Raises:
        OutputError: the folder holds another run, or something else.
        ConfigError: a batch has too few sentences for so many processes.
    """
    _refuse_existing_files(run.folder, overwrite)
    folder = run.folder.resolve()
    _report_earlier_release(folder)
    is_empty = folder.is_dir() and not is_run(folder)
    # An existing empty folder is filled and not replaced, since a shell may be in it. So the
    # staging folder has to be inside it: the folder may be the mount point of another disk.
    target = folder
    if is_empty:
        target = folder / _STAGED_RUN
    remedy = "run the same command again; existing files are unchanged"
    with explain_full_disk(run.folder, processes, remedy), new_folder(target) as staging:
        _prepare_run(Run(staging), settings, corpus_rows, init, processes)
        _refuse_existing_files(run.folder, overwrite)  # preparation may have taken hours
        if is_empty:
            _move_contents(staging, folder)
        elif folder.exists():
            replace_folder(staging, folder)
        else:
            staging.rename(folder)


def _report_earlier_release(folder: Path) -> None:
    """Report the staging folder of an earlier release that was killed.

    Its name does not show for certain that textvae made it, so it is not removed.
    """
    left_over = folder.with_name(f".{folder.name}.preparing")
    if (left_over / "corpus").is_dir():
        print_note(
            f"{left_over}: an earlier release of textvae was killed there; nothing needs this "
            "folder, and you can remove it."
        )


def _refuse_existing_files(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that is not empty, unless it is certainly a run and may be replaced.

    Raises:
        OutputError: the folder must not be written to; the message says what it holds.
    """
    path = folder.resolve()
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise _foreign_files_error(folder, [path.name])
    entries = [entry for entry in path.iterdir() if not _is_ours_while_empty(entry)]
    if not entries:
        return
    if not is_run(path):
        raise _foreign_files_error(folder, sorted(entry.name for entry in entries))
    if not overwrite:
        raise OutputError(
            f"{folder}: holds a run already. Choose another --output, continue the run with "
            "--resume, or replace it with --overwrite."
        )
    foreign = find_foreign_entries(path)
    if foreign:
        raise _foreign_files_error(folder, foreign)
    _refuse_fixed_folder(folder, path)


def _foreign_files_error(folder: Path, names: list[str]) -> OutputError:
    """Return the error that names files which do not belong to a run."""
    listed = ", ".join(names[:3])
    if len(names) > 3:
        listed += ", ..."
    return OutputError(
        f"{folder}: holds something that does not belong to a run: {listed}. "
        "Choose another --output; --overwrite replaces runs only, and deletes nothing else."
    )


def _refuse_fixed_folder(folder: Path, path: Path) -> None:
    """Refuse to replace a folder that cannot be renamed, or that the user would lose from sight.

    Raises:
        OutputError: it is a mount point, or the working directory is inside it.
    """
    if path.is_mount():
        reason = "a disk is mounted there"
    elif Path.cwd().is_relative_to(path):
        reason = "the command runs inside it"
    else:
        return
    raise OutputError(f"{folder}: cannot be replaced, because {reason}. Choose another --output.")


def _is_ours_while_empty(path: Path) -> bool:
    """Return whether a path in an otherwise empty folder is our lock or our staging folder."""
    if path.name == LOCK:
        return True
    return path in find_left_over(path.parent / _STAGED_RUN, "new", is_locked=True)


def _move_contents(staging: Path, folder: Path) -> None:
    """Move a prepared run into an empty folder, entry by entry.

    The settings come last: with them the folder is a run, so it must be complete by then.
    """
    for path in sorted(staging.iterdir(), key=lambda path: path.name == _SETTINGS_FILE):
        path.rename(folder / path.name)


def tidy_up_after_a_kill(folder: Path) -> None:
    """Restore or complete a run that a killed process was moving; the caller holds its lock."""
    path = folder.resolve()
    clean_up_after_kill(path, is_locked=True)
    for staging in find_left_over(path / _STAGED_RUN, "new", is_locked=True):
        # The staging folder has settings only once all of it is prepared.
        if (staging / _SETTINGS_FILE).is_file() and not (path / _SETTINGS_FILE).exists():
            _move_contents(staging, path)
        remove(staging)


def _prepare_run(
    run: Run,
    settings: Settings,
    corpus_rows: dict[str, RowSource] | None,
    init: str | Path | None,
    processes: Processes,
) -> None:
    """Fill a run folder with all that training needs; the settings come last."""
    _check_trackers(settings.training.trackers)
    initial = load_bundle(init, "cpu") if init else None
    tokenizer, counts = _prepare_corpus(run, settings, corpus_rows, initial)
    if not run.is_streamed():  # the counts of a stream are those of its sample
        _report_left_out_rows(counts, settings.data)
    _report_overlap(counts["tokenized"], settings.data)
    if initial is None and settings.tokenizer.kind != "folder":
        tokenizer.backend_tokenizer.normalizer = _build_normalizer(settings.data)
    labels = _find_run_labels(run, settings.data, initial)
    train_counts = counts["tokenized"]["train"]
    settings = resolve_auto(settings, train_counts["tokens"] / train_counts["sentences"])
    torch.manual_seed(settings.training.seed)
    model = initial.model if initial else build_model(settings, tokenizer, labels)
    longest = max(read_number_column(run.open_split(split), "length").max() for split in _SPLITS)
    # top_k=0, since transformers would otherwise sample among the 50 likeliest tokens only.
    model.generation_config.update(max_new_tokens=int(longest) + 1, do_sample=True, top_k=0)
    save_bundle(Bundle(model, tokenizer), run.folder / INIT_FOLDER)
    if run.is_streamed():
        (run.folder / "corpus" / "train.arrow").unlink()  # the sample
    else:
        # Only to refuse batches that are too small now, and not after the run has its name.
        lengths = read_number_column(run.open_split("train"), "length")
        share_buckets(lengths, settings.training, processes)
    settings.save(run.folder / _SETTINGS_FILE)


def _find_run_labels(run: Run, data: DataSettings, initial: Bundle | None) -> Labels | None:
    """Return the labels that condition the model, or None for a model without labels.

    Raises:
        ConfigError: the model to start from does not know one of the labels; or it has labels
            and `data.label` is not set, or the other way round.
        DataError: the labels are unsuitable, for example all the same.
    """
    if initial is not None:
        _check_initial_labels(data, initial)
    if data.label is None:
        return None
    labels = collect_labels(data.label, {split: run.open_split(split) for split in _SPLITS})
    if initial is not None and initial.labels is not None:
        initial.labels.ids(labels.names)  # raises ConfigError for an unknown label
        initial.model.config.label_column = labels.column
    return labels


def _check_initial_labels(data: DataSettings, initial: Bundle) -> None:
    """Check that both the settings and the model to start from have labels, or neither.

    Raises:
        ConfigError: only one of them has.
    """
    if initial.labels is None and data.label is not None:
        raise ConfigError("the model to start from (--init) has no labels: leave data.label out.")
    if initial.labels is not None and data.label is None:
        raise ConfigError("the model to start from (--init) has labels: set data.label.")


def _prepare_corpus(
    run: Run,
    settings: Settings,
    corpus_rows: dict[str, RowSource] | None,
    initial: Bundle | None,
) -> tuple[Any, dict[str, Any]]:
    """Prepare the whole corpus, or the sample of a stream; return the tokenizer and the counts."""
    data = settings.data
    folder = run.folder / "corpus"

    def provide_tokenizer(sentences: Iterator[str]) -> Any:
        if initial:
            return initial.tokenizer
        return build_tokenizer(settings.tokenizer, sentences)

    if is_streamed(data):
        _refuse_stream_labels(data)
        is_named = corpus_rows is None and data.corpus is not None
        _check_stream_settings(data, settings.training, is_named)
        refuse_second_reading(settings)
        return prepare_stream(data, settings.training.seed, folder, provide_tokenizer)
    # The cache's key has the settings of data and tokenizer alone, so neither rows from Python
    # nor the tokenizer of another run can be found by it.
    if corpus_rows or initial:
        return prepare_splits(data, data.split_seed, folder, provide_tokenizer, corpus_rows)
    _advise_streaming(data)
    return _prepare_cached_splits(settings, folder, provide_tokenizer)


def _prepare_cached_splits(
    settings: Settings, folder: Path, provide_tokenizer: _BuildTokenizer
) -> tuple[Any, dict[str, Any]]:
    """Take a prepared corpus from the cache, or prepare it and add it to the cache."""
    data = settings.data
    entry = cache.locate_entry(data, settings.tokenizer, data.split_seed)
    restored = cache.restore_entry(entry, folder) if entry else None
    if restored:
        return restored
    tokenizer, counts = prepare_splits(data, data.split_seed, folder, provide_tokenizer)
    if entry:
        cache.save_entry(entry, folder, tokenizer)
    return tokenizer, counts


def refuse_second_reading(settings: Settings) -> None:
    """Refuse a technique that needs additional batches from a stream.

    Raises:
        ConfigError: the objective has such a technique.
    """
    if "aggressive" in settings.objective.techniques:
        raise ConfigError(
            "objective.techniques.aggressive trains the encoder on additional batches, but a stream "
            "can be read only once: leave it out, or set data.streaming=false."
        )


def _refuse_stream_labels(data: DataSettings) -> None:
    """Refuse to condition on the labels of a stream.

    Raises:
        ConfigError: `data.label` is set.
    """
    if data.label is not None:
        raise ConfigError(
            "data.label: all labels must be known before training, but a stream is read during "
            "training; set data.streaming=false."
        )


def _report_left_out_rows(
    counts: Mapping[str, Mapping[str, Mapping[str, int]]], data: DataSettings
) -> None:
    """Report how many rows cleaning left out, and why, and how many sentences were cut."""
    name = data.corpus or "the corpus"
    cleaned = Counter[str]()
    for split_counts in counts["cleaned"].values():
        cleaned.update(split_counts)
    reasons = reasons_left_out(cleaned)
    if reasons:
        left_out = cleaned["read"] - cleaned["kept"]
        print_note(f"{name}: {left_out:,} of {cleaned['read']:,} rows left out ({reasons}).")
    tokenized = counts["tokenized"].values()
    cut = sum(split_counts.get("truncated", 0) for split_counts in tokenized)
    if not cut:
        return
    total = sum(split_counts.get("sentences", 0) for split_counts in tokenized)
    noun = "sentence" if total == 1 else "sentences"
    verb = "is" if cut == 1 else "are"
    print_note(
        f"{name}: {cut:,} of {total:,} {noun} {verb} cut at data.max_tokens = {data.max_tokens}."
    )


def _report_overlap(counts: Mapping[str, Mapping[str, int]], data: DataSettings) -> None:
    """Report sentences that are in two splits of a corpus that comes in splits."""
    in_both = counts["validation"].get("also_held_out", 0)
    if in_both:
        print_note(
            f"{_count_sentences(in_both, 'validation')} also in the test split, on which measures "
            "come out too good: the best checkpoint is selected on the validation split."
        )
    alike = counts["train"].get("cut_alike", 0)
    if alike:
        print_note(
            f"{_count_sentences(alike, 'training')}, once cut at data.max_tokens = "
            f"{data.max_tokens}, also in the validation or test split: measures on these splits "
            "come out too good. Raise data.max_tokens."
        )
    shared = counts["train"].get("also_held_out", 0)
    if not shared:
        return
    overlap = f"{_count_sentences(shared, 'training')} also in the validation or test split"
    if data.drop_duplicates:
        print_note(f"{overlap}, and left out of training.")
    else:
        print_note(
            f"{overlap}: measures on these splits come out too good. "
            "data.drop_duplicates=true leaves such sentences out."
        )


def _count_sentences(count: int, split: str) -> str:
    """Return the beginning of a note, such as `3 training sentences are`."""
    if count > 1:
        return f"{count:,} {split} sentences are"
    return f"{count:,} {split} sentence is"


def _advise_streaming(data: DataSettings) -> None:
    """Recommend streaming for a very large corpus."""
    size = sum(file.stat().st_size for file in list_corpus_files(data.corpus or ""))
    if size > LARGE_CORPUS_BYTES:
        print_note(
            f"{data.corpus} has {size / 1e9:.1f} GB; all of it is read and tokenized before "
            "training starts; data.streaming=true starts at once."
        )


def build_model(settings: Settings, tokenizer: Any, labels: Labels | None = None) -> TextVAEModel:
    """Return the model that the settings describe, with random weights."""
    parts = settings.model
    latent_dim = parts.latent_dim
    conditioning = list(parts.conditioning)
    if settings.objective.kind == "language_model":
        latent_dim = 0
        if not labels:  # without z and labels there is nothing to condition on
            conditioning = []
    label_config = {}
    if labels is not None:
        label_config = _build_label_config(labels, parts.label_dim)
    config = TextVAEConfig(
        latent_dim=latent_dim,
        vocab_size=len(tokenizer),
        encoder_vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        encoder_settings=parts.encoder.model_dump(),
        decoder_settings=parts.decoder.model_dump(),
        posterior_settings=parts.posterior.model_dump(),
        prior_settings=parts.prior.model_dump(),
        conditioning=conditioning,
        **label_config,
    )
    return TextVAEModel(config)


def _build_label_config(labels: Labels, size: int) -> dict[str, Any]:
    """Return the entries that only the config of a conditional model has."""
    return {
        "labels": list(labels.names),
        "label_counts": list(labels.counts),
        "label_column": labels.column,
        "label_dim": size,
    }


def _check_trackers(names: list[str]) -> None:
    """Check that transformers knows each tracker, and that it is installed.

    Raises:
        ConfigError: a tracker is unknown or not installed; the message lists those there are.
    """
    available = get_available_reporting_integrations()
    for name in names:
        if name not in available:
            raise ConfigError(
                f"training.trackers names {name!r}, which is unknown or not installed; "
                f"choose from {', '.join(available)}."
            )


def _build_normalizer(data: DataSettings) -> normalizers.Normalizer:
    """Return the corpus's Unicode form and case as a part of the tokenizer.

    Texts that the model encodes later are then normalized as the corpus was.
    """
    steps = []
    if data.normalize != "none":
        steps.append(getattr(normalizers, data.normalize)())
    if data.lowercase:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps)


def _check_stream_settings(
    settings: DataSettings, training: TrainingSettings, is_named: bool
) -> None:
    """Check the settings that a stream restricts.

    Args:
        is_named: the corpus is files that the settings name, and not a Python object.

    Raises:
        ConfigError: there are no files, nothing bounds the run, or duplicates are to be dropped.
    """
    if not is_named:
        raise ConfigError(
            "data.streaming = True needs files to read; name them, or leave data.streaming out."
        )
    is_bounded = training.steps is not None or training.max_minutes is not None
    if training.epochs is not None or not is_bounded:
        raise ConfigError(
            f"{settings.corpus} is streamed, so its length is not known: set training.steps or "
            "training.max_minutes, and leave training.epochs out."
        )
    if settings.drop_duplicates:
        raise ConfigError(
            "data.drop_duplicates=true would have to remember a whole stream; leave it out. "
            "(Duplicates of held-out sentences are never trained on.)"
        )
