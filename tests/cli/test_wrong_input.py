"""Wrong input of every kind: exit code 2, one short message that names it, and nothing left behind.

The tables below hold the inputs. Each test runs the command line in this process.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.test_no_foreign_code import ON_A_RUN, VERBS, build_arguments
from tests.tiny_run import LABELLED, table, write_corpus
from textvae.cli.main import main
from textvae.inference import checkpoint
from textvae.inference.bundle import Bundle

MAX_LENGTH = 2_000  # characters of a message
Refuse = Callable[..., str]

DECODING_VERBS = (
    "generate",
    "complete",
    "reconstruct",
    "interpolate",
    "decode",
    "analogy",
    "traverse",
    "vary",
)
SEEDED_VERBS = ("generate", "complete", "infill", "score", "uncertainty", "prior fit", "augment")
BEYOND_MEMORY = "100000000000000"
NO_COUNTS = ("0", "-1", "1.5", "many", BEYOND_MEMORY)
NO_NUMBERS = ("nan", "inf", "-inf", "much")

DECODING = {
    "--temperature": ("0", "-1", "1e300", *NO_NUMBERS),
    "--top-p": ("0", "-0.5", "1.5", "nan"),
    "--top-k": ("-1", "2.5", BEYOND_MEMORY),
    "--num-beams": ("0", "-3", BEYOND_MEMORY),
    "--max-new-tokens": ("0", "-3", BEYOND_MEMORY),
}
SEEDS = ("-1", "1.5", "soon", str(2**63), str(2**64))

# The other options of verbs, with values that are refused.
OPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("generate", "-n"): NO_COUNTS,
    ("complete", "-n"): NO_COUNTS,
    ("interpolate", "--steps"): ("1", *NO_COUNTS),
    ("interpolate", "--path"): ("straight",),
    ("traverse", "--steps"): ("1", *NO_COUNTS),
    ("traverse", "--reach"): ("0", "-1", "1e300", *NO_NUMBERS),
    ("traverse", "--dimension"): ("-1", "4", "1.5", BEYOND_MEMORY),
    ("traverse", "--unit"): ("meters",),
    ("neighbors", "-k"): NO_COUNTS,
    ("vary", "-n"): NO_COUNTS,
    ("vary", "--spread"): ("0", "-1", "1e6", *NO_NUMBERS),
    ("generate", "--min-p"): ("-1", "2", *NO_NUMBERS),
    ("generate", "--no-repeat-ngram-size"): ("-1", "1.5"),
    ("generate", "--num-return-sequences"): ("0", "many", BEYOND_MEMORY),
    ("generate", "--bad-words-ids"): ("[]", "[[]]", "[[-1]]", "[[true]]", "many", "[" * 5000),
    ("generate", "--sequence-bias"): ("{}", "[[[5]]]", "[[[5], NaN]]"),
    ("score", "--samples"): ("1", *NO_COUNTS),
    ("uncertainty", "--draws"): ("1", *NO_COUNTS),
    ("evaluate", "--samples"): NO_COUNTS,
    ("evaluate", "--limit"): ("0", "-1", "1.5", "all"),
    ("evaluate", "--prior-samples"): ("1", *NO_COUNTS),
    ("evaluate", "--measures"): ("", "elbow", "elbo,,kl"),
    ("infill", "-n"): NO_COUNTS,
    ("infill", "--latents"): NO_COUNTS,
    ("infill", "--most-tokens"): NO_COUNTS,
    ("infill", "--beams"): ("1", *NO_COUNTS),
    ("infill", "--temperature"): ("0", "-1", *NO_NUMBERS),
    ("infill", "--method"): ("guessing",),
    ("augment", "-n"): NO_COUNTS,
    ("augment", "--rounds"): NO_COUNTS,
    ("augment", "--spread"): ("-1", "1e6", *NO_NUMBERS),
    ("augment", "--interpolated"): ("-1", "2", "nan"),
    ("augment", "--quantile"): ("0", "2", "nan"),
    ("anomaly fit", "--draws"): NO_COUNTS,
    ("anomaly fit", "--score"): ("distance",),
    ("analogy", "--strength"): ("1e40", "-1e40", *NO_NUMBERS),
    ("prior fit", "--kind"): ("gaussian",),
    ("index", "--factory"): ("", "flat", "\udcff"),
    ("index", "--name"): ("", ".", "..", "a/b", "a\nb", "\udcff", "x" * 300),
    ("neighbors", "--name"): ("gone", "../fitted"),
    ("generate", "--prior"): ("gaussian_mixture", "gone", "a/b"),
    ("generate", "--label"): ("one", "\udcff"),
    ("encode", "--output"): ("z.txt", "z.csv"),
    ("report", "--output"): ("report.pdf", "report"),
}

# Settings of `train`, and words of the message.
SETTINGS = {
    "training.steps=0": "training.steps",
    "training.steps=true": "truth value",
    "training.steps=[1]": "training.steps",
    "training.steps=1000000000000000000000000000000": "less than 2^63",
    "training.steps=soon": "valid integer",
    "training.epochs=.inf": "training.epochs = inf",
    "training.epochs=-.inf": "training.epochs = -inf",
    "training.epochs=1e400": "training.epochs",
    "training.epochs=.nan": "training.epochs = nan",
    "training.max_minutes=.inf": "training.max_minutes",
    "training.seed=-1": "training.seed",
    "training.seed=2147483648": "training.seed",
    "training.learning_rate=.inf": "training.learning_rate",
    "training.encoder_learning_rate=.nan": "training.encoder_learning_rate",
    "training.weight_decay=.inf": "training.weight_decay",
    "training.max_grad_norm=.inf": "training.max_grad_norm",
    "training.betas=[0.9]": "training.betas",
    "training.betas=[0.9, 1.0]": "training.betas",
    "training.betas=[.nan, 0.9]": "training.betas",
    "training.batch_tokens=0": "training.batch_tokens",
    "training.accumulate=0": "training.accumulate",
    "training.workers=100000": "training.workers",
    "training.keep=first": "training.keep",
    "training.bf16=perhaps": "training.bf16",
    "training.trackers=tensorbord": "training.trackers",
    "training.trackers=[tensorbord]": "tensorboard",
    "training.epoch=1": "did you mean 'epochs'",
    "training.=1": "not a setting",
    ".steps=1": "not a setting",
    "trainin.steps=1": "did you mean 'training'",
    "training.seed=2020-99-99": "month must be in 1..12",
    "training.seed=!!int abc": "training.seed = '!!int abc'",
    "training.seed=!!float x": "training.seed = '!!float x'",
    "training.seed=!!bool x": "training.seed = '!!bool x'",
    "training.seed=!!timestamp x": "training.seed = '!!timestamp x'",
    "training.seed=!!binary x": "training.seed = '!!binary x'",
    "training.seed=!!python/object/apply:os.system [ls]": "training.seed",
    "training.seed=!!set {a}": "training.seed",
    f"training.seed={'1' * 5000}": "5,000 digits",
    f"training.seed={'[' * 3000}": "levels deep",
    f"training.seed={'[' * 30}{'x' * 100_000}{']' * 30}": "training.seed",
    f"training.seed=[{','.join('1' * 2_000)}]": "training.seed",
    "training.seed=[[1": "put text with special characters in quotes",
    "training.seed=&a [*a]": "contains itself",
    "training.seed=*b": "training.seed",
    "training.seed={a: 1, a: 2}": "already on line 1",
    "training.seed={[1]: 2}": "training.seed",
    "training.seed=\x01": "does not allow the character",
    "data.cache=\udcff": "surrogate pairs",
    'data.cache="a\\0b"': "NUL character",
    'data.text_column="\\ud800"': "surrogate",
    'data.label_columns=["\\ud800"]': "surrogate",
    "data.held_out=0": "data.held_out",
    "data.held_out=.nan": "data.held_out",
    "data.max_tokens=0": "data.max_tokens",
    "data.min_words=0": "data.min_words",
    "data.min_words=1000000": "data.min_words = 1,000,000",
    "data.max_words=1": "data.max_words = 1",
    "data.processes=100000": "data.processes",
    "data.quoting=maybe": "data.quoting",
    "data.normalize=NFX": "data.normalize",
    "data.streaming=maybe": "data.streaming",
    "data.split_seed=-1": "data.split_seed",
    "data.split_seed=9223372036854775808": "data.split_seed",
    "data.label=gone": "gone",
    "tokenizer.vocab_size=1": "tokenizer.vocab_size",
    "tokenizer.vocab_size=1000000000000000000000000000000": "tokenizer.vocab_size",
    "tokenizer.vocab_size=100000000": "tokenizer.vocab_size",
    "tokenizer.kind=bpee": "did you mean 'bpe'",
    "tokenizer.kind=folder": "tokenizer",
    "model.latent_dim=0": "model.latent_dim",
    "model.latent_dim=1000000000": "model.latent_dim",
    "model.latent_dim=1000000000000000000000000000000": "model.latent_dim",
    "model.encoder=3": "model.encoder",
    "model.encoder.kind=ltsm": "did you mean 'lstm'",
    "model.encoder.hidden=0": "model.encoder.hidden",
    "model.encoder.hidden=10000000": "model.encoder.hidden",
    "model.encoder.hidden=1000000": "encoder",
    "model.encoder.embedding=1000000000": "model.encoder.embedding",
    "model.encoder.dropout=.nan": "model.encoder.dropout",
    "model.decoder.layers=1000000": "model.decoder.layers",
    "model.decoder.layers=1000000000000": "model.decoder.layers",
    "model.decoder.hidden=1000000": "decoder",
    "model.decoder.recurrent_dropout=2": "model.decoder.recurrent_dropout",
    "model.decoder={kind: transformer, architecture: nosuch}": "architecture",
    "model.encoder={kind: transformer, heads: 1000000, hidden: 1000000}": "would fit",
    "model.prior=mixtur": "did you mean 'mixture'",
    "model.prior={kind: mixture, components: 1000000000}": "model.prior.components",
    "model.prior={kind: vamp, components: 1000000000}": "model.prior.components",
    "model.prior=label_gaussian": "needs labels",
    "model.conditioning=[louder]": "model.conditioning",
    "model.posterior.kind=gausian": "did you mean 'gaussian'",
    "objective=languagemodel": "objective",
    "objective.kind=vae": "objective.kind",
    "objective.techniques.free_bit={}": "did you mean 'free_bits'",
    "objective.techniques.free_bits={floor: .inf}": "floor",
    "objective.techniques.target_kl={nats: .inf}": "nats",
    "objective.techniques.target_kl={gain: .nan}": "gain",
    "objective.techniques.unit_floor={floor: .inf}": "floor",
    "objective.techniques.kl_weight={weight: .inf}": "weight",
    "objective.techniques.iwae={draws: 100000000}": "draws",
    "objective.techniques.word_dropout={rate: 2}": "rate",
    "objective.techniques.word_dropout=maybe": "word_dropout",
}

# Files of settings, and words of the message.
CONFIGS: dict[str, tuple[str | bytes, str]] = {
    "a repeated section": ("training: {steps: 2}\ntraining: {seed: 3}\n", "line 2: the key 'train"),
    "a repeated key": ("training:\n  seed: 2\n  steps: 3\n  seed: 3\n", "line 4: the key 'seed'"),
    "a list as a section": ("data: [a]\n", "line 1: data = ['a']"),
    "a number as a section": ("training: 3\n", "line 1: training = 3"),
    "a list of sections": ("- training\n", "expected sections"),
    "a word alone": ("training\n", "expected sections"),
    "an unknown key": ("training:\n  epoch: 3\n", "c.yaml, line 2: training.epoch"),
    "an unknown section": ("trainng: {}\n", "c.yaml, line 1: trainng"),
    "a number as a key": ("3: {}\n", "3"),
    "a wrong value": ("model:\n  latent_dim: -3\n", "c.yaml, line 2: model.latent_dim = -3"),
    "a wrong part": ("model:\n  encoder: ltsm\n", "c.yaml, line 2: model.encoder.kind"),
    "infinity": ("data: {held_out: .inf}\n", "line 1: data.held_out = inf"),
    "not a number": ("data: {held_out: .nan}\n", "line 1: data.held_out = nan"),
    "an open bracket": ("training: [\n", "is not YAML"),
    "a tab": ("training:\n\tsteps: 2\n", "line 2: is not YAML"),
    "two documents": ("training: {}\n---\ntraining: {}\n", "is not YAML"),
    "an impossible date": ("training: {seed: 2020-99-99}\n", "month must be in 1..12"),
    "a tag that runs code": ("training: !!python/object/apply:os.system [ls]\n", "is not YAML"),
    "a wrong tag": ("training: {seed: !!bool x}\n", "tag"),
    "a value that contains itself": ("training: &a {seed: *a}\n", "contains itself"),
    "an unknown alias": ("training: *a\n", "is not YAML"),
    "a bomb of aliases": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
            for before, name in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "with aliases expanded",
    ),
    "deep nesting": (f"training: {'[' * 5000}\n", "levels deep"),
    "endless digits": (f"training: {{seed: {'9' * 5000}}}\n", "5,000 digits"),
    "a control character": ("training: {\x01: 2}\n", "line 1: YAML does not allow"),
    "an escaped NUL": ('data:\n  cache: "a\\0b"\n', "line 2: 'a\\x00b' contains a NUL character"),
    "half of a surrogate pair": ('data: {text_column: "\\ud800"}\n', "surrogate"),
    "an escape sequence as a key": ('training: {"\\e]0;title\\a": 3}\n', "\\x1b]0;title\\x07"),
    "latin-1": ("data: {corpus: café}\n".encode("latin-1"), "cannot be read"),
    "binary": (bytes(range(256)), "cannot be read"),
    "two megabytes": ("#" * 2_000_000, "is longer than"),
}

VECTORS: dict[str, Any] = {
    "another size": np.zeros((2, 7)),
    "three dimensions": np.zeros((2, 2, 4)),
    "no dimension": np.zeros(()),
    "no columns": np.zeros((2, 0)),
    "complex numbers": np.zeros((2, 4), dtype=complex),
    "text": np.full((2, 4), "a"),
    "dates": np.zeros((2, 4), dtype="M8[s]"),
    "records": np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]),
    "objects": np.full((2, 4), None),
    "nothing but NaN": np.full((2, 4), np.nan),
    "infinity": np.full((2, 4), np.inf),
    "a number beyond single precision": np.full((2, 4), 1e300),
}

COLUMNS = {
    "records": pa.array([{"a": 1.0}]),
    "text": pa.array(["a"]),
    "lists of text": pa.array([["a"] * 4]),
    "lists of unequal lengths": pa.array([[1.0] * 4, [1.0]]),
    "another size": pa.array([[1.0] * 7]),
    "no rows": pa.array([], type=pa.list_(pa.float32())),
}

# Lines of a file of text that is no table of labelled texts, and words of the message.
TABLES: dict[str, tuple[str, str]] = {
    "no column of labels": ("text\na man\n", "label"),
    "no column of texts": ("label\none\n", "text"),
    "an empty file": ("", "empty"),
    "only a header": ("text,label\n", "no sentence"),
    "a missing label": ("text,label\na man,\n", "row 1"),
    "a row with a cell too many": ("text,label\na man,one,two\n", "line 2"),
    "a row with a cell too few": ("text,label\na man\n", "line 2"),
    "a column twice": ("text,label,label\na man,one,one\n", "label"),
    "an escape sequence as a column": ("\x1b]0;title\x07,label\na,b\n", "\\x1b]0;title\\x07"),
}
LABELLED_VERBS = ("attribute fit", "augment")

LAUNCHES = (
    {"WORLD_SIZE": "2"},
    {"WORLD_SIZE": "x"},
    {"WORLD_SIZE": "2", "RANK": "0"},
    {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"},
    {"RANK": "abc"},
    {"RANK": "-1"},
    {"LOCAL_RANK": "3"},
    {"MASTER_PORT": "abc"},
)

DEVICES = ("meta", "xla", "vulkan", "gpu", "CPU", "", "cuda:9", "cpu:-1", "\udcff")
DEVICE_VERBS = ("generate", "train", "info", "compare")

# Prefixes of options, which argparse would complete, and misspelled ones.
WRONG_OPTIONS = {
    ("generate", "--num"): "did you mean '--num-beams'",
    ("generate", "--temp"): "did you mean '--temperature'",
    ("generate", "--temprature"): "did you mean '--temperature'",
    ("generate", "--out"): "did you mean '--output'",
    ("score", "--sample"): "did you mean '--samples'",
    ("score", "--dev"): "did you mean '--device'",
    ("train", "--over"): "did you mean '--overwrite'",
    ("train", "--conf"): "did you mean '--config'",
    ("train", "--epochs"): "unknown argument",
    ("train", "--res"): "did you mean '--resume'",
    ("evaluate", "--lim"): "did you mean '--limit'",
    ("index", "--fact"): "did you mean '--factory'",
    ("info", "--jsn"): "did you mean '--json'",
    ("generate", "--\x1b[31m"): "\\x1b[31m",
    ("generate", "--" + "x" * 50_000): "unknown argument",
}


def list_cases(*tables: dict[Any, Any]) -> list[Any]:
    """Return the keys and values of tables as parameters whose ids are short."""
    return [
        pytest.param(key, value, id=ascii(key)[:60])
        for table in tables
        for key, value in table.items()
    ]


@pytest.fixture(scope="module")
def loaded(tiny_run: Path) -> Iterator[None]:
    """Load the model of the shared run once: most inputs are refused after it is loaded."""
    load = checkpoint.load_bundle
    bundles: dict[str, Bundle] = {}

    def load_once(folder: str | Path, device: str | None = None) -> Bundle:
        if Path(folder) != tiny_run or device != "cpu":
            return load(folder, device)
        return bundles.setdefault(device, load(folder, device) if not bundles else bundles["cpu"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.vae.load_bundle", load_once)
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a corpus, a table and vectors."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    table(LABELLED).to_csv(tmp_path / "table.csv", index=False)
    np.save(tmp_path / "z.npy", np.zeros((2, 4), dtype=np.float32))
    (tmp_path / "c.yaml").write_text("data: {corpus: corpus.txt}\ntraining: {steps: 2}\n")
    return tmp_path


@pytest.fixture
def refuse(
    folder: Path, tiny_run: Path, loaded: None, capsys: pytest.CaptureFixture[str]
) -> Refuse:
    """A function that runs a command, checks that it is refused well, and returns the message."""

    def run_and_check(*arguments: str) -> str:
        before = list_files(folder), list_files(tiny_run)
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:  # how argparse ends
            code = stop.code  # type: ignore[assignment]
        shown = capsys.readouterr()
        notes_and_message = shown.err.rstrip("\n").split("\n")
        message = "\n".join(line for line in notes_and_message if not line.startswith("note: "))
        assert code == 2, shown.err
        assert shown.out == ""
        assert message.startswith("textvae"), shown.err
        assert len(message) < MAX_LENGTH
        # A message is one line, except a list of wrong settings.
        assert "\n" not in message or "settings are wrong:\n" in message
        assert message.replace("\n", "").isprintable()
        assert "Traceback" not in shown.err
        assert (list_files(folder), list_files(tiny_run)) == before
        return message

    return run_and_check


def list_files(folder: Path) -> set[str]:
    """Return the names of all files in a folder, at any depth."""
    return {
        os.path.join(parent, name)
        for parent, folders, names in os.walk(folder)
        for name in (*folders, *names)
    }


def build_command(verb: str, folder: Path, run: Path) -> list[str]:
    """Return a command that works, for a wrong option to be added to."""
    if verb == "train":
        return ["train", "corpus.txt", "--output", "out", "training.steps=2", "--device", "cpu"]
    if verb == "compare":
        return ["compare", "c.yaml", "--output", "out"]
    if verb == "infill":
        return ["infill", str(run), "a man ___ a wave.", "--device", "cpu"]
    if verb == "edit":
        return ["edit", str(run), "a man", "--attribute", "gone", "--device", "cpu"]
    return [*build_arguments(verb, folder, run), "--device", "cpu"]


@pytest.mark.parametrize("verb", DECODING_VERBS)
@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option in DECODING for value in DECODING[option]]
)
def test_wrong_decoding_options_are_refused(refuse, folder, tiny_run, verb, option, value):
    """The message names the option as it was written, or as Python calls it."""
    message = refuse(*build_command(verb, folder, tiny_run), f"{option}={value}")
    assert option.strip("-").replace("-", "_") in message.replace("-", "_")


@pytest.mark.parametrize("verb", SEEDED_VERBS)
@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_seeds_are_refused(refuse, folder, tiny_run, verb, seed):
    """All verbs have the same bounds."""
    assert "seed" in refuse(*build_command(verb, folder, tiny_run), f"--seed={seed}")


@pytest.mark.parametrize(
    ("verb", "option", "value"),
    [
        pytest.param(*name, value, id=ascii(f"{name[0]} {name[1]} {value}")[:60])
        for name, values in OPTIONS.items()
        for value in values
    ],
)
def test_wrong_options_are_refused(refuse, folder, tiny_run, verb, option, value):
    """The message names the option, or the value if it is a name."""
    command = build_command(verb, folder, tiny_run)
    if option in command:
        place = command.index(option)
        del command[place : place + 2]
    joined = [f"{option}={value}"] if option.startswith("--") else [option, value]
    message = refuse(*command, *joined)
    name = option.strip("-").replace("-", "_")
    assert name in message.replace("-", "_") or ascii(value)[1:-1] in message


@pytest.mark.parametrize(("setting", "words"), list_cases(SETTINGS))
def test_wrong_settings_are_refused(refuse, folder, tiny_run, setting, words):
    """The message names the setting, and no run folder is left."""
    assert words in refuse(*build_command("train", folder, tiny_run), setting)


@pytest.mark.parametrize(("content", "words"), CONFIGS.values(), ids=CONFIGS)
def test_wrong_files_of_settings_are_refused(refuse, folder, tiny_run, content, words):
    """The message names the file, and the line if there is one."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "c.yaml").write_bytes(data)
    message = refuse(*build_command("train", folder, tiny_run), "--config", "c.yaml")
    assert "c.yaml" in message
    assert words in message


@pytest.mark.parametrize("name", ["gone.yaml", ".", "/dev/zero", "c.yaml/c.yaml", "\udcff.yaml"])
def test_files_of_settings_that_cannot_be_read_are_refused(refuse, folder, tiny_run, name):
    """A device that never ends is not read to its end."""
    message = refuse(*build_command("train", folder, tiny_run), "--config", name)
    assert ascii(name)[1:-1] in message


@pytest.mark.parametrize("verb", ON_A_RUN)
@pytest.mark.parametrize("run", ["gone", "corpus.txt", ".", "\x1b[31m", "x" * 5000])
def test_what_is_no_run_is_refused(refuse, folder, verb, run):
    """Every verb that reads a run says what it expected."""
    assert run[:20] == "\x1b[31m" or run[:20] in refuse(*build_command(verb, folder, Path(run)))


@pytest.mark.parametrize("vectors", VECTORS.values(), ids=VECTORS)
def test_wrong_vectors_of_numpy_are_refused(refuse, folder, tiny_run, vectors):
    """Nothing is unpickled, and no conversion changes the numbers silently."""
    np.save(folder / "z.npy", vectors)
    assert "z" in refuse("decode", str(tiny_run), "z.npy", "--device", "cpu")


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_wrong_vectors_of_parquet_are_refused(refuse, folder, tiny_run, column):
    """The message names the file or the shape."""
    pq.write_table(pa.table({"z": column}), folder / "z.parquet")
    assert "z" in refuse("decode", str(tiny_run), "z.parquet", "--device", "cpu")


@pytest.mark.parametrize("name", ["z.npy", "z.parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x93NUMPY\x01\x00\xff\xff{", b"PAR1", b"PK\3\4"]
)
def test_files_that_hold_no_vectors_are_refused(refuse, folder, tiny_run, name, content):
    """The message names the file."""
    (folder / name).write_bytes(content)
    assert name in refuse("decode", str(tiny_run), name, "--device", "cpu")


@pytest.mark.parametrize("verb", LABELLED_VERBS)
@pytest.mark.parametrize(("content", "words"), TABLES.values(), ids=TABLES)
def test_wrong_tables_of_labels_are_refused(refuse, folder, tiny_run, verb, content, words):
    """The message says which row, or which column."""
    (folder / "table.csv").write_text(content)
    assert words in refuse(*build_command(verb, folder, tiny_run))


@pytest.mark.parametrize("verb", ["score", "uncertainty", "reconstruct"])
def test_a_missing_column_of_texts_is_refused(refuse, folder, tiny_run, verb):
    """The message names the option, not the setting of `train`."""
    command = [verb, str(tiny_run), "table.csv", "--text-column", "caption", "--device", "cpu"]
    message = refuse(*command)
    assert "there is no column 'caption'" in message
    assert "--text-column" in message


@pytest.mark.parametrize("verb", ["complete", "interpolate", "analogy", "traverse", "neighbors"])
def test_texts_that_are_not_utf8_are_refused(refuse, folder, tiny_run, verb):
    """The shell passes any bytes; Python reads those that are not UTF-8 as halves of surrogates."""
    command = build_command(verb, folder, tiny_run)
    place = command.index("a man")
    assert "surrogate" in refuse(*command[:place], "a \udcff man", *command[place + 1 :])


@pytest.mark.parametrize("text", ["sentences.txt", "-"])
def test_neighbors_of_a_file_are_refused(refuse, folder, tiny_run, text):
    """The verb takes texts, and has no option that reads a file."""
    (folder / "sentences.txt").write_text("a man\n")
    message = refuse("neighbors", str(tiny_run), text)
    assert "--file" not in message
    assert "sentence" in message


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("verb", DEVICE_VERBS)
def test_devices_that_do_not_compute_are_refused(refuse, folder, tiny_run, verb, device):
    """Only those that are tested are offered."""
    command = [word for word in build_command(verb, folder, tiny_run) if word != "cpu"]
    command = [word for word in command if word != "--device"]
    assert "cpu" in refuse(*command, f"--device={device}")


@pytest.mark.parametrize("launch", LAUNCHES, ids=str)
def test_wrong_variables_of_a_launcher_are_refused(refuse, folder, tiny_run, monkeypatch, launch):
    """They may be left over from another job, and the message says what to do."""
    for name, value in launch.items():
        monkeypatch.setenv(name, value)
    message = refuse(*build_command("train", folder, tiny_run))
    assert "unset WORLD_SIZE, RANK and LOCAL_RANK" in message


@pytest.mark.parametrize("rank", ["1", "7", "abc"])
def test_a_single_process_speaks_whatever_its_rank(refuse, monkeypatch, rank):
    """A rank that is left over silences nobody."""
    monkeypatch.setenv("RANK", rank)
    assert "gone" in refuse("generate", "gone")
    assert "RUN" in refuse("generate")


@pytest.mark.parametrize(("option", "words"), list_cases(WRONG_OPTIONS))
def test_unknown_options_are_refused(refuse, folder, tiny_run, option, words):
    """An abbreviation is not completed: it could be another option than the user means."""
    verb, name = option
    assert words in refuse(*build_command(verb, folder, tiny_run), f"{name}=3")


WITHOUT_REQUIRED = {"docs", "info", "settings", "skill", "train"}


@pytest.mark.parametrize("verb", sorted({words.split()[0] for words in VERBS} - WITHOUT_REQUIRED))
def test_missing_arguments_are_refused(refuse, verb):
    """The message names what is missing."""
    assert "required" in refuse(verb)


@pytest.mark.parametrize("verb", ["", "trian", "\x1b[31m", "x" * 50_000, "--version=3"])
def test_unknown_verbs_are_refused(refuse, verb):
    """The message lists the verbs."""
    assert "textvae" in refuse(verb)


@pytest.mark.parametrize(
    "corpus",
    [
        "gone.txt",
        "~nosuchuser/x.txt",
        "x" * 5000,
        "x" * 5000 + ".txt",
        "gone\n.txt",
        "\x1b]0;title.txt",
    ],
)
@pytest.mark.parametrize("verb", ["train", "score"])
def test_missing_corpora_are_refused(refuse, tiny_run, verb, corpus):
    """A line break or an escape in a name stays one line without effects."""
    rest = ["--output", "out"] if verb == "train" else []
    place = [] if verb == "train" else [str(tiny_run)]
    assert "there is no" in refuse(verb, *place, corpus, *rest, "--device", "cpu")


@pytest.mark.parametrize("option", ["--seeds", "--jobs", "--samples", "--limit"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "1" + "0" * 30])
def test_wrong_options_of_a_comparison_are_refused(refuse, folder, tiny_run, option, value):
    """They are refused before the first run is trained."""
    message = refuse(*build_command("compare", folder, tiny_run), option, value)
    assert option.strip("-") in message


def test_more_than_300_distinct_inputs_are_refused():
    """The tables hold that many, without the inputs that other files of tests refuse."""
    decoding = len(DECODING_VERBS) * sum(map(len, DECODING.values()))
    options = sum(map(len, OPTIONS.values()))
    seeds = len(SEEDED_VERBS) * len(SEEDS)
    assert decoding + options + seeds + len(SETTINGS) + len(CONFIGS) > 300
