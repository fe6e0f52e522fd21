"""Folders: which of their files are a corpus, which split each one belongs to, and its class.

A folder is read as what it is: a data set that `datasets` saved, the output of a Spark
job, one folder per split, one folder or file per class, rotated logs, or just some text
files. What is read as which split is printed, and so is everything that is not read:
a README is not a text of the corpus.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from textvae.data.foreign_files import get_foreign_suffix
from textvae.data.row_report import shorten_list
from textvae.data.split_names import (
    COMPRESSIONS,
    SPLIT_NAMES,
    get_exact_split,
    get_folder_split,
    infer_splits,
    mentions_held_out_split,
)
from textvae.data.tables import TextUnit, get_format_suffix, open_unpacked
from textvae.data.tables.encodings import decode_head
from textvae.errors import DataError

CLASS_COLUMN = "label"  # the column of the classes that names of folders or files give

# Names of files that are about a corpus and not part of it.
_ABOUT = re.compile(
    r"(readme|licen[cs]e|copying|copyright)([-_. ].*)?"
    r"|(notice|changelog|authors|contributing|citation|attribution|requirements|manifest|"
    r"checksums?|md5sums?|sha\d+sums?|vocab|vocabulary|classes|labels|label_names)(\.[a-z]+)*"
    r"|.*[-_.]labels?\.txt",
    re.IGNORECASE,
)

# Files that programs write next to data; they are no news, so no note names them.
_MARKERS = re.compile(
    r"_success|_started.*|_committed.*|_metadata|_common_metadata|_temporary|_plan\.json|"
    r"\.ds_store|thumbs\.db|desktop\.ini|\.git.*|\..*\.crc|\.lock|__pycache__|__macosx",
    re.IGNORECASE,
)

# What `datasets` writes next to the data.
_METADATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}

_LOG = re.compile(r".*\.log([-.].*)?", re.IGNORECASE)  # also rotated: app.log.1, app.log-20260101
_PART_FILE = re.compile(r"part-(m-|r-)?\d+.*", re.IGNORECASE)  # of Spark and Hadoop
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"  # the value of rows that have none
_HIVE_FOLDER = re.compile(r"(\w+)=(.+)")  # a folder that holds the rows with one value of a column
_SEPARATORS = re.compile("[-_. ]+")  # of the words in a file's name

_MAX_DEPTH = 4  # folders below the corpus folder
_SNIFFED_BYTES = 4096
_MAX_CLASS_FILES = 10  # more differently named files are not classes, but parts of one text
MAX_LISTED_FILES = 4  # names that a note lists
_MAX_LISTED_CLASSES = 12


@dataclass(frozen=True)
class CorpusFile:
    """A file of a corpus.

    Attributes:
        path: where it is.
        columns: values that the names of its folders, or its own name, give to each of its rows.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FolderContents:
    """What a folder holds.

    Attributes:
        splits: the files of each split.
        left_out: names of files and folders that are not read, by the reason.
    """

    splits: dict[str, list[CorpusFile]] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def list_files(self) -> list[CorpusFile]:
        """Return the files of all splits, sorted by path."""
        files = [file for split_files in self.splits.values() for file in split_files]
        return sorted(files, key=lambda file: file.path)

    def add(self, split: str, file: CorpusFile) -> None:
        """Add a file to a split."""
        self.splits.setdefault(split, []).append(file)

    def exclude(self, folder: Path, paths: Collection[Path]) -> None:
        """Remove files and folders that are not read with the folder; a split may become empty."""
        excluded = {path.resolve() for path in paths}
        for split, files in list(self.splits.items()):
            self.splits[split] = [
                file
                for file in files
                if excluded.isdisjoint([file.path.resolve(), *file.path.resolve().parents])
            ]
            if not self.splits[split]:
                del self.splits[split]
        for reason, names in list(self.left_out.items()):
            others = [name for name in names if (folder / name).resolve() not in excluded]
            self.left_out[reason] = others
            if not others:
                del self.left_out[reason]

    def leave_out(self, reason: str, *names: str) -> None:
        """Remember names that are not read."""
        if names:
            self.left_out.setdefault(reason, []).extend(names)

    def count_classes(self) -> Counter[str]:
        """Return the number of files of each class, if names of folders or files are classes."""
        return Counter(
            file.columns[CLASS_COLUMN] for file in self.list_files() if CLASS_COLUMN in file.columns
        )


def read_folder(folder: Path) -> FolderContents:
    """Return what a folder holds; its splits are empty if nothing in it can be read.

    Raises:
        DataError: the folder is a damaged data set of `datasets`.
    """
    if (folder / "dataset_dict.json").is_file():
        contents = _read_saved_splits(folder)
    elif (folder / "state.json").is_file() and any(folder.glob("*.arrow")):
        contents = FolderContents({"train": _list_saved_files(folder)})
    else:
        contents = _read_tree(folder, 0)
    for files in contents.splits.values():
        files.sort(key=lambda file: file.path)
    order = dict.fromkeys(SPLIT_NAMES.values())
    contents.splits = {split: contents.splits[split] for split in order if split in contents.splits}
    return contents


def describe_contents(folder: Path, contents: FolderContents, unit: TextUnit) -> Iterator[str]:
    """Yield notes: which files are read as which split, what is not read, and the classes.

    Args:
        unit: what one text of a text file is.
    """
    yield from describe_files(folder, contents, unit)
    classes = contents.count_classes()
    if len(classes) > 1:
        counts = [f"{name} ({count:,})" for name, count in classes.most_common()]
        yield (
            f"{folder}: the names of folders or files, with their numbers of files, are the column "
            f"{CLASS_COLUMN!r}: {shorten_list(counts, _MAX_LISTED_CLASSES)}. "
            f"To condition the model on it, set data.label={CLASS_COLUMN}."
        )


def describe_files(folder: Path, contents: FolderContents, unit: TextUnit) -> Iterator[str]:
    """Yield notes: which files are read as which split, and what is not read."""
    splits = [
        f"{split}: {shorten_list([_get_name(file.path, folder) for file in files], MAX_LISTED_FILES)}"
        for split, files in contents.splits.items()
    ]
    reading = f"{folder}: found {'; '.join(splits)}."
    if any(get_format_suffix(file.path.name) in (None, ".txt") for file in contents.list_files()):
        text = "text file" if unit == "file" else f"{unit} of a text file"
        reading += f" Each {text} is one text (data.unit)."
    yield reading
    mentioned = [
        _get_name(file.path, folder)
        for file in contents.splits.get("train", [])
        if mentions_held_out_split(file.path.name)
        and get_exact_split(file.path.name) is None
        and not any(map(get_folder_split, file.path.relative_to(folder).parts[:-1]))
    ]
    if mentioned:
        verb = "counts" if len(mentioned) == 1 else "count"
        yield (
            f"{folder}: {shorten_list(mentioned, MAX_LISTED_FILES)} {verb} as training text. If it is held out, "
            "say so: data.validation=FILE or data.test=FILE."
        )
    yield from describe_left_out(folder, contents)


def describe_left_out(folder: Path, contents: FolderContents) -> Iterator[str]:
    """Yield a note about what is not read, if there is anything."""
    if contents.left_out:
        yield f"{folder}: not read: {_format_left_out(contents)}."


def explain_nothing_to_read(folder: Path, contents: FolderContents, suffixes: str) -> str:
    """Return the message for a folder in which no file can be read, and how to fix it.

    Args:
        suffixes: the suffixes of files that can be read.
    """
    message = f"{folder}: contains no file to read; expected {suffixes}."
    if not contents.left_out:
        return message
    return (
        f"{message} Not read: {_format_left_out(contents)}. "
        f"To read files as text whatever their names are, give a pattern: '{folder}/*'."
    )


def _format_left_out(contents: FolderContents) -> str:
    """Return what is not read and why."""
    return "; ".join(
        f"{shorten_list(names, MAX_LISTED_FILES)} ({reason})"
        for reason, names in contents.left_out.items()
    )


def _read_tree(folder: Path, depth: int) -> FolderContents:
    """Return what a folder and those in it hold."""
    loose, subfolders = _sort_entries(folder)
    trees: dict[str, FolderContents] = {}
    for subfolder in subfolders:
        if depth == _MAX_DEPTH:
            loose.leave_out("too deep in the folder", subfolder.name)
            continue
        tree = _read_tree(subfolder, depth + 1)
        if tree.splits:
            trees[subfolder.name] = tree
        else:
            _add_left_out(loose, tree, subfolder.name)
    if any(map(get_folder_split, trees)):
        return _join_splits(loose, trees)
    if trees and _prefers_folders(loose, trees):
        return _join_classes(loose, trees)
    loose.leave_out("a folder next to the files", *trees)
    return loose


def _prefers_folders(loose: FolderContents, trees: Mapping[str, FolderContents]) -> bool:
    """Return whether the corpus is in the folders, not in the files next to them."""
    files = loose.list_files()
    if any(get_exact_split(file.path.name) for file in files):
        return False
    in_folders = sum(len(tree.list_files()) for tree in trees.values())
    return not files or (len(trees) > 1 and in_folders > len(files))


def _join_splits(loose: FolderContents, trees: Mapping[str, FolderContents]) -> FolderContents:
    """Return the contents of a folder with one folder per split."""
    result = FolderContents(left_out=loose.left_out)
    for name, tree in trees.items():
        split = get_folder_split(name)
        if split is None:
            result.leave_out("a folder next to those of the splits", name)
            continue
        for file in tree.list_files():
            result.add(split, file)
        _add_left_out(result, tree, name)
    for split, files in loose.splits.items():
        for file in files:
            if get_exact_split(file.path.name):
                result.add(split, file)
            else:
                result.leave_out("next to the folders of the splits", file.path.name)
    return result


def _join_classes(loose: FolderContents, trees: Mapping[str, FolderContents]) -> FolderContents:
    """Return the contents of a folder with one folder per class, or with one folder of files."""
    result = FolderContents(left_out=loose.left_out)
    result.leave_out(
        "next to folders of more files", *(file.path.name for file in loose.list_files())
    )
    for name, tree in trees.items():
        columns: dict[str, str] = {}
        hive = _HIVE_FOLDER.fullmatch(name)
        if hive is not None:
            value = unquote(hive.group(2))
            columns = {hive.group(1): "" if value == _HIVE_NULL else value}
        elif len(trees) > 1:
            columns = {CLASS_COLUMN: name}
        for split, files in tree.splits.items():
            for file in files:
                result.add(split, replace(file, columns={**file.columns, **columns}))
        _add_left_out(result, tree, name)
    return result


def _add_left_out(result: FolderContents, tree: FolderContents, name: str) -> None:
    """Add what is not read in a folder, with the folder's name."""
    for reason, names in tree.left_out.items():
        result.leave_out(reason, *(f"{name}/{left_out}" for left_out in names))


def _sort_entries(folder: Path) -> tuple[FolderContents, list[Path]]:
    """Return the contents of a folder without its subfolders, and these."""
    contents = FolderContents()
    readable: list[Path] = []
    others: list[Path] = []
    subfolders: list[Path] = []
    for path in sorted(folder.iterdir()):
        name = path.name
        if _MARKERS.fullmatch(name):
            continue
        if name.startswith((".", "_")):
            contents.leave_out("hidden", name)
        elif path.is_dir():
            # A link may lead back to a folder above it.
            if path.resolve() in (folder.resolve(), *folder.resolve().parents):
                contents.leave_out("a link to a folder above", name)
            else:
                subfolders.append(path)
        elif not path.is_file():
            contents.leave_out("not a file", name)
        elif is_about_corpus(name):
            contents.leave_out("about the corpus, not text of it", name)
        elif get_foreign_suffix(name):
            contents.leave_out("of a format that cannot be read", name)
        elif not path.stat().st_size:
            contents.leave_out("empty", name)
        elif get_format_suffix(name):
            readable.append(path)
        else:
            others.append(path)
    if not readable:
        readable = _choose_plain_files(others, contents)
    else:
        contents.leave_out("the suffix is unknown", *(path.name for path in others))
    splits = infer_splits(path.name for path in readable)
    columns = _infer_classes([path.name for path in readable])
    for path in readable:
        contents.add(splits[path.name], CorpusFile(path, columns.get(path.name, {})))
    return contents, subfolders


def _choose_plain_files(others: list[Path], contents: FolderContents) -> list[Path]:
    """Return the files that are read as text although their suffixes are unknown.

    They are read if all of them are of one kind: named for splits, parts of the output of a
    job, logs, or files with the same suffix or without any.
    """
    texts: list[Path] = []
    for path in others:
        if is_utf8_text(path):
            texts.append(path)
        else:
            contents.leave_out("not text, or not in UTF-8", path.name)
    split_files = [path for path in texts if get_exact_split(path.name)]
    if split_files:
        rest = [path.name for path in texts if path not in split_files]
        contents.leave_out("not named for a split", *rest)
        return split_files
    if len({_get_kind(path.name) for path in texts}) > 1:
        contents.leave_out("the suffix is unknown", *(path.name for path in texts))
        return []
    return texts


def _get_kind(name: str) -> str:
    """Return what kind of plain file a name is: part of an output, log, or that of a suffix."""
    if _PART_FILE.fullmatch(name):
        return "part"
    if _LOG.fullmatch(name):
        return "log"
    parts = [part for part in name.lower().split(".") if part not in COMPRESSIONS]
    if len(parts) < 2 or parts[-1].isdigit():
        return "plain"
    return parts[-1]


def is_about_corpus(name: str) -> bool:
    """Return whether a name is that of a file about a corpus, such as README.txt."""
    return name.lower() in _METADATA or _ABOUT.fullmatch(name) is not None


def is_utf8_text(file: Path) -> bool:
    """Return whether the beginning of a file is text in UTF-8; that of a gzipped one, unpacked."""
    try:
        with file.open("rb") as stream, open_unpacked(stream, file.name) as (unpacked, _):
            head = unpacked.read(_SNIFFED_BYTES)
    except (OSError, ValueError):  # damage of the compression is a ValueError, too
        return False
    return b"\0" not in head and decode_head(head) is not None


def _infer_classes(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the column of classes for each file of a folder with one file per class."""
    classes = {name: _get_class(name) for name in names}
    different = set(classes.values()) - {""}
    if not 1 < len(different) <= _MAX_CLASS_FILES:
        return {}
    return {name: {CLASS_COLUMN: label} for name, label in classes.items() if label}


def _get_class(name: str) -> str:
    """Return the class that a file's name gives; an empty string if it gives none.

    It is `0` for `sentiment.train.0`, and `pos` for `pos.txt` and for `train_pos.txt`.
    """
    parts = [part for part in name.split(".") if part.lower() not in COMPRESSIONS]
    has_suffix = get_format_suffix(name) is not None
    if _PART_FILE.fullmatch(name) or _LOG.fullmatch(name):
        return ""
    if len(parts) > 2 and not has_suffix and parts[-2].lower() in SPLIT_NAMES:
        return parts[-1]
    if len(parts) > 1:
        parts.pop()
    words = [word for word in _SEPARATORS.split(".".join(parts)) if not word.isdigit()]
    return "_".join(word for word in words if word.lower() not in (*SPLIT_NAMES, "of"))


def _read_saved_splits(folder: Path) -> FolderContents:
    """Return the splits of a folder that `DatasetDict.save_to_disk` wrote.

    Raises:
        DataError: a file of the data set is missing or damaged.
    """
    contents = FolderContents()
    names = _read_json(folder / "dataset_dict.json").get("splits", [])
    for name in names:
        split = SPLIT_NAMES.get(str(name).lower())
        if split is None:
            contents.leave_out("a split of another name", str(name))
            continue
        for file in _list_saved_files(folder / str(name)):
            contents.add(split, file)
    if "train" not in contents.splits:
        raise DataError(
            f"{folder}: has the splits {', '.join(map(str, names))} but none called train; "
            "to train on one of them, name its folder."
        )
    return contents


def _list_saved_files(folder: Path) -> list[CorpusFile]:
    """Return the files of a folder that `Dataset.save_to_disk` wrote, in order.

    Raises:
        DataError: a file of the data set is missing or damaged.
    """
    state = _read_json(folder / "state.json")
    if state.get("_indices_data_files"):
        raise DataError(
            f"{folder}: was saved by an old release of datasets with its rows in another order; "
            "load it with datasets and save it again."
        )
    files = [folder / entry["filename"] for entry in state.get("_data_files", [])]
    for file in files:
        if not file.is_file():
            raise DataError(
                f"{file}: is missing, but state.json names it; save the data set again."
            )
    return [CorpusFile(file) for file in files]


def _read_json(file: Path) -> dict[str, list[dict[str, str]]]:
    """Return the object in a file that `datasets` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file}: cannot be read ({error}); save the data set again with save_to_disk."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds no JSON object; save the data set again with save_to_disk.")
    return content


def _get_name(path: Path, folder: Path) -> str:
    """Return the path of a file in a folder."""
    return path.relative_to(folder).as_posix()
