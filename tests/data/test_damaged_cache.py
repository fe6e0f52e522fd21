"""A damaged entry of the cache is noticed, removed and prepared again."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset

from tests.corpora import write
from tests.tiny_run import SENTENCES
from textvae.data import cache
from textvae.data.corpus import prepare_splits
from textvae.data.run_corpus.prepared import PreparedCorpus
from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer

TOKENIZER = TokenizerSettings(kind="byte")
CONTENTS = {
    "missing": None,
    "empty": b"",
    "cut": "cut",
    "list": b"[]",
    "null": b"null",
    "string": b'"x"',
    "wrong keys": b'{"a": 1}',
    "deep": b"[" * 100_000,
    "binary": b"\x00\xff\xfe\x80" * 50,
}
FILES = [*cache.ENTRY_FILES, "tokenizer/tokenizer.json"]


@pytest.fixture(scope="module")
def whole_entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An entry of the cache."""
    folder = tmp_path_factory.mktemp("cache")
    settings = DataSettings(corpus=write(folder / "a.txt", "\n".join(SENTENCES)))
    tokenizer, _ = prepare_splits(
        settings, 1, folder / "corpus", lambda sentences: build_tokenizer(TOKENIZER, sentences)
    )
    cache.save_entry(folder / "cached" / "entry", folder / "corpus", tokenizer)
    return folder / "cached" / "entry"


@pytest.fixture
def entry(whole_entry: Path, tmp_path: Path) -> Path:
    """A copy of the entry that a test may damage."""
    return shutil.copytree(whole_entry, tmp_path / "entry")


def assert_removed(entry: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fail unless an entry is not used, and nothing of it is left."""
    assert cache.restore_entry(entry, folder) is None
    assert not entry.exists()
    assert list(folder.iterdir()) == []
    assert f"{entry}: this prepared corpus in the cache is damaged" in capsys.readouterr().err


def test_a_whole_entry_is_used(entry, tmp_path):
    """The checks refuse nothing that preparation writes."""
    assert cache.restore_entry(entry, tmp_path / "corpus") is not None
    assert entry.is_dir()


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", FILES)
def test_an_entry_with_a_damaged_file_is_removed(entry, tmp_path, capsys, name, content):
    """Every run on this corpus would fail otherwise, until somebody finds the entry."""
    whole = (entry / name).read_bytes()
    (entry / name).unlink()
    damaged = CONTENTS[content]
    if damaged is not None:
        (entry / name).write_bytes(whole[: len(whole) // 2] if damaged == "cut" else damaged)
    assert_removed(entry, tmp_path / "corpus", capsys)


def write_split(file: Path, **changes) -> None:
    """Write a split again with other columns."""
    table = pa.table({**Dataset.from_file(str(file)).to_dict(), **changes})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("token", [-1, 10**6])
def test_an_entry_with_tokens_of_another_tokenizer_is_removed(entry, tmp_path, capsys, token):
    """The model would look for them outside its embedding."""
    rows = len(Dataset.from_file(str(entry / "test.arrow")))
    tokens = pa.array([[token]] * rows, pa.list_(pa.int32()))
    write_split(entry / "test.arrow", input_ids=tokens)
    assert_removed(entry, tmp_path / "corpus", capsys)


def test_an_entry_whose_counts_differ_from_its_splits_is_removed(entry, tmp_path, capsys):
    """A file of another entry was copied into it."""
    file = entry / "counts.json"
    counts = json.loads(file.read_text())
    counts["tokenized"]["train"]["sentences"] += 1
    file.write_text(json.dumps(counts))
    assert_removed(entry, tmp_path / "corpus", capsys)


def test_a_run_prepares_a_damaged_entry_again(tmp_path):
    """It ends with a whole entry in the cache."""
    corpus = write(tmp_path / "a.txt", "\n".join(SENTENCES))
    settings = DataSettings(corpus=corpus, cache=str(tmp_path / "cached"))
    for name in ("first", "second", "third"):
        PreparedCorpus(tmp_path / name, settings).prepare(TOKENIZER, None)
        (entry,) = (tmp_path / "cached").iterdir()
        names = sorted(path.name for path in entry.iterdir())
        assert names == sorted([*cache.ENTRY_FILES, "tokenizer"])
        if name == "first":
            (entry / "train.arrow").unlink()
    assert (tmp_path / "third" / "train.arrow").samefile(tmp_path / "second" / "train.arrow")
