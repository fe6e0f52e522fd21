"""The cache of prepared corpora: a second run on the same corpus does not prepare it anew.

An entry is a folder named by a digest of all that the preparation depends on.
It appears whole or not at all, however many processes make it at once, and its
files are hard links to those of the run that made it where the disk allows.
Entries are never needed: delete the folder at will.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import tokenizers
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from textvae.data.corpus import HELD_OUT_SPLITS, DataSettings
from textvae.data.sources import list_corpus_files
from textvae.data.streaming.settings import StreamSettings
from textvae.data.tokenization import TokenizerSettings, load_tokenizer
from textvae.runtime.files import clean_up_after_kill, new_folder

_CACHE_FORMAT = 2  # of what is prepared; a change makes all entries stale


_MIN_CACHED_CORPUS_BYTES = 16 * 2**20  # bytes of source files, for `auto`


ENTRY_FILES = (*(f"{split}.arrow" for split in ("train", *HELD_OUT_SPLITS)), "counts.json")


_NOT_IN_KEY = {"processes", "cache", *StreamSettings.model_fields}  # to what is prepared


def locate_entry(data: DataSettings, tokenizer: TokenizerSettings, seed: int) -> Path | None:
    """Return where the prepared corpus is or should be kept; None where it is not to be."""
    files = list_corpus_files(data.corpus) if data.corpus else []
    is_small = sum(file.stat().st_size for file in files) < _MIN_CACHED_CORPUS_BYTES
    if not files or data.cache == "off" or (data.cache == "auto" and is_small):
        return None
    given = (
        sorted(file for file in Path(tokenizer.path).iterdir() if file.is_file())
        if tokenizer.path
        else []
    )
    parts = {
        "format": [_CACHE_FORMAT, tokenizers.__version__],
        "files": _stamp_files(files),
        "data": data.model_dump(mode="json", exclude=_NOT_IN_KEY),
        "tokenizer": tokenizer.model_dump(mode="json"),
        "given": _stamp_files(given),
        "seed": seed,
    }
    folder = (
        Path(datasets.config.HF_CACHE_HOME) / "textvae"
        if data.cache == "auto"
        else Path(data.cache).expanduser()
    )
    return folder / sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _stamp_files(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Return each file's full name, size and time of change."""
    return [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def restore_entry(
    entry: Path, folder: Path
) -> tuple[PreTrainedTokenizerBase, dict[str, Any]] | None:
    """Put an entry's files into `folder`; return the tokenizer and the counts, or None where there is no entry."""
    if not entry.is_dir():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ENTRY_FILES:
        link_or_copy(entry / name, folder / name)
    return load_tokenizer(entry / "tokenizer"), json.loads((folder / "counts.json").read_text())


def save_entry(entry: Path, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make an entry of what stands in `folder`; where it cannot be written, say so and go on."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        clean_up_after_kill(entry)
        with new_folder(entry) as whole:
            for name in ENTRY_FILES:
                link_or_copy(folder / name, whole / name)
            tokenizer.save_pretrained(str(whole / "tokenizer"))
            if not entry.exists():  # another process may have been faster
                whole.replace(entry)
    except OSError as error:
        if not entry.exists():
            tqdm.write(
                f"note: the prepared corpus is not kept in {entry.parent}: {error}", file=sys.stderr
            )


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no such thing."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
