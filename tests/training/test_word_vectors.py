"""Runs that start from word vectors: which weights they set, what is printed, what is refused."""

import json

import pytest
import torch
from datasets import Dataset

from tests.tiny_run import SENTENCES, SMALL, train_tiny
from textvae.data.tokenization import build_tokenizer, encode_batch
from textvae.errors import ConfigError, DataError
from textvae.model.building import build_model
from textvae.settings.reading import read_settings
from textvae.training import decoder_restart
from textvae.training.word_vectors import open_vectors, start_from_vectors

WORDS = sorted({word for text in SENTENCES for word in text.split()})


def write_vectors(file, words, size=16, first=1.0):
    """Write vectors whose first number is the place of the word, and whose others are `first`."""
    lines = [
        " ".join([word, str(place), *[str(first)] * (size - 1)]) for place, word in enumerate(words)
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def train_from(folder, vectors):
    """Train a few steps from word vectors."""
    model = {"latent_dim": 4, "decoder": SMALL, "encoder": {**SMALL, "vectors": vectors}}
    tokenizer = {"kind": "word", "min_frequency": 1}
    return train_tiny(folder, SENTENCES, tokenizer=tokenizer, model=model)


def start(overrides, texts=SENTENCES, seed=0):
    """Build a model and start it from the vectors that the settings name."""
    settings = read_settings(None, ["model.latent_dim=4", *overrides])
    tokenizer = build_tokenizer(settings.tokenizer, texts)
    torch.manual_seed(seed)
    model = build_model(settings.model, tokenizer)
    ids = encode_batch(tokenizer, texts)
    start_from_vectors(
        model, open_vectors(settings), tokenizer, Dataset.from_dict({"input_ids": ids})
    )
    return model, tokenizer.get_vocab()


WORD_SETTINGS = ["tokenizer.kind=word", "tokenizer.min_frequency=1"]
SIZES = ["model.encoder.embedding=16", "model.decoder.embedding=16"]


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_words_of_the_file_get_their_vectors(tmp_path, capsys, part, kind):
    """The shares of words and of tokens are printed."""
    known = [word for word in WORDS if word != "dog"]
    file = write_vectors(tmp_path / "vectors.txt", known)
    more = [f"model.{part}.kind={kind}", f"model.{part}.vectors={file}"]
    model, vocabulary = start([*WORD_SETTINGS, *SIZES, *more])
    weight = model.get_submodule(part).embed.weight
    for place, word in enumerate(known):
        assert weight[vocabulary[word]].tolist() == [place, *[1] * 15]
    assert weight[vocabulary["dog"]].abs().max() < 0.9
    printed = capsys.readouterr().err
    count = f"{len(known)} of {len(WORDS)} words of the vocabulary ({len(known) / len(WORDS):.1%})"
    assert f"the {part} starts from {file}: vectors of 16 numbers for {count}" in printed
    assert "of the tokens of the training sentences; the others start at random" in printed


def test_only_the_rows_of_words_in_the_file_differ(tmp_path):
    """All other weights are what they are without vectors."""
    file = write_vectors(tmp_path / "vectors.txt", ["man", "dog"])
    plain, vocabulary = start([*WORD_SETTINGS, *SIZES])
    model, _ = start([*WORD_SETTINGS, *SIZES, f"model.encoder.vectors={file}"])
    for name, weight in plain.named_parameters():
        differs = model.get_parameter(name) != weight
        if name == "encoder.embed.weight":
            rows = differs.any(1).nonzero().flatten().tolist()
            assert set(rows) == {vocabulary["man"], vocabulary["dog"]}
        else:
            assert not differs.any()


def test_a_word_without_a_vector_gets_that_of_its_lower_case_form(tmp_path, capsys):
    """The exact form counts more, and the first of equal lines."""
    texts = [text.replace("a man", "A Man") for text in SENTENCES]
    file = tmp_path / "vectors.txt"
    lines = [["man", "5"], ["a", "6"], ["A", "7"], ["A", "8"]]
    file.write_text("".join(" ".join([*line, *["0"] * 15]) + "\n" for line in lines))
    overrides = [*WORD_SETTINGS, *SIZES, f"model.encoder.vectors={file}"]
    model, vocabulary = start(overrides, texts)
    first = model.encoder.embed.weight[:, 0]
    assert [first[vocabulary[word]].item() for word in ("Man", "a", "A")] == [5, 6, 7]
    assert "1 of them in lower case" in capsys.readouterr().err


def test_tokens_that_begin_words_get_the_vectors_of_these_words(tmp_path):
    """With a byte-level BPE; pieces from within words stay as they are."""
    texts = [text.replace("hat", "né") for text in SENTENCES]
    file = write_vectors(tmp_path / "vectors.txt", ["a", "né", "e"])
    overrides = [*SIZES, f"model.encoder.vectors={file}"]
    model, vocabulary = start(overrides, texts)
    weight = model.encoder.embed.weight
    assert weight[vocabulary["Ġa"], :2].tolist() == [0, 1]
    assert weight[vocabulary["ĠnÃ©"], :2].tolist() == [1, 1]
    assert abs(weight[vocabulary["e"], 1].item()) < 0.9


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_transformers_start_from_word_vectors(tmp_path, part):
    """Their embeddings are as long as their states."""
    file = write_vectors(tmp_path / "vectors.txt", WORDS, size=12)
    sizes = {"kind": "transformer", "hidden": 12, "heads": 2, "layers": 1, "vectors": file}
    overrides = [f"model.{part}.{key}={value}" for key, value in sizes.items()]
    model, vocabulary = start([*WORD_SETTINGS, "model.conditioning=[embedding]", *overrides])
    weight = model.get_submodule(part).embed.weight
    assert weight[vocabulary[WORDS[3]], :2].tolist() == [3, 1]


def test_an_architecture_with_other_embeddings_is_refused(tmp_path):
    """Those of ALBERT are shorter than its states."""
    file = write_vectors(tmp_path / "vectors.txt", WORDS, size=12)
    sizes = {"kind": "transformer", "architecture": "albert", "hidden": 12, "heads": 2}
    overrides = [f"model.encoder.{key}={value}" for key, value in sizes.items()]
    with pytest.raises(ConfigError, match="the embeddings of this architecture have 128"):
        start([*WORD_SETTINGS, *overrides, f"model.encoder.vectors={file}"])


def test_a_run_from_word_vectors_does_not_need_the_file_later(tmp_path, capsys):
    """The vectors are ordinary weights: the run is loaded, and others start from it."""
    file = tmp_path / "vectors.txt"
    train_from(tmp_path / "first", write_vectors(file, WORDS))
    assert "the encoder starts from" in capsys.readouterr().err
    file.unlink()
    train_tiny(tmp_path / "second", init=tmp_path / "first")
    config = json.loads((tmp_path / "first" / "config.json").read_text())
    assert "vectors" not in config["encoder_settings"]


REFUSED = {
    "another size": (["model.encoder.embedding=300"], "set model.encoder.embedding=16"),
    "the default size": (["model.decoder.vectors={}"], "set model.decoder.embedding=16"),
    "a transformer": (
        ["model.encoder.kind=transformer", "model.encoder.heads=6", "model.encoder.hidden=12"],
        "set model.encoder.hidden=16 model.encoder.heads=4",
    ),
    "a language model": (
        ["objective.kind=language_model", "model.encoder.embedding=16"],
        "a language model has no encoder; set model.decoder.vectors",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_vectors_that_do_not_fit_are_refused_with_the_setting_that_fits(tmp_path, case):
    """Before the corpus is read."""
    file = write_vectors(tmp_path / "vectors.txt", WORDS)
    overrides, message = REFUSED[case]
    if not any("decoder" in override for override in overrides):
        overrides = [f"model.encoder.vectors={file}", *overrides]
    settings = read_settings(None, [override.format(file) for override in overrides])
    with pytest.raises(ConfigError, match=message):
        open_vectors(settings)


def test_a_run_from_vectors_that_cannot_be_used_leaves_nothing_behind(tmp_path):
    """No word of the corpus is in the file, a line is malformed, or there is no file."""
    foreign = write_vectors(tmp_path / "foreign.txt", ["ein", "Mann"])
    with pytest.raises(ConfigError, match="has no word of the vocabulary"):
        train_from(tmp_path / "run", foreign)
    malformed = tmp_path / "malformed.txt"
    malformed.write_text("man " + "1 " * 16 + "\ndog 1 2\n")
    with pytest.raises(DataError, match="line 2: expected a word and 16 numbers"):
        train_from(tmp_path / "run", str(malformed))
    with pytest.raises(DataError, match="there is no such file of word vectors"):
        train_from(tmp_path / "run", str(tmp_path / "absent.vec"))
    assert not (tmp_path / "run").exists()


def test_other_parts_have_no_vectors():
    """A pretrained encoder has embeddings of its own."""
    with pytest.raises(ConfigError, match=r"model\.encoder\.vectors is not a setting"):
        read_settings(None, ["model.encoder.kind=pretrained", "model.encoder.vectors=a.txt"])


def test_the_decoder_of_an_autoencoder_start_begins_with_the_vectors_again(tmp_path, monkeypatch):
    """Its other weights are fresh."""
    file = write_vectors(tmp_path / "vectors.txt", WORDS, first=3.0)
    seen = []

    def restart(model, *arguments):
        decoder_restart.restart_decoder(model, *arguments)
        seen.append(model.decoder.embed.weight.detach().clone())

    monkeypatch.setattr("textvae.training.callbacks.restart_decoder", restart)
    run = train_tiny(
        tmp_path / "run",
        SENTENCES,
        tokenizer={"kind": "word", "min_frequency": 1},
        model={"latent_dim": 4, "encoder": SMALL, "decoder": {**SMALL, "vectors": file}},
        objective={
            "techniques": {"autoencoder_start": {}, "target_kl": "off", "unit_floor": "off"}
        },
    )
    vocabulary = run.tokenizer.get_vocab()
    (weight,) = seen
    for place, word in enumerate(WORDS):
        assert weight[vocabulary[word]].tolist() == [place, *[3] * 15]
