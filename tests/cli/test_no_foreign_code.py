"""Code in a user's folders is never run, the user is not asked about it, and the message says how to fix it."""

import io
import json
import pickle
import shutil
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import transformers

from tests.tiny_run import LABELLED, SENTENCES, SMALL, table, write_corpus
from textvae.cli.main import main
from textvae.cli.parser import build_parser
from textvae.data.tokenization import load_tokenizer
from textvae.errors import CheckpointError, ConfigError, TextVAEError
from textvae.model.architectures import build_architecture_config
from textvae.model.decoders.transformer import TransformerDecoder
from textvae.runtime.foreign_code import refuse_foreign_code
from textvae.vae import TextVAE

AUTO_CLASSES = [name for name in dir(transformers) if name.startswith("Auto")]
AUTO_MAP = dict.fromkeys(AUTO_CLASSES, "mine.Mine") | {"AutoTokenizer": ["mine.Mine", "mine.Mine"]}
PICKLES = (
    "pytorch_model.bin",
    "adapter_model.bin",
    "training_args.bin",
    "tokenizer.pkl",
    "vocab.pkl",
    "model.pt",
)
REFUSED = "textvae never runs such code"
TINY = [
    *(f"model.{part}={json.dumps(SMALL)}" for part in ("encoder", "decoder")),
    "model.latent_dim=4",
    "tokenizer.vocab_size=320",
    "training.steps=2",
    "training.warmup_steps=1",
    "training.trackers=[]",
]


class Planted:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def plant_pickles(folder: Path, marker: Path) -> None:
    """Put pickles that write the marker wherever a loader may look for one."""
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        for name in PICKLES:
            (place / name).write_bytes(pickle.dumps(Planted(marker)))


def plant_code(folder: Path, marker: Path) -> None:
    """Put code that writes the marker into a folder, and request it in all JSON files of the folder."""
    for file in list(folder.rglob("*.json")):
        if isinstance(entries := json.loads(file.read_text()), dict):
            asked = {"auto_map": AUTO_MAP, "custom_generate": "mine", "tokenizer_class": "Mine"}
            file.write_text(json.dumps({**entries, **asked}))
    code = f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Mine: pass\ndef generate(**_): pass\n"
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        (place / "mine.py").write_text(code)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(code)


def iterate_verbs(
    command: ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], ArgumentParser]]:
    """Yield the words of each verb, and its parser."""
    verbs = [action.choices for action in command._actions if isinstance(action, _SubParsersAction)]
    if not verbs:
        yield words, command
    for choices in verbs:
        for word, inner in choices.items():
            yield from iterate_verbs(inner, (*words, word))


VERBS = {" ".join(words): command for words, command in iterate_verbs(build_parser())}
ON_A_RUN = [
    verb
    for verb, command in VERBS.items()
    if any(action.dest == "run" for action in command._actions)
]


def build_arguments(verb: str, folder: Path, run: Path) -> list[str]:
    """Return the arguments that a verb needs, and a run or a file where these are optional."""
    known = {
        "run": str(run),
        "file": str(folder / "table.csv"),
        "vectors": str(folder / "z.npy"),
        "output": str(folder / "vectors.npy"),
        "dimension": "0",
    }
    sentences = {"infill": ["a ___"], "interpolate": ["a man"] * 2, "analogy": ["a man"] * 3}
    words, command = verb.split(), VERBS[verb]
    groups = [group for group in command._mutually_exclusive_groups if group.required]
    alternatives = [group._group_actions[0] for group in groups]
    for action in command._actions:
        if action.dest == "texts" and not action.required:
            words += sentences.get(verb, ["a man"])
        is_input = action.dest in ("run", "file") and not action.option_strings
        if action.required or action in alternatives or is_input:
            words += [*action.option_strings[:1], known.get(action.dest, "a man")]
    return words


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that planted code writes."""
    return tmp_path / "code-was-run"


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A run that a test may plant things in, next to a corpus, a table and vectors."""
    write_corpus(tmp_path)
    table(LABELLED).to_csv(tmp_path / "table.csv", index=False)
    np.save(tmp_path / "z.npy", np.zeros((2, 4), dtype=np.float32))
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(autouse=True)
def answer_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer yes to every question on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"y\n" * 50), encoding="utf-8"))


@pytest.mark.parametrize("verb", ON_A_RUN)
def test_no_verb_runs_code_of_a_run_or_asks_about_it(run, tmp_path, marker, capsys, verb):
    """Each verb is refused with one message that names the file; standard output stays empty."""
    plant_code(run, marker)
    plant_pickles(run, marker)
    assert main(build_arguments(verb, tmp_path, run)) == 2
    shown = capsys.readouterr()
    assert not marker.exists()
    assert shown.out == ""
    assert f"{run / 'config.json'}: " in shown.err
    assert REFUSED in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize(
    "verb", ["generate", "score", "info", "neighbors", "anomaly score", "prior fit", "edit"]
)
def test_pickles_in_a_run_are_never_read(run, tmp_path, marker, verb):
    """The run works as if the pickles did not exist."""
    plant_pickles(run, marker)
    assert main(build_arguments(verb, tmp_path, run)) in (0, 2)
    assert not marker.exists()


ENTRIES = [
    ("tokenizer_config.json", "auto_map", ["mine.Mine", None]),
    ("tokenizer_config.json", "auto_map", {"AutoTokenizer": [None, "someone/else--mine.Mine"]}),
    ("config.json", "auto_map", AUTO_MAP),
    ("config.json", "quantization_config", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    ("config.json", "attn_implementation", "someone/kernel"),
    ("config.json", "_attn_implementation", "flash_attention_2"),
    (
        "config.json",
        "decoder_settings",
        {"kind": "transformer", "options": {"attn_implementation": {"": "someone/kernel"}}},
    ),
    ("generation_config.json", "custom_generate", "someone/else"),
]


@pytest.mark.parametrize(("name", "entry", "value"), ENTRIES)
def test_the_message_names_the_file_and_the_entry_that_asks_for_code(run, name, entry, value):
    """Each of the files is checked, and nested entries too."""
    entries = json.loads((run / name).read_text())
    (run / name).write_text(json.dumps({**entries, entry: value}))
    asks = "attn_implementation" if entry == "decoder_settings" else entry
    with pytest.raises(
        CheckpointError, match=rf"{name}: {asks} = .*{REFUSED}. Remove {asks} there"
    ):
        TextVAE.from_pretrained(run)


def test_a_folder_without_weights_but_a_pickle_is_still_refused(run, marker):
    """A pickle is not read as a substitute for the safetensors file."""
    plant_pickles(run, marker)
    (run / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is a pickle, which textvae never reads"):
        TextVAE.from_pretrained(run)
    assert not marker.exists()


def test_an_adapter_next_to_the_weights_is_refused(run):
    """Its file may name another model, and with peft installed it would change this model."""
    (run / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "someone/else"})
    )
    with pytest.raises(
        CheckpointError, match=r"adapter_config.json: belongs to an adapter.*Remove it"
    ):
        TextVAE.from_pretrained(run)


def test_entries_that_request_no_foreign_code_are_accepted():
    """These are empty entries, and the attention implementations of torch."""
    refuse_foreign_code(
        {"auto_map": {}, "quantization_config": None, "attn_implementation": None}, "here"
    )
    refuse_foreign_code(
        {"text": [{"_attn_implementation": "eager"}], "attn_implementation": {"": "sdpa"}}, "here"
    )


@pytest.mark.parametrize(
    "entry", ["attn_implementation", "_attn_implementation", "auto_map", "quantization_config"]
)
def test_options_of_an_architecture_cannot_ask_for_code(entry):
    """The message names the setting."""
    sizes = TransformerDecoder.Settings(options={"inner": {entry: "someone/kernel"}})
    with pytest.raises(
        ConfigError, match=rf"model.decoder.options: {entry} = 'someone/kernel' asks for code"
    ):
        build_architecture_config(sizes, 20, "model.decoder")


@pytest.mark.parametrize("auto_map", [["mine.Mine", None], {"AutoTokenizer": ["mine.Mine", None]}])
def test_a_tokenizer_folder_with_code_is_refused(run, marker, auto_map):
    """It is refused even if the class that it names is one of transformers."""
    file = run / "tokenizer_config.json"
    (run / "mine.py").write_text(f"open({str(marker)!r}, 'w')")
    file.write_text(json.dumps({**json.loads(file.read_text()), "auto_map": auto_map}))
    with pytest.raises(ConfigError, match=rf"tokenizer_config.json: auto_map = .*{REFUSED}"):
        load_tokenizer(run)
    assert not marker.exists()


def test_a_tokenizer_that_needs_a_missing_package_is_refused(run, monkeypatch):
    """The message is that of the library, without a traceback."""

    def fail(*_, **__):
        raise ImportError("needs the package tokenizers-of-mine")

    monkeypatch.setattr("textvae.data.tokenization.read_tokenizer", fail)
    with pytest.raises(
        ConfigError, match="holds no tokenizer: needs the package tokenizers-of-mine"
    ):
        load_tokenizer(run)


def list_ways_to_start(folder: Path, run: Path) -> dict[str, list[str]]:
    """Return ways to start training from a folder that has code."""
    return {
        "init": ["--init", str(run)],
        "tokenizer": ["tokenizer.kind=folder", f"tokenizer.path={run}", *TINY],
        "cache": [f"data.cache={folder / 'cache'}", *TINY],
    }


@pytest.mark.parametrize("way", ["init", "tokenizer"])
def test_training_that_is_refused_for_code_leaves_nothing_behind(
    run, tmp_path, marker, capsys, way
):
    """There is no unfinished run, whichever folder the code comes from."""
    train = [
        "train",
        str(tmp_path / "corpus.txt"),
        *list_ways_to_start(tmp_path, run)[way],
        "--device",
        "cpu",
    ]
    plant_code(run, marker)
    before = sorted(tmp_path.iterdir())
    capsys.readouterr()
    assert main([*train, "--output", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert REFUSED in shown.err
    assert sorted(tmp_path.iterdir()) == before
    assert not marker.exists()


def test_code_in_a_cache_entry_is_dropped_with_the_entry(run, tmp_path, marker, capsys):
    """The corpus is prepared again, as after other damage, and a note says so."""
    ways = list_ways_to_start(tmp_path, run)
    train = ["train", str(tmp_path / "corpus.txt"), *ways["cache"], "--device", "cpu"]
    assert main([*train, "--output", str(tmp_path / "first")]) == 0
    plant_code(next((tmp_path / "cache").iterdir()), marker)
    capsys.readouterr()
    assert main([*train, "--output", str(tmp_path / "out")]) == 0
    assert not marker.exists()
    assert "cache" in capsys.readouterr().err


def test_a_run_with_code_is_not_resumed(run, marker, capsys):
    """Neither the initial model nor a checkpoint is loaded."""
    init = run / "init"
    init.mkdir()
    for file in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ):
        shutil.copy(run / file, init)
    (run / "model.safetensors").rename(init / "model.safetensors")
    plant_code(run, marker)
    plant_pickles(run, marker)
    assert main(["train", "--output", str(run), "--resume", "--device", "cpu"]) == 2
    assert REFUSED in capsys.readouterr().err
    assert not marker.exists()


def test_standard_input_is_left_to_the_verb_at_a_terminal_as_well(run, marker):
    """The program asks no question, and takes nothing from standard input as an answer."""
    plant_code(run, marker)
    command = [sys.executable, "-m", "textvae", "score", str(run), "-", "--samples", "2"]
    shown = subprocess.run(
        command, input=f"y\n{SENTENCES[0]}\n", capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"textvae score: {run / 'config.json'}: auto_map = ")
    assert not marker.exists()


def test_every_refusal_of_code_is_a_textvae_error():
    """Python callers can catch it with all the others."""
    with pytest.raises(TextVAEError):
        refuse_foreign_code({"auto_map": {"AutoModel": "x" * 1000}}, "here")
