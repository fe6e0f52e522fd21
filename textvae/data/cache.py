"""The cache of prepared corpora: a second run on the same corpus does not prepare it again.

An entry is a folder, named by a digest of everything that the preparation depends
on. It is either complete or absent, even if several processes create it at once. Where
the file system allows, its files are hard links to those of the run that created it.
The cache can be deleted at any time.
"""

import json
import os
import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import datasets
import tokenizers
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import require_known_tokens
from textvae.data.corpus import HELD_OUT_SPLITS, TokenizerAndCounts, open_split
from textvae.data.settings import DataSettings
from textvae.data.sources import list_corpus_files
from textvae.data.streaming.settings import StreamSettings
from textvae.data.tokenization import TokenizerSettings, load_tokenizer
from textvae.data.tokenizer_files import list_tokenizer_files
from textvae.errors import TextVAEError
from textvae.messages import print_note
from textvae.runtime.files import clean_up_after_kill, new_folder, read_json, remove
from textvae.runtime.paths import expand_home, require_path

_CACHE_FORMAT = 3  # of the prepared files; with a new number, older entries are not found

_MIN_CACHED_CORPUS_BYTES = 16 * 2**20  # of source files, if data.cache is `auto`

ENTRY_FILES = (*(f"{split}.arrow" for split in ("train", *HELD_OUT_SPLITS)), "counts.json")

# Settings that do not affect the prepared files, and so are left out of the digest.
_NOT_IN_KEY = {"processes", "cache", *StreamSettings.model_fields}


def locate_entry(data: DataSettings, tokenizer: TokenizerSettings, seed: int) -> Path | None:
    """Return the folder of a corpus in the cache; None if the corpus should not be cached.

    Only a corpus of local files is cached, because a data set on the Hub may change without
    a change of its name.

    Args:
        data: names the corpus, and says how it is prepared.
        tokenizer: the settings of the tokenizer to build.
        seed: chooses the held-out sentences.
    """
    if not data.corpus or data.cache == "off":
        return None
    files = list_corpus_files(data.corpus)
    for name in data.list_named_files():
        files += list_corpus_files(str(name))
    is_small = sum(file.stat().st_size for file in files) < _MIN_CACHED_CORPUS_BYTES
    if not files or (data.cache == "auto" and is_small):
        return None
    tokenizer_files: list[Path] = []
    if tokenizer.path:
        tokenizer_files = list_tokenizer_files(Path(tokenizer.path).expanduser())
    key = {
        "format": [_CACHE_FORMAT, tokenizers.__version__],
        "files": _stamp_files(files),
        "data": data.model_dump(mode="json", exclude=_NOT_IN_KEY),
        "tokenizer": tokenizer.model_dump(mode="json"),
        "tokenizer_files": _stamp_files(tokenizer_files),
        "seed": seed,
    }
    digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    if data.cache == "auto":
        return Path(datasets.config.HF_CACHE_HOME) / "textvae" / digest
    return expand_home(require_path(data.cache, "data.cache"), "data.cache") / digest


def restore_entry(entry: Path, folder: Path) -> TokenizerAndCounts | None:
    """Link or copy an entry's files into `folder`.

    Returns:
        The tokenizer, and the counts of cleaned and tokenized sentences; None if the entry
        does not exist, or is damaged. A damaged entry is removed.
    """
    if not entry.is_dir():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name in ENTRY_FILES:
            link_or_copy(entry / name, folder / name)
        return _read_restored(entry, folder)
    except (FileNotFoundError, TextVAEError, ValueError, LookupError, TypeError) as error:
        print_note(
            f"{entry}: this prepared corpus in the cache is damaged ({error}); it is removed, and "
            "the corpus is prepared again."
        )
    for name in ENTRY_FILES:
        remove(folder / name)
    shutil.rmtree(entry, ignore_errors=True)
    return None


def _read_restored(entry: Path, folder: Path) -> TokenizerAndCounts:
    """Return the tokenizer and the counts of an entry, after checking that they fit its splits.

    Raises:
        ValueError: they do not fit.
        TextVAEError: a split or the tokenizer is damaged.
        LookupError, TypeError: the counts are not what preparation writes.
    """
    tokenizer = load_tokenizer(entry / "tokenizer")
    counts = read_json(folder / "counts.json")
    for split in ("train", *HELD_OUT_SPLITS):
        dataset = open_split(folder, split)
        expected = counts["tokenized"][split]["sentences"]
        if len(dataset) != expected:
            raise ValueError(f"{split}.arrow has {len(dataset)} sentences, not {expected}")
        require_known_tokens(dataset, len(tokenizer), f"{split}.arrow")
    return tokenizer, counts


def save_entry(entry: Path, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Add the prepared files in `folder` to the cache; print a note if they cannot be written."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        clean_up_after_kill(entry)
        # Renaming a complete folder is atomic, so no process sees half an entry.
        with new_folder(entry) as staging:
            for name in ENTRY_FILES:
                link_or_copy(folder / name, staging / name)
            tokenizer.save_pretrained(str(staging / "tokenizer"))
            if not entry.exists():  # another process may have created it meanwhile
                staging.replace(entry)
    except OSError as error:
        # The run goes on without an entry: the cache only saves time.
        if not entry.exists():
            print_note(f"the prepared corpus is not cached in {entry.parent}: {error}")


def link_or_copy(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a copy if the file system allows no link."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise  # the source is missing, so it cannot be copied either
    except OSError:
        shutil.copyfile(source, target)


def _stamp_files(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Return each file's full path, size in bytes, and time of its last change in nanoseconds."""
    stamps = []
    for file in files:
        status = file.stat()
        stamps.append((str(file.resolve()), status.st_size, status.st_mtime_ns))
    return stamps
