"""The files of a stream: found by folder, pattern or URL, and grouped by split.

Whatever `fsspec` can list works: local paths, s3://, gs://, hf://, https:// and others.
"""

from pathlib import Path, PurePosixPath

from fsspec import AbstractFileSystem
from fsspec.core import has_magic, url_to_fs

from textvae.data.folders import (
    describe_files,
    is_about_corpus,
    is_utf8_text,
    read_folder,
)
from textvae.data.row_report import shorten_list
from textvae.data.sources import is_pipe, match_pattern, resolve_path
from textvae.data.split_names import infer_path_splits
from textvae.data.tables import CORPUS_SUFFIXES, TextUnit, get_format_suffix
from textvae.errors import DataError
from textvae.messages import print_note

_MAX_LISTED = 4  # names of files that a note lists


def is_remote(corpus: str) -> bool:
    """Return whether a corpus is named by URL; an existing file is not, whatever its name."""
    return "://" in corpus and not Path(corpus).exists()


def is_stream_only(corpus: str) -> bool:
    """Return whether a corpus is named by URL or pattern, which only a stream can read."""
    return is_remote(corpus) or (has_magic(corpus) and not resolve_path(corpus).exists())


def find_stream_files(
    corpus: str, unit: TextUnit = "line", *, needs_training_split: bool = True
) -> dict[str, list[str]]:
    """Return the files of each split, sorted; a single file is `train`, whatever its name.

    Args:
        corpus: a file, folder, pattern or bundled corpus, or several URLs separated by spaces.
        unit: what one text of a text file is, for a note.
        needs_training_split: whether to refuse a corpus without a training split.

    Raises:
        DataError: no file is found, none can be read, or the training split is missing.
    """
    if is_remote(corpus):
        # A set, since a file may match several of the URLs.
        files = sorted({file for url in corpus.split() for file in _list_remote(url)})
        splits = _group_by_split(corpus, files)
    elif is_pipe(resolve_path(corpus)):
        raise DataError(
            f"{corpus}: is a pipe, which cannot be read again in each epoch; save what it holds as "
            "a file, or set data.streaming=false."
        )
    else:
        splits = _find_local_splits(corpus, resolve_path(corpus).absolute(), unit)
    if not splits:
        raise DataError(
            f"{corpus}: no file to stream was found; expected {', '.join(CORPUS_SUFFIXES)}, "
            "compressed or not. (To stream a data set, name its files, for instance "
            "hf://datasets/NAME/**.parquet.)"
        )
    if needs_training_split and "train" not in splits:
        raise DataError(
            f"{corpus}: contains {', '.join(sorted(splits))} but nothing to train on; "
            "name a file train, for instance."
        )
    return splits


def _find_local_splits(corpus: str, path: Path, unit: TextUnit) -> dict[str, list[str]]:
    """Return the files of each split of a folder, a pattern or a file; print notes about them."""
    if not path.is_dir():
        return _group_by_split(corpus, _list_local(path))
    contents = read_folder(path)
    if contents.splits:
        for note in describe_files(path, contents, unit):
            print_note(note)
    return {split: [str(file.path) for file in files] for split, files in contents.splits.items()}


def _group_by_split(corpus: str, files: list[str]) -> dict[str, list[str]]:
    """Return the files of each split, grouped by their names; print which are held out."""
    # Somebody who names one file means to train on it, even if it is called test.txt.
    if len(files) == 1:
        return {"train": files}
    about = [file for file in files if is_about_corpus(PurePosixPath(file).name)]
    if about:
        print_note(
            f"{corpus}: not read: {_format_files(about)} (about the corpus, not text of it)."
        )
        files = [file for file in files if file not in about]
    splits: dict[str, list[str]] = {}
    for file, split in infer_path_splits(files).items():
        splits.setdefault(split, []).append(file)
    for split, held_out in splits.items():
        if split != "train" and "train" in splits:
            print_note(f"{corpus}: the {split} split is {_format_files(held_out)}.")
    return splits


def _format_files(files: list[str]) -> str:
    """Return the names of files as a note lists them: the first ones and a count."""
    return shorten_list([PurePosixPath(file).name for file in files], _MAX_LISTED)


def _list_local(path: Path) -> list[str]:
    """Return a file itself, or the files that match a pattern, sorted.

    If no file of a pattern has a suffix of a known format, those that are text are returned.
    """
    if path.is_file():
        return [str(path)]
    files = match_pattern(path)
    known = [file for file in files if get_format_suffix(file.name)]
    if not known:
        return sorted(str(file) for file in files if is_utf8_text(file))
    _report_unknown(
        str(path),
        [str(file) for file in files if not get_format_suffix(file.name)],
        "; to read them as text, name them with a pattern of their own",
    )
    return sorted(map(str, known))


def _report_unknown(corpus: str, files: list[str], advice: str = "") -> None:
    """Print which files are not read because others have a suffix of a known format."""
    if files:
        print_note(
            f"{corpus}: not read: {_format_files(files)} (files of unknown suffixes among known ones)"
            f"{advice}."
        )


def _list_remote(url: str) -> list[str]:
    """Return the URLs of a file itself, of the files of a folder, or of those matching a pattern.

    Raises:
        DataError: the file system is unknown or does not answer.
    """
    try:
        system, path = url_to_fs(url)
        # As for local names, an existing file is not a pattern.
        if has_magic(url) and not system.exists(path):
            files = system.glob(path)
        elif get_format_suffix(url):
            return [url]
        else:
            files = system.ls(path, detail=False)
    except FileNotFoundError:
        return []
    except Exception as error:  # each file system raises errors of its own, without a common base
        raise DataError(f"{url}: cannot be listed: {error}") from error
    visible = [file for file in files if not PurePosixPath(file).name.startswith((".", "_"))]
    known = [file for file in visible if get_format_suffix(file)]
    # Without a suffix, it may be a folder.
    others = [
        file for file in visible if PurePosixPath(file).suffix and not get_format_suffix(file)
    ]
    _report_unknown(url, others)
    return [_restore_protocol(system, file) for file in known]


def _restore_protocol(system: AbstractFileSystem, path: str) -> str:
    """Return the URL of a file that was listed; fsspec lists paths without their protocol."""
    if "file" in system.protocol:  # a file:// URL becomes a local path
        return path
    return str(system.unstrip_protocol(path))
