"""A model is saved with the records of its run, but without its corpus."""

import shutil

import pytest

from textvae.errors import OutputError
from textvae.vae import TextVAE


def test_a_saved_copy_writes_the_same_text_and_keeps_its_records(tiny_run, tmp_path):
    """The copy has the model, the tokenizer, the model card and the settings."""
    vae = TextVAE.from_pretrained(tiny_run)
    vae.save_pretrained(tmp_path / "copy")
    assert {"README.md", "settings.yaml", "model.safetensors"} <= {
        path.name for path in (tmp_path / "copy").iterdir()
    }
    assert TextVAE.from_pretrained(tmp_path / "copy").generate(3, seed=5) == vae.generate(3, seed=5)


def test_saving_over_another_run_is_refused(tiny_run, tmp_path):
    """Otherwise its corpus, splits and measures would seem to belong to this model."""
    other = shutil.copytree(tiny_run, tmp_path / "other")
    before = (other / "model.safetensors").stat().st_ino
    with pytest.raises(OutputError, match="holds another run, with its corpus"):
        TextVAE.from_pretrained(tiny_run).save_pretrained(other)
    assert (other / "model.safetensors").stat().st_ino == before


def test_saving_over_a_copy_leaves_none_of_its_records(tiny_run, tmp_path):
    """The measures of the replaced model must not seem to belong to the new one."""
    vae = TextVAE.from_pretrained(tiny_run)
    copy = tmp_path / "copy"
    vae.save_pretrained(copy)
    (copy / "model_summary.json").write_text("{}")
    # A model that was not loaded from a run has no records to copy.
    TextVAE(vae.bundle.model, vae.bundle.tokenizer).save_pretrained(copy)
    assert not {"settings.yaml", "model_summary.json"} & {path.name for path in copy.iterdir()}
    assert TextVAE.from_pretrained(copy).generate(3, seed=5) == vae.generate(3, seed=5)
