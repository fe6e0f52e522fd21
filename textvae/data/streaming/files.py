"""The files of a stream: found by folder, pattern or URL, and grouped by the split their names mean.

Anything `fsspec` can list will do: s3://, gs://, hf://, https:// and paths here.
"""

from pathlib import Path, PurePosixPath

from fsspec import AbstractFileSystem
from fsspec.core import has_magic, url_to_fs

from textvae.data.sources import CORPUS_SUFFIXES, infer_split, match_pattern, resolve_path
from textvae.errors import DataError

COMPRESSION_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4")


def is_remote(corpus: str) -> bool:
    """Whether a corpus is named by URL; an existing file is not, whatever its name."""
    return "://" in corpus and not Path(corpus).exists()


def is_stream_only(corpus: str) -> bool:
    """Whether a corpus is named by URL or pattern, which only a stream can read."""
    return is_remote(corpus) or (has_magic(corpus) and not resolve_path(corpus).exists())


def get_stream_suffix(file: str) -> str | None:
    """Return the suffix that says how to read a file, compression left aside; None where there is no such."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(file).suffixes]
    if suffixes and suffixes[-1] in COMPRESSION_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in CORPUS_SUFFIXES else None


def find_stream_files(corpus: str) -> dict[str, list[str]]:
    """Return the files of each split, sorted; a single file is `train` whatever its name.

    Args:
        corpus: a file, folder, pattern or bundled corpus, or URLs of such with blanks between them.

    Raises:
        DataError: nothing is found, nothing of it can be read, or nothing is there to train on.
    """
    if is_remote(corpus):
        found = sorted({file for name in corpus.split() for file in _list_remote(name)})
    else:
        found = _list_local(resolve_path(corpus).absolute())
    if not found:
        raise DataError(
            f"{corpus}: no file to stream is found there; wanted are {', '.join(CORPUS_SUFFIXES)}, compressed or not. "
            "(A data set is streamed by its files: hf://datasets/NAME/**.parquet, say.)"
        )
    if len(found) == 1:
        return {"train": found}
    splits: dict[str, list[str]] = {}
    for file in found:
        splits.setdefault(infer_split(PurePosixPath(file).name), []).append(file)
    if "train" not in splits:
        raise DataError(
            f"{corpus}: holds {', '.join(sorted(splits))} but nothing to train on; name a file train, say."
        )
    return splits


def _list_local(path: Path) -> list[str]:
    """Return the file of a path, the files of a folder or, where there is neither, the matches of a pattern."""
    if path.is_file():
        return [str(path)]
    found = path.iterdir() if path.is_dir() else match_pattern(path)
    return sorted(str(file) for file in found if file.is_file() and get_stream_suffix(file.name))


def _list_remote(name: str) -> list[str]:
    """Return what a URL stands for: itself, the files of a folder or, where there is neither, the matches of a pattern.

    Raises:
        DataError: the file system is unknown or does not answer.
    """
    try:
        system, path = url_to_fs(name)
        if has_magic(name) and not system.exists(path):
            return [
                _restore_protocol(system, file)
                for file in system.glob(path)
                if get_stream_suffix(file)
            ]
        if get_stream_suffix(name):
            return [name]
        return [
            _restore_protocol(system, file)
            for file in system.ls(path, detail=False)
            if get_stream_suffix(file)
        ]
    except FileNotFoundError:
        return []
    except Exception as error:  # each file system has errors of its own, without a common root
        raise DataError(f"{name}: cannot be listed: {error}") from error


def _restore_protocol(system: AbstractFileSystem, path: str) -> str:
    """Return the name by which a file that was listed can be opened."""
    return path if "file" in system.protocol else str(system.unstrip_protocol(path))
