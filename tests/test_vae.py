"""The facade's verbs that need the run behind the model."""

import shutil

import pytest

from tests.tiny import tiny_vae
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


@pytest.mark.parametrize("verb", ["evaluate", "doctor"])
def test_a_model_without_a_run_says_what_it_lacks(verb):
    """Its corpus is in the run folder."""
    with pytest.raises(ConfigError, match=f"{verb} needs the corpus of a run"):
        getattr(tiny_vae(), verb)()
