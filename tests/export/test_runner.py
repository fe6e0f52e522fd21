"""The Python runner: the same texts as textvae, without torch."""

import subprocess
import sys

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
    assert _main(["generate", "--temperature", "-1", "--folder", str(exported)]) == 2
    assert "temperature" in capsys.readouterr().err


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
    ],
    ids=["z", "nan", "n", "top_p", "option", "blank", "prefix", "folder"],
)
def test_wrong_input_is_refused(runner, call, message):
    """The message says what was expected."""
    with pytest.raises(RunnerError, match=message):
        call(runner)


def test_the_options_have_the_names_of_the_library():
    """All of them are options of textvae as well."""
    assert set(Decoding.__annotations__) <= set(DecodingOptions.__annotations__)
