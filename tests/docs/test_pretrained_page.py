"""The page about pretrained parts: its commands and its example work, with tiny bases."""

from tests.pages import ROOT, commands, examples, furnish, on_a_small_scale
from textvae.cli.main import main
from textvae.settings.presets import PRESETS, read_preset
from textvae.settings.reading import read_settings

PAGE = ROOT / "docs" / "pretrained.md"


def test_the_commands_and_then_the_example_run(tmp_path, tiny_run, monkeypatch):
    """The example uses the run that the commands train."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    for command in commands(PAGE):
        assert main(on_a_small_scale(command)) == 0, command
    for example in examples(PAGE):
        exec(example, {})
    assert (tmp_path / "mine-merged" / "model.safetensors").is_file()


def test_every_preset_is_valid():
    """A preset has no setting that the package refuses."""
    for name in PRESETS:
        settings = read_settings(base=read_preset(name))
        assert (settings.model.decoder.kind == "side_tuned") == (name == "pretrained")
