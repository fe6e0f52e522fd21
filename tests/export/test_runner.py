"""The Python runner: the same texts as textvae, without torch."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, draws
from textvae.export.runner import Decoding, Runner, RunnerError, _main
from textvae.uses.latent_proposals import _log_likelihood_of_prefix
from textvae.uses.options import DecodingOptions


@pytest.fixture(scope="session")
def runner(exported):
    return Runner(exported)


def test_the_runner_encodes_as_the_model_does(runner, vae):
    """Batches of unequal lengths; a blank text is NaN."""
    texts = [*SENTENCES, " "]
    np.testing.assert_allclose(runner.encode(texts), vae.encode(texts), atol=1e-5)


def test_white_space_is_folded_as_in_training(runner, vae):
    """Line breaks and repeated spaces do not change how a text is encoded."""
    spaced = [text.replace(" ", " \n ") + " " for text in SENTENCES]
    np.testing.assert_array_equal(runner.encode(spaced), runner.encode(SENTENCES))
    np.testing.assert_array_equal(vae.encode(spaced), vae.encode(SENTENCES))


def test_greedy_texts_are_those_of_the_model(runner, vae):
    """Reconstructions, decoded latents, and the texts on the way from one sentence to another."""
    z = np.random.default_rng(0).standard_normal((70, 4)).astype(np.float32)
    assert runner.decode(z) == vae.decode(z)
    assert runner.reconstruct([*SENTENCES, ""]) == vae.reconstruct([*SENTENCES, ""])
    assert runner.interpolate(*SENTENCES[:2], steps=5) == vae.interpolate(*SENTENCES[:2], steps=5)


def test_a_seed_gives_the_same_texts_again(runner):
    """Another seed gives others, and so does no seed."""
    first = runner.generate(5, seed=1)
    assert first == runner.generate(5, seed=1)
    assert first != runner.generate(5, seed=2)
    assert runner.generate(5) != runner.generate(5)


def test_sampling_from_one_token_is_greedy(runner):
    """With top_k = 1, a tiny top_p, or a tiny temperature."""
    z = runner.encode(SENTENCES)
    greedy = runner.decode(z)
    for options in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-4}):
        assert runner.decode(z, seed=0, **options) == greedy
    assert runner.decode(z, temperature=1.0, seed=0) != greedy


def test_completions_begin_with_the_prefix(runner):
    """White space of the prefix is cleaned, and an empty prefix is allowed."""
    texts = runner.complete(" two  old ", 4, seed=0)
    assert len(texts) == 4
    assert all(text.startswith("two old") for text in texts)
    assert len(runner.complete("", 2, seed=0)) == 2


def test_the_score_of_a_prefix_is_that_of_the_model(runner, vae):
    """It is log p(prefix | z), from which the importance weights are made."""
    z = draws(3, 4)
    ids = runner._tokenize("two old men")
    with torch.no_grad():
        expected = _log_likelihood_of_prefix(vae.bundle, "two old men", z)
    np.testing.assert_allclose(runner._score_prefix(ids, z.numpy()), expected, rtol=1e-4)


def test_the_runner_imports_neither_torch_nor_transformers(exported):
    """As the file in the exported folder, which does not import textvae either."""
    code = (
        "import sys; from textvae_runner import Runner; print(Runner().generate(1, seed=0)); "
        "print(sorted({'torch', 'transformers', 'textvae'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_command_line_of_the_runner(runner, exported, capsys):
    """One text per line; wrong input has exit code 2."""
    assert _main(["generate", "-n", "2", "--seed", "0", "--folder", str(exported)]) == 0
    assert _main(["interpolate", *SENTENCES[:2], "-n", "3", "--folder", str(exported)]) == 0
    texts = [*runner.generate(2, seed=0), *runner.interpolate(*SENTENCES[:2], steps=3)]
    assert capsys.readouterr().out == "".join(f"{text}\n" for text in texts)
    with pytest.raises(SystemExit, match="2"):
        _main(["reconstruct", SENTENCES[0], "-n", "3", "--folder", str(exported)])
    assert "-n has no effect" in capsys.readouterr().err
    assert _main(["generate", "--temperature", "-1", "--folder", str(exported)]) == 2
    assert "temperature" in capsys.readouterr().err


VERBS = {
    "generate": [],
    "complete": ["a man"],
    "reconstruct": ["two men", "- a dog"],
    "interpolate": ["a man", "two men"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_options_may_be_anywhere_on_the_command_line(exported, capsys, verb):
    """Before the verb, between it and its texts, between the texts, and after them."""
    folder = ["--folder", str(exported)]
    options = ["--top-k", "1"] if verb in ("reconstruct", "interpolate") else ["-n", "2"]
    options += ["--seed", "1"]
    texts = VERBS[verb]
    lines = [
        [verb, *texts, *options, *folder],
        [verb, *options, *folder, *texts],
        [*options, verb, *folder, *texts],
        [verb, *texts[:1], *options, *texts[1:], *folder],
        [verb, *options, *folder, "--", *texts],
    ]
    printed = []
    for line in lines:
        assert _main(line) == 0
        printed.append(capsys.readouterr())
    assert printed[0].out
    assert set(printed) == {printed[0]}
    assert printed[0].err == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda runner: runner.decode([[1, 2]]), "latent size"),
        (lambda runner: runner.decode([float("nan")] * 4), "not finite"),
        (lambda runner: runner.generate(0), "n = 0"),
        (lambda runner: runner.generate(1, top_p=2), "top_p"),
        (lambda runner: runner.generate(1, beams=2), "no option 'beams'"),
        (lambda runner: runner.interpolate("a", " "), "blank"),
        (lambda runner: runner.complete("two old men play chess " * 9), "shorten"),
        (lambda runner: Runner("gone"), "textvae export"),
        (lambda runner: type(runner)(threads="x"), "threads = 'x': expected a whole number"),
        (lambda runner: runner.decode([["a"] * 4]), "z is a list that is not an array of numbers"),
        (lambda runner: runner.decode([["1"] * 4]), "z is a list"),
        (lambda runner: runner.decode([[1], [1, 2]]), "z is a list"),
        (lambda runner: runner.decode(None), "z is a NoneType"),
        (lambda runner: runner.decode([1e300] * 4), "not finite"),
        (lambda runner: runner.encode([3]), r"texts\[0\] = 3: expected a text"),
        (lambda runner: runner.encode(["a", None]), r"texts\[1\] = None"),
        (lambda runner: runner.encode(3), "texts = 3: expected a text or a list of texts"),
        (lambda runner: runner.encode(b"a"), "texts = b'a'"),
        (lambda runner: runner.reconstruct("\ud800"), "half of a surrogate pair"),
        (lambda runner: runner.complete(3), "prefix = 3: expected a text"),
        (lambda runner: runner.interpolate("a", 3), "second = 3: expected a text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_refused(runner, call, message):
    """The message says what was expected."""
    with pytest.raises(RunnerError, match=message):
        call(runner)


WRONG_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a negative seed": ({"seed": -1}, "seed = -1: expected a whole number, 0 or more"),
    "a seed in words": ({"seed": "x"}, "seed = 'x'"),
    "half a seed": ({"seed": 1.5}, r"seed = 1\.5"),
    "a temperature in words": ({"temperature": "x"}, "temperature = 'x': expected a number"),
    "no temperature": ({"temperature": None}, "temperature = None"),
    "a temperature of 0": ({"temperature": 0}, "temperature = 0: expected a number from 1e-06"),
    "a tiny temperature": ({"temperature": 1e-46}, "temperature = 1e-46"),
    "an infinite temperature": ({"temperature": float("inf")}, "temperature = inf"),
    "a huge temperature": ({"temperature": 10**400}, "temperature = 1000"),
    "NaN": ({"top_p": float("nan")}, "top_p = nan"),
    "a top_p of 0": ({"top_p": 0.0}, r"top_p = 0\.0: expected a number above 0 and up to 1"),
    "a truth value": ({"top_p": True}, "top_p = True"),
    "half a token": ({"top_k": 2.7}, r"top_k = 2\.7: expected a whole number, 0 or more"),
    "a negative top_k": ({"top_k": -1}, "top_k = -1"),
    "words": ({"do_sample": "no"}, "do_sample = 'no': expected True or False"),
    "a number": ({"do_sample": 0}, "do_sample = 0"),
    "no effect": (
        {"do_sample": False, "temperature": 0.5},
        r"temperature = 0\.5 has no effect with do_sample = False",
    ),
    "no effect of top_k": ({"do_sample": False, "top_k": 0}, "top_k = 0 has no effect"),
}


@pytest.mark.parametrize("case", WRONG_OPTIONS)
def test_an_option_that_would_be_misread_is_refused(runner, case):
    """Whatever the method; the message says what was expected."""
    options, message = WRONG_OPTIONS[case]
    calls = [
        lambda: runner.generate(1, **options),
        lambda: runner.complete("a", 1, **options),
        lambda: runner.decode([0.0] * 4, **options),
    ]
    for call in calls:
        with pytest.raises(RunnerError, match=message):
            call()


def test_numbers_of_numpy_are_numbers(runner):
    """As options, as a number of texts, and as a truth value."""
    options: Any = {"seed": np.int64(1), "top_k": np.int32(3), "temperature": np.float32(0.5)}
    expected = runner.generate(2, seed=1, top_k=3, temperature=0.5)
    assert runner.generate(np.int64(2), **options, do_sample=np.bool_(True)) == expected


def test_a_wrong_option_of_the_command_line_has_exit_code_2(exported, capsys):
    """One line says what was expected."""
    assert _main(["generate", "--seed", "-1", "--folder", str(exported)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_options_have_the_names_of_the_library():
    """All of them are options of textvae as well."""
    assert set(Decoding.__annotations__) <= set(DecodingOptions.__annotations__)
