"""Runs that start from word vectors: which weights they set, what is printed, what is refused."""

import json

import pytest
import torch

from tests.tiny_run import SENTENCES, SMALL, train_tiny
from textvae.errors import ConfigError, DataError
from textvae.inference.checkpoint import load_bundle
from textvae.settings.reading import read_settings
from textvae.training.word_vectors import open_vectors
from textvae.vae import TextVAE

WORDS = sorted({word for text in SENTENCES for word in text.split()})
WORD_LEVEL = {"kind": "word", "min_frequency": 1}


def write_vectors(file, words, size=16, first=1.0):
    """Write vectors whose first number is the place of the word, and whose others are `first`."""
    lines = [
        " ".join([word, str(place), *[str(first)] * (size - 1)]) for place, word in enumerate(words)
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def train_from(folder, vectors, part="encoder", tokenizer=WORD_LEVEL, **more):
    """Train for no step that matters, from word vectors; return the initial model."""
    model = {part: {**SMALL, "vectors": vectors, **more}}
    other = {"encoder": "decoder", "decoder": "encoder"}[part]
    model = {"latent_dim": 4, other: SMALL, **model}
    train_tiny(
        folder, SENTENCES, tokenizer=tokenizer, model=model, training={"learning_rate": 1e-9}
    )
    return TextVAE.from_pretrained(folder, device="cpu")


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_words_of_the_file_get_their_vectors(tmp_path, capsys, part):
    """The shares of words and of tokens are printed; the file is not needed later."""
    file = tmp_path / "vectors.txt"
    known = [word for word in WORDS if word != "dog"]
    vae = train_from(tmp_path / "run", write_vectors(file, known), part)
    printed = capsys.readouterr().err
    assert f"the {part} starts from {file}: vectors of 16 numbers for {len(known)} of" in printed
    assert "of the tokens of the training sentences; the others start at random" in printed
    file.unlink()
    vae = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    weight = vae.model.get_submodule(part).embed.weight
    vocabulary = vae.tokenizer.get_vocab()
    for place, word in enumerate(known):
        expected = torch.tensor([float(place), *[1.0] * 15])
        torch.testing.assert_close(weight[vocabulary[word]], expected, atol=1e-4, rtol=0)
    assert weight[vocabulary["dog"]].abs().max() < 0.9
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "vectors" not in config[f"{part}_settings"]


def test_without_vectors_a_run_has_the_weights_it_always_had(tmp_path):
    """And with them, only the rows of the file's words differ."""
    file = write_vectors(tmp_path / "vectors.txt", ["man", "dog"])
    with_vectors = train_from(tmp_path / "with", file)
    without = train_from(tmp_path / "without", None)
    changed = []
    for (name, mine), other in zip(
        with_vectors.model.named_parameters(), without.model.parameters(), strict=True
    ):
        if not torch.allclose(mine, other, atol=1e-5):
            changed.append(name)
    assert changed == ["encoder.embed.weight"]
    vocabulary = without.tokenizer.get_vocab()
    differs = (
        (with_vectors.model.encoder.embed.weight - without.model.encoder.embed.weight).abs() > 1e-4
    ).any(1)
    assert set(differs.nonzero().flatten().tolist()) == {vocabulary["man"], vocabulary["dog"]}


def test_a_word_without_a_vector_gets_that_of_its_lower_case_form(tmp_path, capsys):
    """The exact form counts more, and the first of equal lines."""
    texts = [text.replace("a man", "A Man") for text in SENTENCES]
    file = tmp_path / "vectors.txt"
    size = ["0"] * 15
    lines = [["man", "5"], ["a", "6"], ["A", "7"], ["A", "8"]]
    file.write_text("".join(" ".join([*line, *size]) + "\n" for line in lines))
    model = {"latent_dim": 4, "decoder": SMALL, "encoder": {**SMALL, "vectors": str(file)}}
    vae = train_tiny(
        tmp_path / "run", texts, tokenizer=WORD_LEVEL, model=model, training={"learning_rate": 1e-9}
    )
    vocabulary = vae.tokenizer.get_vocab()
    first = vae.model.encoder.embed.weight[:, 0]
    assert [round(first[vocabulary[word]].item()) for word in ("Man", "a", "A")] == [5, 6, 7]
    assert "1 of them in lower case" in capsys.readouterr().err


def test_tokens_that_begin_words_get_the_vectors_of_these_words(tmp_path):
    """With a byte-level BPE; pieces from within words stay as they are."""
    texts = [text.replace("hat", "chapeau né") for text in SENTENCES]
    file = write_vectors(tmp_path / "vectors.txt", ["a", "né", "e"])
    model = {"latent_dim": 4, "decoder": SMALL, "encoder": {**SMALL, "vectors": file}}
    vae = train_tiny(tmp_path / "run", texts, model=model, training={"learning_rate": 1e-9})
    vocabulary = vae.tokenizer.get_vocab()
    weight = vae.model.encoder.embed.weight
    assert weight[vocabulary["Ġa"], 1].item() == pytest.approx(1, abs=1e-4)
    assert weight[vocabulary["Ġné".replace("é", "Ã©")], 0].item() == pytest.approx(1, abs=1e-4)
    assert abs(weight[vocabulary["e"], 1].item()) < 0.9


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_transformers_start_from_word_vectors(tmp_path, part):
    """Their embeddings are as long as their states."""
    file = write_vectors(tmp_path / "vectors.txt", WORDS, size=12)
    other = "decoder" if part == "encoder" else "encoder"
    sizes = {"kind": "transformer", "hidden": 12, "layers": 1, "heads": 2, "positions": 140}
    model = {"latent_dim": 4, other: SMALL, part: {**sizes, "vectors": file}}
    if part == "decoder":
        model["conditioning"] = ["embedding"]
    vae = train_tiny(
        tmp_path / "run", tokenizer=WORD_LEVEL, model=model, training={"learning_rate": 1e-9}
    )
    weight = vae.model.get_submodule(part).embed.weight
    row = vae.tokenizer.get_vocab()[WORDS[3]]
    assert weight[row, :2].tolist() == pytest.approx([3, 1], abs=1e-3)


def test_a_run_can_continue_although_the_file_is_gone(tmp_path):
    """Its weights are in the run to start from."""
    file = tmp_path / "vectors.txt"
    train_from(tmp_path / "first", write_vectors(file, WORDS))
    file.unlink()
    train_tiny(tmp_path / "second", init=tmp_path / "first")
    assert load_bundle(tmp_path / "second", "cpu").model.config.vocab_size


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
