"""Exporting: the folder appears whole or not at all, and what cannot be exported is named."""

import os
import re
import subprocess
import sys

import pytest

from tests.tiny import tiny_model, tiny_tokenizer, tiny_vae
from textvae.cli.main import main
from textvae.errors import ConfigError, OutputError
from textvae.export import export as export_module
from textvae.export.runner import Runner
from textvae.runtime import extras
from textvae.vae import TextVAE


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_the_verb_writes_a_folder_that_works(tiny_run, tmp_path, capsys):
    """From a run, in 8 bits; the output names the next command."""
    folder = tmp_path / "exported"
    assert main(["export", str(tiny_run), "--int8", "--output", str(folder)]) == 0
    assert "textvae_runner.py generate" in capsys.readouterr().out
    assert len(Runner(folder).generate(2, seed=0)) == 2


def test_an_export_is_replaced_only_if_asked(exported, vae, tmp_path):
    """And only if nothing else is in the folder."""
    folder = tmp_path / "exported"
    vae.export(folder, format="page")
    before = names(folder)
    with pytest.raises(OutputError, match="--overwrite"):
        vae.export(folder)
    assert names(folder) == before
    vae.export(folder, overwrite=True)
    assert names(folder) == names(exported)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        vae.export(folder, overwrite=True)


def test_an_export_whose_runner_was_used_can_be_replaced(exported, vae, tmp_path):
    """Python compiles the runner when it is imported; the new export has no trace of that."""
    folder = tmp_path / "exported"
    vae.export(folder)
    environment = {name: value for name, value in os.environ.items() if "BYTECODE" not in name}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    code = "from textvae_runner import Runner; Runner()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
    assert "__pycache__" in names(folder)
    vae.export(folder, overwrite=True)
    assert names(folder) == names(exported)


@pytest.mark.parametrize(
    "case", ["another file", "a folder in it", "a link in it", "a link", "a file"]
)
def test_a_cache_that_holds_something_else_is_not_removed(vae, tmp_path, case):
    """The message names what is in the way."""
    folder = tmp_path / "exported"
    vae.export(folder)
    cache = folder / "__pycache__"
    compiled = cache / "textvae_runner.cpython-311.pyc"
    if case == "a file":
        cache.write_text("mine")
    elif case == "a link":
        (tmp_path / "mine").mkdir()
        cache.symlink_to(tmp_path / "mine")
    else:
        cache.mkdir()
    if case == "another file":
        compiled.write_text("compiled")
        (cache / "mine.cpython-311.pyc").write_text("mine")
    elif case == "a folder in it":
        compiled.mkdir()
    elif case == "a link in it":
        compiled.symlink_to(tmp_path)
    with pytest.raises(OutputError, match=r"holds __pycache__.*, which no export wrote"):
        vae.export(folder, overwrite=True)
    assert "__pycache__" in names(folder)


def test_no_other_folder_is_replaced(vae, tmp_path):
    """A run, a file, a folder with something else."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tokenizer.json").write_text("{}")
    with pytest.raises(OutputError, match=r"tokenizer\.json, which no export wrote"):
        vae.export(tmp_path / "other", overwrite=True)
    with pytest.raises(OutputError, match="not a folder"):
        vae.export(tmp_path / "other" / "tokenizer.json")


def test_a_failure_leaves_nothing_behind(vae, tmp_path, monkeypatch):
    """As when the disk is full while the last files are copied."""

    def fail(*arguments):
        raise OSError("no space")

    monkeypatch.setattr(export_module, "_copy_programs", fail)
    with pytest.raises(OutputError, match=r"exported: cannot be written \(no space\)"):
        vae.export(tmp_path / "new" / "exported")
    assert names(tmp_path) == []


def test_a_missing_package_is_named_before_the_run_is_loaded(tmp_path, monkeypatch, capsys):
    """The message has the command that installs it."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert main(["export", "gone", "--output", str(tmp_path / "x")]) == 2
    assert "pip install 'textvae[export]'" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_a_conditional_model_needs_a_label(tmp_path):
    """With a view for one label, it is exported with that label."""
    conditional = tiny_vae(labels={"sad": 1, "glad": 2})
    with pytest.raises(ConfigError, match="--label NAME"):
        conditional.export(tmp_path / "x")
    conditional.with_label("glad").export(tmp_path / "x")
    assert Runner(tmp_path / "x").record["label"] == "glad"


def test_a_language_model_is_refused(tmp_path):
    """It has no latent."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(latent=0, vocab=len(tokenizer), conditioning=[])
    with pytest.raises(ConfigError, match="language model"):
        TextVAE(model, tokenizer).export(tmp_path / "x")


def test_a_page_of_a_transformer_is_refused(tmp_path):
    """The message says which format does it."""
    with pytest.raises(ConfigError, match="onnxruntime-web"):
        tiny_vae("gpt2").export(tmp_path / "x", format="page")
    assert names(tmp_path) == []


def test_decoding_defaults_that_no_runner_has_are_noted(vae, tmp_path, monkeypatch):
    """Those that runners have are exported."""
    monkeypatch.setattr(vae.model.generation_config, "num_beams", 4)
    monkeypatch.setattr(vae.model.generation_config, "temperature", 0.5)
    record = vae.export(tmp_path / "x")
    assert record["notes"] == ["num_beams = 4 of generation_config.json is not exported"]
    assert Runner(tmp_path / "x").record["decoding"]["temperature"] == 0.5


def test_a_place_that_cannot_be_written_is_refused(vae, tmp_path):
    """The message names the folder, and not the temporary one beside it."""
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputError, match=rf"{re.escape(str(file / 'x'))}: cannot be written"):
        vae.export(file / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("option", [{"format": "gguf"}, {"int8": "some"}, {"overwrite": 3}])
def test_a_wrong_option_is_refused(vae, tmp_path, option):
    """The message names it."""
    with pytest.raises(ConfigError, match=next(iter(option))):
        vae.export(tmp_path / "x", **option)
