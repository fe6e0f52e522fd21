"""Pretrained parts that cannot be used: one message, exit code 2, and nothing left on the disk."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.model.pretrained.families import save_decoder, save_encoder
from tests.tiny_run import write_corpus
from textvae.cli.main import main
from textvae.model.bases import memory
from textvae.runtime import extras

Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny bases and of a corpus; no test may change them."""
    folder = tmp_path_factory.mktemp("saved")
    save_encoder("bert", folder / "bert", pooling=None)
    for family in ("llama", "gpt2", "t5", "bloom"):
        save_decoder(family, folder / family)
    write_corpus(folder)
    return folder


@pytest.fixture
def refuse(saved, tmp_path, capfd):
    """A function that trains with settings, checks that they are refused, and returns the message."""

    def train_and_read(*settings: str, encoder: str = "bert", decoder: str = "llama") -> str:
        parts = {"encoder": encoder, "decoder": decoder}
        named = []
        for role, base in parts.items():
            name = next((str(at / base) for at in (tmp_path, saved) if (at / base).exists()), base)
            named += [f"model.{role}.kind=pretrained", f"model.{role}.name={name}"]
        if not any(setting.startswith("model.conditioning") for setting in settings):
            named.append("model.conditioning=[memory]")
        before = list_files(tmp_path)
        fixed = ["data.max_tokens=40", "training.steps=2", "training.trackers=[]"]
        output = ["--output", str(tmp_path / "run"), "--device", "cpu"]
        corpus = str(saved / "corpus.txt")
        code = main(["train", corpus, *fixed, *named, *settings, *output])
        captured = capfd.readouterr()
        assert code == 2, captured.err
        assert list_files(tmp_path) == before
        lines: list[str] = [line for line in captured.err.splitlines() if not is_progress(line)]
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("textvae train: ")
        assert captured.out == ""
        return lines[0]

    return train_and_read


def list_files(folder: Path) -> set[Path]:
    """Return everything in a folder."""
    return set(folder.rglob("*"))


def is_progress(line: str) -> bool:
    """Tell whether a line is a note or a progress bar, which may come before the message."""
    return line.startswith("note: ") or "%|" in line or not line.strip()


@pytest.fixture
def change(saved, tmp_path):
    """A function that changes a copy of a base, whose name it returns."""

    def copy(base: str, edit: Edit) -> str:
        shutil.copytree(saved / base, tmp_path / "changed")
        edit(tmp_path / "changed")
        return "changed"

    return copy


def edit_json(file: Path, **entries: Any) -> None:
    """Set entries of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_an_unknown_name_is_refused_at_once_without_a_connection(refuse, monkeypatch, role):
    """It is neither a folder nor in the cache, and the message says where it was looked for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    start = time.monotonic()
    message = refuse(**{role: "nobody/no-such-model"})
    assert time.monotonic() - start < 2
    assert f"model.{role}.name = 'nobody/no-such-model'" in message


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_a_folder_without_weights_is_refused(refuse, change, role):
    """The message names the folder."""
    base = {"encoder": "bert", "decoder": "llama"}[role]
    name = change(base, lambda folder: (folder / "model.safetensors").unlink())
    message = refuse(**{role: name})
    assert f"model.{role}.name" in message
    assert "safetensors" in message


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_a_base_with_code_of_its_own_is_refused(refuse, change, role, file):
    """The code is never looked for."""
    base = {"encoder": "bert", "decoder": "llama"}[role]
    auto_map = {"AutoConfig": "mine.Mine", "AutoTokenizer": ["mine.Mine", None]}
    name = change(base, lambda folder: edit_json(folder / file, auto_map=auto_map))
    assert "auto_map" in refuse(**{role: name})


def drop_layer(folder: Path) -> None:
    """Remove the weights of a layer of a base."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layer.1." not in name}
    kept = {name: value for name, value in kept.items() if "layers.1." not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_a_base_that_lacks_a_layer_is_refused(refuse, change, role):
    """Otherwise, that layer would have random weights."""
    base = {"encoder": "bert", "decoder": "llama"}[role]
    message = refuse(**{role: change(base, drop_layer)})
    assert "do not fit its config.json; missing or of another size" in message


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_a_base_whose_weights_have_other_sizes_is_refused(refuse, change, role):
    """Its config and its weights are of different models."""
    base = {"encoder": "bert", "decoder": "llama"}[role]

    def widen(folder: Path) -> None:
        edit_json(folder / "config.json", intermediate_size=48)

    message = refuse(**{role: change(base, widen)})
    assert "do not fit its config.json; missing or of another size" in message


def drop_output(folder: Path) -> None:
    """Remove the output layer from the weights of a base."""
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_decoder_without_output_weights_is_refused(refuse, change):
    """They would be random."""
    message = refuse(decoder=change("llama", drop_output))
    assert "has no output weights (lm_head)" in message


def test_an_encoder_cannot_be_the_decoder(refuse):
    """It sees the words that it should predict."""
    assert "can only be an encoder" in refuse(decoder="bert")


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_a_tokenizer_of_another_model_is_refused(refuse, change, role):
    """It has more tokens than the embedding has rows."""
    base = {"encoder": "bert", "decoder": "llama"}[role]

    def cut_embedding(folder: Path) -> None:
        edit_json(folder / "config.json", vocab_size=100)

    message = refuse(**{role: change(base, cut_embedding)})
    assert f"model.{role}.name" in message
    assert "embedding has 100 rows" in message


@pytest.mark.parametrize(("available", "role"), [(1000, "encoder"), (100_000, "decoder")])
def test_too_little_memory_is_refused_before_loading(refuse, monkeypatch, available, role):
    """The message says how much is needed and what would fit."""
    monkeypatch.setattr(memory, "read_available_memory", lambda device: available)
    message = refuse("model.encoder.train=none")
    assert f"model.{role}.name" in message
    assert "are free on this machine" in message


REFUSED_SETTINGS: dict[str, tuple[list[str], str]] = {
    "checkpointing drops the memory of z": (
        ["model.decoder.gradient_checkpointing=true"],
        "does not work with the conditioning 'memory'",
    ),
    "unsupported conditioning": (
        ["model.conditioning=[initial_state]"],
        "'initial_state' does not work with a 'pretrained' decoder",
    ),
    "a tokenizer of another kind": (["tokenizer.kind=bpe"], "tokenizer.kind = 'bpe' does not fit"),
    "a saved tokenizer": (["tokenizer.kind=folder"], "tokenizer.kind = 'folder' does not fit"),
    "no sentence encoder": (
        ["model.encoder.states=sentence"],
        "states = 'sentence' needs a sentence encoder",
    ),
    "an entry above all layers": (["model.decoder.entry=1"], "model.decoder.entry = 1"),
    "an unknown way of training": (["model.decoder.train=some"], "model.decoder.train = 'some'"),
    "a misspelled setting": (["model.decoder.entri=0.5"], "did you mean 'entry'?"),
    "a revision of a folder": (["model.decoder.revision=main"], "has no revision 'main'"),
    "adapters on no layer": (
        ["model.decoder.lora.targets=[nothing]"],
        "model.decoder.lora.targets",
    ),
    "the record of a base": (
        ["model.decoder.base={config: {}}"],
        "model.decoder.base",
    ),
    "a vocabulary size": (["tokenizer.vocab_size=300"], "tokenizer.vocab_size"),
}


@pytest.mark.parametrize("case", REFUSED_SETTINGS)
def test_settings_that_do_not_fit_a_pretrained_part_are_refused(refuse, case):
    """The message has the setting."""
    settings, words = REFUSED_SETTINGS[case]
    assert words in refuse(*settings)


@pytest.mark.parametrize(
    ("settings", "needed", "most"),
    [
        (["data.max_tokens=127", "model.conditioning=[output]"], 129, 126),
        (["data.max_tokens=125", "model.conditioning=[memory]"], 129, 124),
        (
            ["data.max_tokens=123", "model.conditioning=[memory,prefix]", "model.decoder.prefix=3"],
            130,
            121,
        ),
    ],
)
@pytest.mark.parametrize("decoder", ["gpt2", "llama"])
def test_sentences_longer_than_the_positions_are_refused(refuse, decoder, settings, needed, most):
    """Prefix and memory take positions, too; the message has both numbers."""
    message = refuse(*settings, decoder=decoder)
    assert "has 128 positions" in message
    assert f"need {needed}" in message
    assert f"lower data.max_tokens to {most} or less" in message


def test_the_decoder_of_t5_has_no_entry_between_layers(refuse):
    """The message says what to set instead."""
    settings = ["model.decoder.entry=0.5", "model.conditioning=[output]"]
    message = refuse(*settings, decoder="t5")
    assert "model.decoder.entry does not work with the decoder of a t5 model" in message


def test_an_architecture_that_cannot_be_cut_has_no_entry_between_layers(refuse):
    """Bloom normalizes its embeddings, and would do it twice."""
    settings = ["model.decoder.entry=0.5", "model.conditioning=[output]"]
    message = refuse(*settings, decoder="bloom")
    assert "a bloom model cannot be cut" in message


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_adapters_without_peft_are_refused(refuse, monkeypatch, role):
    """The message says how to install it."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "peft" else True)
    message = refuse(f"model.{role}.train=lora")
    assert "need peft, which is not installed: pip install 'textvae[pretrained]'" in message
