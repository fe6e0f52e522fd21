"""The facade's verbs that need the run behind the model."""

import itertools
import shutil
from typing import Any, cast

import pytest
from safetensors.torch import load_file, save_file

from tests.tiny import tiny_vae
from tests.tiny_run import SENTENCES
from textvae.cli.main import main
from textvae.errors import ConfigError
from textvae.vae import TextVAE


def test_a_run_is_evaluated_and_judged_from_python(tiny_run, tmp_path):
    """The records are those of the command line; the measures are saved with the run."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    vae = TextVAE.from_pretrained(folder, device="cpu")
    assert vae.evaluate(samples=2, limit=5)["sentences"] == 5
    assert (folder / "measures.json").is_file()
    assert vae.doctor()["verdict"] in {"healthy", "weak", "collapsed"}


@pytest.mark.parametrize("verb", ["doctor", "evaluate", "generate"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_a_model_whose_weights_are_not_finite_is_refused(tiny_run, tmp_path, capsys, verb, value):
    """The message says what happened and how to go on; the exit code is that of wrong input."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    weights = load_file(folder / "model.safetensors")
    weights["posterior.mean.weight"][0] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert main([verb, str(folder), "--device", "cpu"]) == 2
    printed = capsys.readouterr()
    assert "posterior.mean.weight holds numbers that are not finite" in printed.err
    assert "training.learning_rate" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("verb", ["evaluate", "doctor"])
def test_a_model_without_a_run_says_what_it_lacks(verb):
    """Its corpus is in the run folder."""
    with pytest.raises(ConfigError, match=f"{verb} needs the corpus of a run"):
        getattr(tiny_vae(), verb)()


def test_the_sentences_of_a_split_are_those_of_the_corpus(tiny_run):
    """The three splits are disjoint, and together they are the corpus."""
    vae = TextVAE.from_pretrained(tiny_run)
    splits = [vae.read_split(split) for split in ("train", "validation", "test")]
    assert sorted(itertools.chain(*splits)) == sorted(SENTENCES)
    assert vae.read_split(limit=2) == splits[1][:2]


def test_only_splits_of_a_run_can_be_read(tiny_run):
    """A wrong name is answered with the three names; a model without a run has no splits."""
    vae = TextVAE.from_pretrained(tiny_run)
    with pytest.raises(ConfigError, match="expected train, validation, test"):
        vae.read_split(cast(Any, "dev"))
    with pytest.raises(ConfigError, match="not loaded from a folder"):
        TextVAE(vae.model, vae.tokenizer).read_split()
