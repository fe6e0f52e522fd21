"""Preparation: a run folder with all that training needs, made beside its place and moved there whole."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import normalizers
from tqdm import tqdm
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


_SETTINGS = "settings.yaml"


_PREPARED = "run"  # inside a folder that was empty: names what is prepared for it


LARGE_CORPUS_BYTES = 2 * 2**30  # bytes of source files


def read_inherited_settings(run: Run) -> dict[str, Any]:
    """Return the settings a run started from another must share with it."""
    settings = run.read_settings().model_dump(mode="json")
    return {"model": settings["model"], "tokenizer": settings["tokenizer"]}


def read_object_rows(corpus: Any, text_column: str) -> dict[str, RowSource]:
    """Return the rows of a corpus given from Python.

    Args:
        corpus: sentences; a table, as a DataFrame, a data set or a mapping from names to columns; or a mapping
            from splits to any of these.

    Raises:
        DataError: it is something else.
    """
    if (
        isinstance(corpus, Mapping)
        and "train" in corpus
        and all(split in SPLIT_NAMES for split in corpus)
    ):
        return {
            SPLIT_NAMES[split]: _rows_of_split(split, part, text_column)
            for split, part in corpus.items()
        }
    return {"train": _rows_of_split("train", corpus, text_column)}


def _rows_of_split(split: str, part: Any, text_column: str) -> RowSource:
    """Return the rows of one split given from Python.

    Raises:
        DataError: it holds no sentences, or is a name.
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
                f"the mapping has the keys {keys}; expected splits (train, validation, test) or columns, "
                f"{text_column!r} among them (data.text_column)."
            )
        columns = require_columns(part)
        return lambda: iterate_column_rows(columns)
    sentences = require_texts(part)
    return lambda: ({text_column: sentence} for sentence in sentences)


def create_run_folder(
    run: Run,
    settings: Settings,
    given: dict[str, RowSource] | None,
    init: str | Path | None,
    overwrite: bool,
    processes: Processes,
) -> None:
    """Prepare corpus, tokenizer and first model in a folder of their own, then put them in the run's place.

    Raises:
        OutputError: another run, or something else, is there.
        ConfigError: the batches are too small for as many processes.
    """
    _refuse_what_exists(run.folder, overwrite)
    folder = run.folder.resolve()
    _tell_of_earlier_release(folder)
    is_empty = folder.is_dir() and not is_run(folder)
    with (
        explain_full_disk(
            run.folder, processes, "give the same command again; what was there is unchanged"
        ),
        new_folder(folder / _PREPARED if is_empty else folder) as prepared,
    ):
        _prepare_run(Run(prepared), settings, given, init, processes)
        _refuse_what_exists(run.folder, overwrite)  # preparation may have taken hours
        if is_empty:
            _move_contents(prepared, folder)
        elif folder.exists():
            replace_folder(prepared, folder)
        else:
            prepared.rename(folder)


def _tell_of_earlier_release(folder: Path) -> None:
    """Say that an earlier release has left what it was preparing; it may be somebody's own, so it is not removed."""
    left = folder.with_name(f".{folder.name}.preparing")
    if (left / "corpus").is_dir():
        print_note(
            f"{left}: an earlier release of textvae was killed there; nothing needs this folder, and you can remove it."
        )


def _refuse_what_exists(folder: Path, overwrite: bool) -> None:
    """Refuse to write to a folder that is not empty, unless it is certainly a run and may be replaced.

    Raises:
        OutputError: with what is there.
    """
    place = folder.resolve()
    if not os.path.lexists(place):
        return
    entries = (
        [path for path in place.iterdir() if not _is_ours_while_empty(path)]
        if place.is_dir()
        else [place]
    )
    if not entries:
        return
    known = place.is_dir() and is_run(place)
    if known and not overwrite:
        raise OutputError(
            f"{folder}: holds a run already. Choose another --output, or --resume it, or --overwrite it."
        )
    foreign = find_foreign_entries(place) if known else sorted(path.name for path in entries)
    if foreign or not known:
        names = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise OutputError(
            f"{folder}: holds something that is no run: {names}. Choose another --output, for --overwrite replaces "
            "runs only, and deletes nothing else."
        )
    if place.is_mount() or Path.cwd().is_relative_to(place):
        where = "a disk is mounted there" if place.is_mount() else "the command runs inside it"
        raise OutputError(f"{folder}: cannot be replaced, for {where}. Choose another --output.")


def _is_ours_while_empty(path: Path) -> bool:
    """Whether a path in an otherwise empty folder is the lock, or what is being prepared."""
    return path.name == LOCK or path in find_left_over(
        path.parent / _PREPARED, "new", is_locked=True
    )


def _move_contents(prepared: Path, folder: Path) -> None:
    """Move what has been prepared into an empty folder, which stays the same: a shell may be in it, or a disk be it."""
    for path in sorted(
        prepared.iterdir(), key=lambda path: path.name == _SETTINGS
    ):  # with its settings it is a run
        path.rename(folder / path.name)


def tidy_up_after_a_kill(folder: Path) -> None:
    """Restore or complete a run that a killed process was putting in its place; the caller holds its lock."""
    place = folder.resolve()
    clean_up_after_kill(place, is_locked=True)
    for prepared in find_left_over(place / _PREPARED, "new", is_locked=True):
        if (prepared / _SETTINGS).is_file() and not (place / _SETTINGS).exists():
            _move_contents(prepared, place)
        remove(prepared)


def _prepare_run(
    run: Run,
    settings: Settings,
    given: dict[str, RowSource] | None,
    init: str | Path | None,
    processes: Processes,
) -> None:
    """Fill a run folder with all that training needs, its settings last."""
    _check_trackers(settings.training.trackers)
    start = load_bundle(init, "cpu") if init else None

    def tokenizer_for(sentences: Iterator[str]) -> Any:
        return start.tokenizer if start else build_tokenizer(settings.tokenizer, sentences)

    tokenizer, counts = _prepare_corpus(run, settings, given, tokenizer_for, start)
    if not run.is_streamed():  # a stream's counts are of its sample
        _report_left_out_rows(counts, settings.data)
    _report_overlap(counts["tokenized"], settings.data)
    if start is None and settings.tokenizer.kind != "folder":
        tokenizer.backend_tokenizer.normalizer = _build_normalizer(settings.data)
    labels = _find_run_labels(run, settings.data, start)
    train_counts = counts["tokenized"]["train"]
    settings = resolve_auto(settings, train_counts["tokens"] / train_counts["sentences"])
    torch.manual_seed(settings.training.seed)
    model = start.model if start else build_model(settings, tokenizer, labels)
    longest = max(
        read_number_column(run.open_split(split), "length").max()
        for split in ("train", "validation", "test")
    )
    model.generation_config.update(max_new_tokens=int(longest) + 1, do_sample=True, top_k=0)
    save_bundle(Bundle(model, tokenizer), run.folder / INIT_FOLDER)
    if run.is_streamed():
        (run.folder / "corpus" / "train.arrow").unlink()  # the sample
    else:
        share_buckets(
            read_number_column(run.open_split("train"), "length"), settings.training, processes
        )  # refused here, if at all
    settings.save(run.folder / _SETTINGS)


def _find_run_labels(run: Run, data: DataSettings, start: Bundle | None) -> Labels | None:
    """Return the labels that condition the model, if any do; a model to start from must know all of them.

    Raises:
        ConfigError: the model to start from knows other labels, or none, or wants some.
        DataError: the labels are too poor to condition on.
    """
    if start is not None and (data.label is None) != (start.labels is None):
        is_known = (
            "has no labels: leave data.label out"
            if start.labels is None
            else "has labels: set data.label"
        )
        raise ConfigError(f"the model to start from (--init) {is_known}.")
    if data.label is None:
        return None
    found = collect_labels(
        data.label, {split: run.open_split(split) for split in ("train", "validation", "test")}
    )
    if start is not None and start.labels is not None:
        start.labels.ids(found.names)
        start.model.config.label_column = found.column
    return found


def _prepare_corpus(
    run: Run,
    settings: Settings,
    given: dict[str, RowSource] | None,
    build: Any,
    start: Bundle | None,
) -> tuple[Any, dict[str, Any]]:
    """Prepare the whole corpus, or take it from the cache, or what a stream needs before it starts.

    Returns:
        the tokenizer and the counts.
    """
    data, seed, folder = settings.data, settings.data.split_seed, run.folder / "corpus"
    if is_streamed(data):
        _refuse_stream_labels(data)
        _check_stream_settings(
            data, settings.training, is_named=given is None and data.corpus is not None
        )
        refuse_second_reading(settings)
        return prepare_stream(data, settings.training.seed, folder, build)
    if given or start:
        return prepare_splits(data, seed, folder, build, given)
    _advise_streaming(data)
    entry = cache.locate_entry(data, settings.tokenizer, seed)
    if entry and (kept := cache.restore_entry(entry, folder)):
        return kept
    tokenizer, counts = prepare_splits(data, seed, folder, build)
    if entry:
        cache.save_entry(entry, folder, tokenizer)
    return tokenizer, counts


def refuse_second_reading(settings: Settings) -> None:
    """Refuse a technique that needs batches of its own from a stream.

    Raises:
        ConfigError: with the mend.
    """
    if "aggressive" in settings.objective.techniques:
        raise ConfigError(
            "objective.techniques.aggressive trains the encoder on batches of its own, and a stream is read once: "
            "leave it out, or say data.streaming=false."
        )


def _refuse_stream_labels(data: DataSettings) -> None:
    """Refuse to condition on the labels of a stream: they would have to be known before it is read.

    Raises:
        ConfigError: with the mend.
    """
    if data.label is not None:
        raise ConfigError(
            "data.label: all labels must be known before training, and a stream is read as it goes; "
            "say data.streaming=false."
        )


def _report_left_out_rows(
    counts: Mapping[str, Mapping[str, Mapping[str, int]]], data: DataSettings
) -> None:
    """Say how many rows cleaning has left out, and why, and how many sentences are cut at `max_tokens`."""
    fates = sum((Counter(split) for split in counts["cleaned"].values()), Counter[str]())
    name = data.corpus or "the corpus"
    if reasons := reasons_left_out(fates):
        print_note(
            f"{name}: {fates['read'] - fates['kept']:,} of {fates['read']:,} rows left out ({reasons})."
        )
    tokenized = counts["tokenized"].values()
    if cut := sum(split.get("truncated", 0) for split in tokenized):
        total = sum(split.get("sentences", 0) for split in tokenized)
        what = "sentence is" if total == 1 else "sentences is" if cut == 1 else "sentences are"
        print_note(
            f"{name}: {cut:,} of {total:,} {what} cut at data.max_tokens = {data.max_tokens}."
        )


def _report_overlap(counts: Mapping[str, Mapping[str, int]], data: DataSettings) -> None:
    """Say so where a sentence is in two of the splits that a corpus names."""
    if both := counts["validation"].get("also_held_out", 0):
        what = "validation sentences are" if both > 1 else "validation sentence is"
        print_note(
            f"{both:,} {what} also in the test split, on which measures come out too good: the model is chosen on them."
        )
    if alike := counts["train"].get("cut_alike", 0):
        what = "training sentences are" if alike > 1 else "training sentence is"
        print_note(
            f"{alike:,} {what}, once cut at data.max_tokens = {data.max_tokens}, also in the validation or test split: "
            "measures on these splits come out too good. Raise data.max_tokens."
        )
    shared = counts["train"].get("also_held_out", 0)
    if not shared:
        return
    what = f"{shared:,} training sentence{'s are' if shared > 1 else ' is'} also in the validation or test split"
    if data.drop_duplicates:
        print_note(f"{what}, and left out of training.")
    else:
        mend = "measures on these splits come out too good. data.drop_duplicates=true leaves such sentences out"
        print_note(f"{what}: {mend}.")


def _advise_streaming(data: DataSettings) -> None:
    """Say so where a corpus is so large that it had better be streamed."""
    size = sum(file.stat().st_size for file in list_corpus_files(data.corpus or ""))
    if size > LARGE_CORPUS_BYTES:
        note = "every sentence of it is read and tokenised before training starts; data.streaming=true starts at once"
        tqdm.write(f"note: {data.corpus} has {size / 1e9:.1f} GB; {note}.", file=sys.stderr)


def build_model(settings: Settings, tokenizer: Any, labels: Labels | None = None) -> TextVAEModel:
    """Return the model the settings describe, with random weights."""
    parts, is_vae = settings.model, settings.objective.kind != "language_model"
    return TextVAEModel(
        TextVAEConfig(
            latent_dim=parts.latent_dim if is_vae else 0,
            vocab_size=len(tokenizer),
            encoder_vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            encoder_settings=parts.encoder.model_dump(),
            decoder_settings=parts.decoder.model_dump(),
            posterior_settings=parts.posterior.model_dump(),
            prior_settings=parts.prior.model_dump(),
            conditioning=list(parts.conditioning) if is_vae or labels else [],
            **({} if labels is None else _build_label_config(labels, parts.label_dim)),
        )
    )


def _build_label_config(labels: Labels, size: int) -> dict[str, Any]:
    """Return what a conditional model's config has beside another's."""
    names, counts = list(labels.names), list(labels.counts)
    return {
        "labels": names,
        "label_counts": counts,
        "label_column": labels.column,
        "label_dim": size,
    }


def _check_trackers(names: list[str]) -> None:
    """Refuse a tracker that transformers does not know or that is not installed.

    Raises:
        ConfigError: with those there are.
    """
    there = get_available_reporting_integrations()
    for name in names:
        if name not in there:
            raise ConfigError(
                f"training.trackers names {name!r}, which is not installed or unknown; there are {', '.join(there)}."
            )


def _build_normalizer(data: DataSettings) -> normalizers.Normalizer:
    """Return the corpus's Unicode form and case as a part of the tokenizer: what is read later is treated alike."""
    steps = [] if data.normalize == "none" else [getattr(normalizers, data.normalize)()]
    return normalizers.Sequence([*steps, normalizers.Lowercase()] if data.lowercase else steps)


def _check_stream_settings(
    settings: DataSettings, training: TrainingSettings, is_named: bool
) -> None:
    """Refuse what a stream cannot have.

    Raises:
        ConfigError: with the mend.
    """
    if not is_named:
        raise ConfigError(
            "data.streaming = True needs files to read; name them, or leave data.streaming out."
        )
    if training.epochs is not None or (training.steps is None and training.max_minutes is None):
        raise ConfigError(
            f"{settings.corpus} is streamed, and how long it is nobody knows: bound the run by training.steps or "
            "training.max_minutes, and leave training.epochs out."
        )
    if settings.drop_duplicates:
        raise ConfigError(
            "data.drop_duplicates would have to remember a whole stream; leave it out. "
            "(Duplicates of held-out sentences are never trained on.)"
        )
