"""The cache of prepared corpora: used if nothing has changed, and never half-written."""

import errno
import os
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

import textvae
from tests.corpora import write
from tests.tiny_run import SENTENCES, SETTINGS, write_corpus
from textvae.data import cache
from textvae.data.corpus import prepare_splits
from textvae.data.run_corpus import prepared
from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.settings.reading import read_settings


def train(corpus, output, cached, **changes):
    """Train a run with the cache in the folder `cached`."""
    sections = {**SETTINGS, "data": {**SETTINGS["data"], "cache": str(cached)}}
    sections |= {name: {**sections[name], **section} for name, section in changes.items()}
    return textvae.train(corpus, output=output, device="cpu", **sections)


def test_a_second_run_takes_the_corpus_from_the_cache_and_ends_the_same(tmp_path, monkeypatch):
    """Weights and tokenizer equal those without a cache; another model can use the entry too."""
    corpus = write_corpus(tmp_path)
    train(corpus, tmp_path / "off", "off")
    train(corpus, tmp_path / "miss", tmp_path / "cached")
    monkeypatch.setattr(prepared, "prepare_splits", None)  # would fail if it were called
    train(corpus, tmp_path / "hit", tmp_path / "cached")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("off", "miss", "hit")]
    assert all(
        torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in other
    )
    files = ["tokenizer.json", "tokenizer_config.json", "corpus/train.arrow", "corpus/counts.json"]
    for name in files:
        assert (tmp_path / "off" / name).read_bytes() == (tmp_path / "hit" / name).read_bytes()
    train(
        corpus,
        tmp_path / "another",
        tmp_path / "cached",
        model={"latent_dim": 3},
        training={"steps": 1},
    )


def locate(corpus, folder, seed=1, tokenizer=None, **data):
    """Return the entry of a corpus in a cache."""
    return cache.locate_entry(
        DataSettings(corpus=str(corpus), cache=str(folder), **data),
        tokenizer or TokenizerSettings(),
        seed,
    )


def test_whatever_the_corpus_depends_on_makes_another_entry(tmp_path):
    """Files, settings and seed matter; the number of processes does not."""
    corpus = tmp_path / "corpus"
    file = Path(write(corpus / "a.txt", "some text\n"))
    first = locate(corpus, tmp_path)
    assert first == locate(corpus, tmp_path, processes=3, buffer=7)
    others = [locate(corpus, tmp_path, seed=2), locate(corpus, tmp_path, lowercase=True)]
    others.append(locate(corpus, tmp_path, tokenizer=TokenizerSettings(vocab_size=99)))
    others.append(locate(file, tmp_path))
    os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns + 1))
    others.append(locate(corpus, tmp_path))
    write(corpus / "b.txt", "more\n")
    others.append(locate(corpus, tmp_path))
    assert len({first, *others}) == 1 + len(others)


def test_small_corpora_and_those_of_unknown_content_are_not_cached(tmp_path):
    """By default only large ones are; a data set on the Hub may change under its name."""
    file = write(tmp_path / "a.txt", "\n".join(SENTENCES))
    assert cache.locate_entry(DataSettings(corpus=file), TokenizerSettings(), 1) is None
    assert locate(file, "off") is None
    assert locate("org/name", tmp_path) is None


def prepare(folder, file):
    """Prepare a corpus in `folder`; return its tokenizer."""
    settings = TokenizerSettings(kind="byte")
    return prepare_splits(
        DataSettings(corpus=file), 1, folder, lambda sentences: build_tokenizer(settings, sentences)
    )[0]


def test_two_processes_that_cache_the_same_corpus_leave_one_entry(tmp_path):
    """The second process finds the entry and leaves no files behind."""
    tokenizer = prepare(tmp_path / "corpus", write(tmp_path / "a.txt", "\n".join(SENTENCES)))
    for _ in range(2):
        cache.save_entry(tmp_path / "cached" / "entry", tmp_path / "corpus", tokenizer)
    assert [path.name for path in (tmp_path / "cached").iterdir()] == ["entry"]
    restored = cache.restore_entry(tmp_path / "cached" / "entry", tmp_path / "restored")
    assert restored is not None
    assert {file.name for file in (tmp_path / "restored").iterdir()} == set(cache.ENTRY_FILES)


def test_a_full_disk_leaves_no_half_entry_and_does_not_stop_the_run(tmp_path, monkeypatch, capsys):
    """The cache only saves time, so the run goes on without it."""
    tokenizer = prepare(tmp_path / "corpus", write(tmp_path / "a.txt", "\n".join(SENTENCES)))

    def fail_on_full_disk(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "link_or_copy", fail_on_full_disk)
    cache.save_entry(tmp_path / "cached" / "entry", tmp_path / "corpus", tokenizer)
    assert list((tmp_path / "cached").iterdir()) == []
    assert "is not cached in" in capsys.readouterr().err


def test_files_are_linked_where_the_disk_can_and_copied_where_not(tmp_path, monkeypatch):
    """A linked entry takes no additional space on the disk."""
    file = Path(write(tmp_path / "a.txt", "text"))
    cache.link_or_copy(file, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(file)

    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    cache.link_or_copy(file, tmp_path / "copied")
    assert (tmp_path / "copied").read_text() == "text"
    assert not (tmp_path / "copied").samefile(file)


def test_the_command_line_can_turn_the_cache_off():
    """YAML reads the word `off` as a truth value."""
    assert read_settings(None, ["data.cache=off"]).data.cache == "off"
