"""`TextVAE` in an interactive session: its summary, its device, and the names of the package."""

from typing import Any

import pytest
import torch

import textvae
from tests.tiny import tiny_vae
from textvae.errors import ConfigError
from textvae.runtime.device import choose_device, list_devices
from textvae.vae import TextVAE


def test_the_summary_names_the_parts_the_sizes_the_device_and_the_run(vae, tmp_path):
    """It is one line, and the run is None for a model that was not loaded from one."""
    summary = repr(vae)
    kind = vae.model.config.decoder_settings["kind"]
    assert summary.startswith(f"TextVAE(encoder=lstm, decoder={kind}")
    assert f"latent_dim={vae.latent_dim}, parameters={vae.model.num_parameters():,}" in summary
    assert "device=cpu, run=None" in summary
    assert len(summary.splitlines()) == 1
    vae.save_pretrained(tmp_path)
    assert f"run={str(tmp_path)!r}" in repr(TextVAE.from_pretrained(tmp_path, "cpu"))


def test_the_summary_of_a_conditional_model_has_its_labels():
    """A view with a fixed label says which one."""
    vae = tiny_vae(labels={"one": 3, "two": 2})
    assert "labels=2, run" in repr(vae)
    assert "label='two'" in repr(vae.with_label("two"))


def test_the_summary_for_notebooks_is_escaped(lstm):
    """The name of a folder, or of a base, may hold anything."""
    vae = TextVAE(lstm.model, lstm.tokenizer, "<script>alert(1)</script>&")
    shown = vae._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert shown.startswith("<table>")
    assert shown.endswith("</table>")


def test_a_model_can_be_moved_and_says_where_it_is(lstm):
    """`to` returns the model itself, as torch's does, and the texts stay the same."""
    before = lstm.reconstruct("a man rides a red horse .")
    assert lstm.to("cpu") is lstm
    assert lstm.to(torch.device("cpu")).device == torch.device("cpu")
    assert lstm.reconstruct("a man rides a red horse .") == before


@pytest.mark.parametrize("device", ["meta", "gpu", "cuda:x", "", 3, None, b"cpu", "mps:9"])
def test_a_wrong_device_is_refused_by_its_name(lstm, device: Any):
    """The model stays where it is."""
    with pytest.raises(ConfigError, match=r"device = .*cpu"):
        lstm.to(device)
    assert lstm.device == torch.device("cpu")


def test_the_gpu_of_an_apple_computer_is_offered_where_torch_has_it(monkeypatch):
    """Elsewhere it is refused, and messages do not name it."""
    for is_built in (False, True):
        monkeypatch.setattr(torch.backends.mps, "is_built", lambda is_built=is_built: is_built)
        assert ("mps" in list_devices()) == is_built
        with pytest.raises(
            ConfigError, match=r"choose cpu, cuda or mps" if is_built else "cuda\\."
        ):
            choose_device("meta")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch finds no such GPU"):
        choose_device("mps")


def test_a_gpu_that_this_machine_does_not_have_is_refused(monkeypatch):
    """The message says how many there are."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="torch finds 2 GPUs"):
        choose_device("cuda:2")


def test_the_package_lists_its_public_names():
    """They are there before they are imported."""
    assert set(dir(textvae)) == {*textvae.PUBLIC, "__version__"}
