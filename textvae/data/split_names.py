"""Names of splits: which files of a corpus are its validation and its test split.

Only a name that is exactly a split counts: `test.txt`, `ptb.test.txt`,
`test-00000-of-00002.parquet`. In addition, a word for a split counts inside a name if the
same name exists for the training split: `snli_dev.jsonl` next to `snli_train.jsonl`.
A file such as `test_results.txt` is therefore training text, and the caller says so.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

# The words for splits in names of files and data sets, and our names of these splits.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}

COMPRESSIONS = frozenset({"gz", "bz2", "xz", "zst", "lz4", "snappy"})

# The number of a shard at the end of a name, such as `-00000-of-00002`, with the hash that the
# Hugging Face Hub adds to it.
_SHARD = re.compile(r"[-_]?\d+([-_]of[-_]\d+)?([-_][0-9a-f]{8,})?$")

_WORD = re.compile("[a-z]+")


def get_exact_split(name: str) -> str | None:
    """Return the split that a file is named for, such as `test` for `test.txt`; None if for none.

    The word for the split is all of the name, or its part before the extension, if dots separate
    the parts: `ptb.test.txt`, `sentiment.test.0`. The numbers of shards are ignored.
    """
    parts = [part for part in name.lower().split(".") if part not in COMPRESSIONS]
    if len(parts) > 1:
        parts.pop()  # the extension
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    if not parts:
        return None
    return SPLIT_NAMES.get(parts[-1]) or SPLIT_NAMES.get(_SHARD.sub("", parts[-1]))


def get_folder_split(name: str) -> str | None:
    """Return the split that a folder is named for; None if for none."""
    return SPLIT_NAMES.get(name.lower())


def infer_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the split of each name of the files of one corpus; `train` if it is named for none."""
    splits = {name: get_exact_split(name) for name in names}
    training_patterns = {
        pattern for name in splits for split, pattern in _list_patterns(name) if split == "train"
    }
    for name, exact in splits.items():
        if exact is not None:
            continue
        for split, pattern in _list_patterns(name):
            if pattern in training_patterns:
                splits[name] = split
    return {name: split or "train" for name, split in splits.items()}


def infer_path_splits(paths: Iterable[str]) -> dict[str, str]:
    """Return the split of each path or URL; a folder below the common one may name it, too."""
    folders = {path: PurePosixPath(path).parent.parts for path in paths}
    # Folders above the corpus say nothing: it may lie in /home/test.
    common = 0
    for parts_at_depth in zip(*folders.values(), strict=False):
        if len(set(parts_at_depth)) > 1:
            break
        common += 1
    splits = infer_splits(PurePosixPath(path).name for path in folders)
    result: dict[str, str] = {}
    for path, parts in folders.items():
        named = [split for folder in parts[common:] if (split := get_folder_split(folder))]
        result[path] = named[0] if named else splits[PurePosixPath(path).name]
    return result


def mentions_held_out_split(name: str) -> bool:
    """Return whether a name contains a word for the validation or the test split."""
    return any(split != "train" for split, _ in _list_patterns(name))


def _list_patterns(name: str) -> Iterator[tuple[str, str]]:
    """Yield each split that a name mentions, and the name with a gap in place of the word."""
    lowered = name.lower()
    for match in _WORD.finditer(lowered):
        split = SPLIT_NAMES.get(match.group())
        if split is not None:
            rest = f"{lowered[: match.start()]}<>{lowered[match.end() :]}"
            # Splits differ in their numbers of shards.
            yield split, re.sub(r"\d+", "#", rest)
