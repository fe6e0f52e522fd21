"""Runs on streams: the files they write, repeatability, resuming, and what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file

import textvae
from tests.corpora import write
from tests.tiny_run import SENTENCES, SETTINGS
from textvae.cli.rendering import describe_run
from textvae.data.cleaning import fingerprint_sentence
from textvae.data.corpus import open_split
from textvae.data.settings import DataSettings
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.streaming.sample import _read_first_rows
from textvae.errors import ConfigError, DataError
from textvae.evaluation.usefulness import UsefulnessChecks
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run
from textvae.training import checkpoints

# A thousand lines.
MANY = [f"{sentence} {number}" for number in range(10) for sentence in SENTENCES]


def write_shards(folder, count=4):
    """Write the corpus as gzipped shards; return the pattern that names them."""
    for number in range(count):
        write(folder / f"part-{number}.txt.gz", "\n".join(MANY[number::count]) + "\n")
    return str(folder / "part-*.txt.gz")


def train(corpus, output, data=(), **training):
    """Train for twelve tiny steps, with a checkpoint after each."""
    sections = {
        **SETTINGS,
        "data": {"buffer": 90, "sample": 100, "held_out": 0.1, "held_out_most": 10, **dict(data)},
        "training": {**SETTINGS["training"], "evaluations": 12, **training},
    }
    return textvae.train(str(corpus), output=output, device="cpu", **sections)


def load_weights(run):
    """Return the weights of a finished run."""
    return load_file(run / "model.safetensors")


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """Return a finished run on a stream."""
    folder = tmp_path_factory.mktemp("stream")
    train(write_shards(folder / "corpus"), folder / "run")
    return folder / "run"


def test_the_baseline_of_a_stream_learns_from_sentences_that_are_not_evaluated(streamed):
    """Its training text is not kept, so it is the held-out split that is not evaluated."""
    run = Run(streamed)
    bundle = load_bundle(streamed, "cpu")
    for is_validation, split in ((False, "validation"), (True, "test")):
        checks = UsefulnessChecks(run, bundle, is_validation=is_validation)
        assert checks._trigrams is not None
        texts = [" ".join(map(str, ids)) for ids in run.open_split(split)["input_ids"]]
        other = "test" if split == "validation" else "validation"
        others = [" ".join(map(str, ids)) for ids in run.open_split(other)["input_ids"]]
        # A sentence that was learned from costs less than one that was not.
        assert checks._trigrams.perplexity(texts) < checks._trigrams.perplexity(others)


def test_a_sample_skips_corrupt_rows_if_the_stream_does(tmp_path):
    """Otherwise the message has the file and the row."""
    rows = [{"text": text} for text in MANY[:50]]
    lines = [json.dumps(row) for row in [*rows[:5], {"text": 7}, *rows[5:]]]
    file = write(tmp_path / "a.jsonl", "\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl, row 6: column 'text' holds 7"):
        train(file, tmp_path / "stopped", data={"streaming": True})
    train(file, tmp_path / "run", data={"streaming": True, "on_corrupt": "skip"})
    assert Run(tmp_path / "run").is_finished()


def test_a_sample_is_filled_from_the_files_that_have_more(tmp_path):
    """Files of unequal sizes give as many rows in all as were asked for."""
    write(tmp_path / "c" / "a.txt", "\n".join(MANY[:10]) + "\n")
    write(tmp_path / "c" / "b.txt", "\n".join(MANY[10:300]) + "\n")
    reader = StreamFileReader(DataSettings(), ["text"])
    files = [str(tmp_path / "c" / name) for name in ("a.txt", "b.txt")]
    rows = list(_read_first_rows(reader, files, 200))
    assert len(rows) == 200
    assert [number for file, number, _ in rows if file == files[1]] == list(range(1, 191))
    assert len(list(_read_first_rows(reader, files, 1000))) == 300


def test_a_streamed_run_is_a_run_like_any_other(streamed):
    """It has held-out splits and counts, but no copy of the corpus, and can be used as a run."""
    names = {file.name for file in (streamed / "corpus").iterdir()}
    assert names == {"validation.arrow", "test.arrow", "counts.json", "stream.json"}
    assert Run(streamed).read_counts()["stream"] == {"files": 4, "counted": "a sample"}
    vae = textvae.TextVAE.from_pretrained(streamed, "cpu")
    assert len(vae.generate(2)) == 2
    assert "a stream" in (streamed / "README.md").read_text()
    read = json.loads((streamed / "training.json").read_text())["stream"]["counts"]
    assert describe_run(Run(streamed), vae)["train"] == read["kept"] - read.get("also_held_out", 0)


def test_what_a_stream_has_read_is_recorded(streamed):
    """The counts of read, kept and damaged rows are those of the whole run."""
    stream = json.loads((streamed / "training.json").read_text())["stream"]
    assert stream["taken"] == 12
    assert stream["counts"]["read"] == stream["counts"]["kept"] >= 90
    assert stream["damaged"] == {}


def test_held_out_sentences_are_drawn_by_fingerprint_and_kept_out_of_the_stream(streamed):
    """The sentences of the splits are those that the stream does not yield."""
    splits = {
        split: open_split(streamed / "corpus", split)["text"] for split in ("validation", "test")
    }
    assert len(splits["validation"]) == len(splits["test"]) == 10
    held_out = json.loads((streamed / "corpus" / "stream.json").read_text())["held_out"]
    assert (
        sorted(fingerprint_sentence(text) for split in splits.values() for text in split)
        == held_out
    )


def test_the_split_seed_and_not_the_training_seed_chooses_what_a_stream_holds_out(tmp_path):
    """Runs with different training seeds are then measured on the same sentences."""
    corpus = write_shards(tmp_path / "corpus")

    def read_held_out(name, split_seed=1, seed=1):
        train(
            corpus, tmp_path / name, {"split_seed": split_seed}, steps=1, seed=seed, evaluations=1
        )
        folder = tmp_path / name / "corpus"
        return [open_split(folder, split)["text"][:] for split in ("validation", "test")]

    first = read_held_out("first")
    assert read_held_out("another-training-seed", seed=2) == first
    assert read_held_out("another-split-seed", split_seed=2) != first
    weights = [load_weights(tmp_path / name) for name in ("first", "another-training-seed")]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumed_after_a_damaged_shard_ends_with_the_weights_of_an_unbroken_run(
    tmp_path, workers
):
    """Once the shard is repaired, the run continues without missing or repeating a sentence."""
    training = {"workers": workers, "steps": 40, "evaluations": 20, "batch_tokens": 512}
    train(write_shards(tmp_path / "sound"), tmp_path / "straight", **training)
    damaged = write_shards(tmp_path / "damaged")
    shard = tmp_path / "damaged" / "part-2.txt.gz"
    intact = shard.read_bytes()
    lines = [line.encode() for line in MANY[2::4]]
    write(shard, b"\n".join([*lines[:150], b"\xff", *lines[151:]]))
    with pytest.raises(DataError, match=r"part-2\.txt\.gz, row 151: .*is not UTF-8.*--resume"):
        train(damaged, tmp_path / "broken", **training)
    before = checkpoints.find_newest_complete(tmp_path / "broken")
    assert before is not None
    positions = checkpoints.read_state(before)["stream"]["positions"].values()
    assert any(position[3] for position in positions), "it broke in the first pools"
    shard.write_bytes(intact)
    textvae.train(output=tmp_path / "broken", resume=True, device="cpu")
    straight, resumed = load_weights(tmp_path / "straight"), load_weights(tmp_path / "broken")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    logs = [
        json.loads((tmp_path / name / "training.json").read_text())
        for name in ("straight", "broken")
    ]
    assert logs[0]["stream"] == logs[1]["stream"]


def test_damage_is_skipped_if_set_and_reported_once(tmp_path, capsys):
    """There is one warning and a count, although several epochs meet the damaged file."""
    corpus = write_shards(tmp_path / "corpus")
    shard = tmp_path / "corpus" / "part-2.txt.gz"
    shard.write_bytes(shard.read_bytes()[:-40])
    train(corpus, tmp_path / "run", data={"on_corrupt": "skip"}, steps=150, evaluations=1)
    stream = json.loads((tmp_path / "run" / "training.json").read_text())["stream"]
    assert stream["counts"]["broken files"] > 1
    assert list(stream["damaged"]) == [str(shard)]
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "part-2.txt.gz, after row" in warnings[0]


def test_files_named_for_a_split_are_that_split(tmp_path):
    """Their first sentences are held out, and no duplicate of them is trained on."""
    write_shards(tmp_path)
    write(tmp_path / "valid.txt", "\n".join(MANY[:40]))
    train(tmp_path, tmp_path / "run", data={"streaming": True})
    corpus = tmp_path / "run" / "corpus"
    assert list(open_split(corpus, "validation")["text"]) == MANY[:10]
    assert set(open_split(corpus, "test")["text"]).isdisjoint(MANY[:10])
    stream = json.loads((tmp_path / "run" / "training.json").read_text())["stream"]
    assert stream["counts"]["also_held_out"] >= 1


@pytest.mark.parametrize(
    ("data", "training", "words"),
    [
        (
            {},
            {"steps": None},
            r"its length is not known: .*training\.steps or training\.max_minutes",
        ),
        ({}, {"epochs": 2}, r"leave training\.epochs out"),
        ({"drop_duplicates": True}, {}, "would have to remember a whole stream"),
    ],
)
def test_settings_that_do_not_fit_a_stream_are_refused(tmp_path, data, training, words):
    """They are refused before anything is written."""
    corpus = write_shards(tmp_path / "corpus")
    with pytest.raises(ConfigError, match=words):
        train(corpus, tmp_path / "run", data=data, **training)
    assert not (tmp_path / "run").exists()


def test_a_stream_of_sentences_from_python_is_refused(tmp_path):
    """There is no file from which the stream could be read again."""
    with pytest.raises(ConfigError, match=r"needs files to read"):
        textvae.train(
            SENTENCES,
            output=tmp_path / "run",
            device="cpu",
            data={"streaming": True},
            training={"steps": 1},
        )


def test_streaming_is_recommended_for_a_large_corpus(tmp_path, monkeypatch, capsys):
    """It is a note and not an error."""
    monkeypatch.setattr("textvae.data.run_corpus.prepared.LARGE_CORPUS_BYTES", 100)
    file = write(tmp_path / "a.txt", "\n".join(SENTENCES))
    textvae.train(
        file, output=tmp_path / "run", device="cpu", **{**SETTINGS, "data": {"held_out": 0.1}}
    )
    assert "With data.streaming=true, training starts at once." in capsys.readouterr().err
