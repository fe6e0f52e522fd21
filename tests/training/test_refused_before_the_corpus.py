"""Settings that cannot work are refused before the corpus is read, which may take hours."""

from pathlib import Path
from typing import Any

import pytest

import textvae
from tests.model.pretrained.families import save_decoder, save_encoder
from tests.tiny_run import SENTENCES, SETTINGS, write_corpus
from textvae.data.run_corpus.prepared import PreparedCorpus
from textvae.errors import ConfigError
from textvae.model import size
from textvae.model.bases import memory
from textvae.runtime import extras


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny bases; no test may change them."""
    folder = tmp_path_factory.mktemp("bases")
    save_encoder("bert", folder / "bert", pooling=None)
    for family in ("llama", "gpt2", "t5", "bart", "bloom"):
        save_decoder(family, folder / family)
    return folder


@pytest.fixture
def refuse(bases, tmp_path, monkeypatch):
    """A function that trains with settings, and returns the message that refuses them.

    It checks that nothing has read the corpus and that no files are left.
    """
    reads: list[object] = []
    monkeypatch.setattr(PreparedCorpus, "prepare", lambda *arguments: reads.append(arguments))
    folder = tmp_path / "corpus"
    folder.mkdir()
    corpus = write_corpus(folder)

    def train_and_read(*settings: str, **sections: Any) -> str:
        overrides = [setting.replace("BASES", str(bases)) for setting in settings]
        fixed = ["data.max_tokens=40", "training.steps=1", "training.trackers=[]"]
        with pytest.raises(ConfigError) as refusal:
            textvae.train(
                corpus,
                output=tmp_path / "run",
                overrides=[*fixed, *overrides],
                device="cpu",
                **sections,
            )
        assert reads == []
        assert list(tmp_path.rglob("*")) == [folder, corpus]
        return str(refusal.value)

    return train_and_read


def name_bases(decoder: str = "llama", encoder: str | None = None) -> list[str]:
    """Return the settings that name bases."""
    settings = ["model.decoder.kind=pretrained", f"model.decoder.name=BASES/{decoder}"]
    if encoder is not None:
        settings += ["model.encoder.kind=pretrained", f"model.encoder.name=BASES/{encoder}"]
    return settings


# The base of the decoder, further settings, and words of the message.
REFUSED: dict[str, tuple[str, list[str], str]] = {
    "initial state of a transformer": (
        "llama",
        ["model.conditioning=[initial_state]"],
        "'initial_state' does not work with a 'pretrained' decoder",
    ),
    "cross-attention of a model without": (
        "gpt2",
        ["model.conditioning=[cross_attention]"],
        "'cross_attention' does not work with a 'pretrained' decoder",
    ),
    "memory of a model that attends to an encoder": (
        "t5",
        ["model.conditioning=[memory]"],
        "'memory' does not work with a 'pretrained' decoder: choose from embedding, prefix, output",
    ),
    "no conditioning": ("llama", ["model.conditioning=[]"], "model.conditioning is empty"),
    "checkpointing with a memory": (
        "llama",
        ["model.decoder.gradient_checkpointing=true", "model.conditioning=[memory]"],
        "does not work with the conditioning 'memory'",
    ),
    "checkpointing with the default": (
        "llama",
        ["model.decoder.gradient_checkpointing=true"],
        "does not work with the conditioning 'memory'",
    ),
    "an entry in T5": ("t5", ["model.decoder.entry=0.5"], "entry does not work with the decoder"),
    "an entry in BART": (
        "bart",
        ["model.decoder.entry=0.5"],
        "entry does not work with the decoder",
    ),
    "an entry in a model that cannot be cut": (
        "bloom",
        ["model.decoder.entry=0.5"],
        "a bloom model cannot be cut",
    ),
    "adapters on no layer": (
        "llama",
        ["model.decoder.lora.targets=[nothing]"],
        "model.decoder.lora.targets",
    ),
    "an encoder as decoder": ("bert", [], "can only be an encoder"),
    "more tokens than positions": ("gpt2", ["data.max_tokens=127"], "has 128 positions"),
    "more tokens than positions with a memory": (
        "llama",
        ["data.max_tokens=125"],
        "lower data.max_tokens to 124 or less",
    ),
    "side-tuning of T5": (
        "t5",
        ["model.decoder.kind=side_tuned"],
        "says nothing without its encoder",
    ),
    "the prefix of an LSTM at the side": (
        "llama",
        ["model.decoder.kind=side_tuned", "model.conditioning=[prefix]"],
        "'prefix' does not work with a 'side_tuned' decoder",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_conflicts_with_a_pretrained_decoder_are_refused_before_the_corpus_is_read(refuse, case):
    """The message has the setting."""
    decoder, settings, words = REFUSED[case]
    overrides = name_bases(decoder)
    if "model.decoder.kind=side_tuned" in settings:
        overrides = overrides[1:]
    assert words in refuse(*settings[:1], *overrides, *settings[1:])


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_missing_peft_is_noticed_before_the_corpus_is_read(refuse, monkeypatch, role):
    """The message says how to install it."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "peft" else True)
    message = refuse(*name_bases("llama", "bert"), f"model.{role}.train=lora")
    assert "pip install 'textvae[pretrained]'" in message


@pytest.mark.parametrize(("available", "role"), [(1000, "encoder"), (100_000, "decoder")])
def test_too_little_memory_is_noticed_before_the_corpus_is_read(
    refuse, monkeypatch, available, role
):
    """The message has both sizes."""
    monkeypatch.setattr(memory, "read_available_memory", lambda device: available)
    message = refuse(*name_bases("llama", "bert"), "model.encoder.train=none")
    assert f"model.{role}.name" in message
    assert "are free on this machine" in message


# Parts that start from random weights.
REFUSED_WITHOUT_BASES: dict[str, tuple[list[str], str]] = {
    "a prefix of an LSTM": (
        ["model.conditioning=[prefix]"],
        "'prefix' does not work with a 'lstm'",
    ),
    "no conditioning": (["model.conditioning=[]"], "model.conditioning is empty"),
    "an unknown architecture": (
        ["model.decoder.kind=transformer", "model.decoder.architecture=gtp2"],
        "model.decoder.architecture = 'gtp2'",
    ),
    "heads that do not divide": (
        ["model.encoder.kind=transformer", "model.encoder.hidden=10", "model.encoder.heads=3"],
        "is not a multiple of",
    ),
    "an encoder as decoder": (
        ["model.decoder.kind=transformer", "model.decoder.architecture=bert"],
        "sees the tokens that it should predict",
    ),
    "the memory of a transformer": (
        ["model.decoder.kind=transformer", "model.conditioning=[memory]"],
        "'memory' does not work with a 'transformer' decoder",
    ),
}


@pytest.mark.parametrize("case", REFUSED_WITHOUT_BASES)
def test_conflicts_within_a_new_model_are_refused_before_the_corpus_is_read(refuse, case):
    """The message has the setting."""
    settings, words = REFUSED_WITHOUT_BASES[case]
    assert words in refuse(*settings)


def test_a_new_model_that_is_too_large_is_refused_before_the_corpus_is_read(refuse, monkeypatch):
    """The message names its largest tensor."""
    monkeypatch.setattr(size, "read_available_memory", lambda device: 10**6)
    message = refuse("model.decoder.hidden=4096")
    assert "Its largest tensor is decoder." in message


def test_a_package_for_rounding_that_is_missing_is_noticed_before_the_corpus_is_read(
    refuse, monkeypatch
):
    """The message says how to install it."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "bitsandbytes" else True)
    message = refuse(*name_bases(), "model.decoder.bits=4")
    assert "weights in 4 bits (model.decoder.bits = 4) need bitsandbytes" in message
    assert "pip install 'textvae[quantized]'" in message


def test_labels_that_a_model_lacks_are_refused_before_the_corpus_is_read(refuse, tmp_path_factory):
    """A run that is started from another one has its labels."""
    first = tmp_path_factory.mktemp("first") / "run"
    with pytest.MonkeyPatch.context() as patch:  # the fixture has replaced the reader
        settings = {**SETTINGS, "training": {**SETTINGS["training"], "steps": 1}}
        patch.setattr(PreparedCorpus, "prepare", PREPARE)
        textvae.train(SENTENCES, output=first, device="cpu", **settings)
    assert "has no labels: leave data.label out" in refuse(init=first, data={"label": "kind"})


PREPARE = PreparedCorpus.prepare


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_decoder_of_an_encoder_decoder_model_attends_to_z_by_default(bases, tmp_path, family):
    """Nothing but its kind and its name is set."""
    vae = textvae.train(
        SENTENCES,
        output=tmp_path / "run",
        device="cpu",
        data={"held_out": 0.1, "max_tokens": 40},
        model={"latent_dim": 4, "decoder": {"kind": "pretrained", "name": str(bases / family)}},
        training={"steps": 2, "warmup_steps": 1, "evaluations": 1, "trackers": []},
    )
    assert vae.bundle.model.config.conditioning == ["cross_attention", "output"]
    assert "conditioning:\n  - cross_attention\n" in (tmp_path / "run/settings.yaml").read_text()
    assert len(vae.generate(2, max_new_tokens=3)) == 2
