"""The JavaScript runner, in Node: the same ids, latents and greedy texts as in Python."""

import json
import random
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.export.test_graphs import build
from tests.tiny import SENTENCES, tiny_tokenizer
from textvae.data.cleaning import CleaningSettings, build_normalizer
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.export.runner import Runner
from textvae.vae import TextVAE

NODE = shutil.which("node") or ""
pytestmark = pytest.mark.skipif(not NODE, reason="Node is not installed")

TOKENIZERS = {
    "bpe": {"kind": "bpe"},
    "word": {"kind": "word"},
    "split": {"kind": "word", "punctuation": "split"},
    "character": {"kind": "character"},
    "byte": {"kind": "byte"},
}


def ask(folder, **request):
    """Return what the JavaScript runner in a folder answers."""
    script = str(Path(__file__).with_name("run_texts.mjs"))
    text = json.dumps({"folder": str(folder), **request})
    done = subprocess.run([NODE, script], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write_texts(count=500):
    """Return texts with words, numbers, white space, emoji and many scripts."""
    chosen = random.Random(0)
    pieces = [
        *" ".join(SENTENCES).split(),
        "don't",
        "I'm we've he'll",
        "5.00",
        "well-known",
        "a_b",
        "…",
        "Straße",
        "naïve",
        "ΟΔΟΣ",
        "русский",
        "עברית",
        "العربية",
        "हिन्दी",
        "ภาษาไทย",
        "日本語",
        "中文",
        "한국어",
        "👍",
        "👩‍👩‍👧",
        "🇩🇪",
        "e\u0301",
        "½",
        "²",
        "٣",
        "<unk>",
        "<eos>",
        "<pad>",
        "\u200d",
        "\ufeff",
        "!?",
        "'s",
    ]
    spaces = [" ", " ", " ", "  ", "", "\t", "\n", "\u00a0", "\u3000", "\u0085", "\r\n "]
    texts = []
    for _ in range(count):
        parts = [chosen.choice(pieces) + chosen.choice(spaces) for _ in range(chosen.randint(1, 8))]
        texts.append(chosen.choice(["", "", " "]) + "".join(parts))
    return [*texts, "", " ", "   "]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_tokenizer_gives_the_same_ids_and_texts(kind, tmp_path):
    """On five hundred texts, with emoji and many scripts; and on random ids."""
    texts = write_texts()
    settings = TokenizerSettings(vocab_size=400, min_frequency=1, **TOKENIZERS[kind])
    tokenizer = Tokenizer.from_str(
        build_tokenizer(settings, texts[:200]).backend_tokenizer.to_str()
    )
    tokenizer.encode_special_tokens = True
    if kind == "bpe":  # as training sets it
        cleaning = CleaningSettings(normalize="NFKC", lowercase=True)
        tokenizer.normalizer = build_normalizer(cleaning)
    for source in files("textvae.export").joinpath("web").iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    chosen = random.Random(1)
    size = tokenizer.get_vocab_size()
    rows = [[chosen.randrange(size) for _ in range(12)] for _ in range(200)]
    answers = ask(tmp_path, encode=texts, decode=rows)
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert answers["ids"] == expected
    assert answers["texts"] == [tokenizer.decode(row, skip_special_tokens=False) for row in rows]


def test_the_runner_gives_the_texts_of_the_python_runner(exported):
    """Encoding, reconstructions, interpolations; samples are the same for the same seed.

    White space is folded.
    """
    verbs: list[list[Any]] = [["encode", text] for text in SENTENCES]
    verbs += [["reconstruct", text.replace(" ", " \n ")] for text in SENTENCES]
    verbs += [["interpolate", *SENTENCES[:2], 5]]
    verbs += [["generate", 2, {"seed": seed}] for seed in (1, 1, 2)]
    verbs += [["complete", " two  old", 3, {"seed": 1}], ["generate", 2, {"top_k": 1, "seed": 3}]]
    results = ask(exported, verbs=verbs)["results"]
    runner = Runner(exported)
    count = len(SENTENCES)
    np.testing.assert_allclose(results[:count], runner.encode(SENTENCES), atol=1e-4)
    assert results[count : 2 * count] == runner.reconstruct(SENTENCES)
    assert results[2 * count] == runner.interpolate(SENTENCES[0], SENTENCES[1], steps=5)
    first, again, other, completed, _ = results[2 * count + 1 :]
    assert first == again != other
    assert all(text.startswith("two old") for text in completed)


@pytest.mark.parametrize("posterior", ["delta_gaussian", "flow"])
def test_the_runner_computes_other_recurrent_models(posterior, tmp_path):
    """A GRU with every conditioning, its recurrent weights in 8 bits, with each kind of posterior."""
    settings = {"kind": "gru", "embedding": 32, "hidden": 224, "layers": 2}
    tokenizer = tiny_tokenizer()
    conditioning = ("initial_state", "every_step", "embedding", "output")
    model = build(posterior, settings, settings, conditioning, len(tokenizer))
    model.generation_config.max_new_tokens = 8
    vae = TextVAE(model, tokenizer)
    vae.export(tmp_path / "x", int8=True)
    verbs = [["encode", SENTENCES[0]], ["decode", [0.5, -1, 2, 0.1]]]
    latent, text = ask(tmp_path / "x", verbs=verbs)["results"]
    runner = Runner(tmp_path / "x")
    np.testing.assert_allclose(latent, runner.encode(SENTENCES[0])[0], rtol=1e-3, atol=1e-3)
    assert [text] == runner.decode([0.5, -1, 2, 0.1])


def test_wrong_input_is_refused(exported):
    """The message says what was expected."""
    verbs = [
        ["decode", [1, 2]],
        ["generate", 0],
        ["generate", 1, {"top_p": 2}],
        ["generate", 1, {"beams": 2}],
        ["interpolate", "a", " "],
        ["complete", "two old men play chess " * 9],
        ["generate", 1, {"top_k": 2.7}],
        ["generate", 1, {"do_sample": "no"}],
        ["generate", 1, {"do_sample": False, "temperature": 0.5}],
        ["generate", 1, {"temperature": "0.5"}],
        ["generate", 1, {"temperature": 0}],
        ["generate", 1, {"seed": -1}],
        ["complete", "a", 1, {"seed": "x"}],
        ["generate", 1, {"seed": 2**32}],
    ]
    messages = ["z has 2 numbers", "n = 0", "top_p", "option beams", "blank", "shorten"]
    messages += ["top_k = 2.7: expected a whole number", "do_sample = no: expected true or false"]
    messages += ["temperature = 0.5 has no effect with do_sample = false"]
    messages += ["temperature = 0.5: expected a number", "temperature = 0: expected a number"]
    messages += ["seed = -1: expected a whole number", "seed = x: expected a whole number"]
    messages += ["seed = 4294967296: expected a whole number below 4294967296"]
    for result, message in zip(ask(exported, verbs=verbs)["results"], messages, strict=True):
        assert result.startswith("error: ")
        assert message in result
