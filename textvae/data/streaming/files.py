"""The files of a stream: found by folder, pattern or URL, and grouped by split.

Whatever `fsspec` can list works: local paths, s3://, gs://, hf://, https:// and others.
"""

from pathlib import Path, PurePosixPath

from fsspec import AbstractFileSystem
from fsspec.core import has_magic, url_to_fs

from textvae.data.sources import infer_split, is_pipe, match_pattern, resolve_path
from textvae.data.tables import CORPUS_SUFFIXES, get_format_suffix
from textvae.errors import DataError


def is_remote(corpus: str) -> bool:
    """Return whether a corpus is named by URL; an existing file is not, whatever its name."""
    return "://" in corpus and not Path(corpus).exists()


def is_stream_only(corpus: str) -> bool:
    """Return whether a corpus is named by URL or pattern, which only a stream can read."""
    return is_remote(corpus) or (has_magic(corpus) and not resolve_path(corpus).exists())


def find_stream_files(corpus: str) -> dict[str, list[str]]:
    """Return the files of each split, sorted; a single file is `train`, whatever its name.

    Args:
        corpus: a file, folder, pattern or bundled corpus, or several URLs separated by spaces.

    Raises:
        DataError: no file is found, none can be read, or none belongs to the training split.
    """
    if is_remote(corpus):
        # A set, since a file may match several of the URLs.
        files = sorted({file for url in corpus.split() for file in _list_remote(url)})
    elif is_pipe(resolve_path(corpus)):
        raise DataError(
            f"{corpus}: is a pipe, which cannot be read again in each epoch; save what it holds as "
            "a file, or set data.streaming=false."
        )
    else:
        files = _list_local(resolve_path(corpus).absolute())
    if not files:
        raise DataError(
            f"{corpus}: no file to stream was found; expected {', '.join(CORPUS_SUFFIXES)}, "
            "compressed or not. (To stream a data set, name its files, for instance "
            "hf://datasets/NAME/**.parquet.)"
        )
    # Somebody who names one file means to train on it, even if it is called test.txt.
    if len(files) == 1:
        return {"train": files}
    splits: dict[str, list[str]] = {}
    for file in files:
        splits.setdefault(infer_split(PurePosixPath(file).name), []).append(file)
    if "train" not in splits:
        raise DataError(
            f"{corpus}: contains {', '.join(sorted(splits))} but nothing to train on; "
            "name a file train, for instance."
        )
    return splits


def _list_local(path: Path) -> list[str]:
    """Return a file itself, the files of a folder, or the files that match a pattern, sorted."""
    if path.is_file():
        return [str(path)]
    files = path.iterdir() if path.is_dir() else match_pattern(path)
    return sorted(str(file) for file in files if file.is_file() and get_format_suffix(file.name))


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
    return [_restore_protocol(system, file) for file in files if get_format_suffix(file)]


def _restore_protocol(system: AbstractFileSystem, path: str) -> str:
    """Return the URL of a file that was listed; fsspec lists paths without their protocol."""
    if "file" in system.protocol:  # a file:// URL becomes a local path
        return path
    return str(system.unstrip_protocol(path))
