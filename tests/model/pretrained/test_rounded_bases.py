"""Decoders whose frozen weights are rounded to 8 or 4 bits, with a stand-in for bitsandbytes."""

import sys
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig

from tests.model.bases.tiny_bases import build_base
from tests.model.pretrained.families import CORPUS
from tests.model.pretrained.rounding import RoundedLinear, install_stand_in
from tests.model.pretrained.test_contract import build, decoder_batch
from textvae.data.base_tokenizers import build_decoder_tokenizer
from textvae.data.tokenization import TokenizerSettings
from textvae.errors import CheckpointError, ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.model.bases.memory import BaseUse, check_memory, estimate_memory
from textvae.model.bases.quantization import (
    build_loading_options,
    check_quantization,
    find_rounded_layers,
)
from textvae.model.building import build_model
from textvae.runtime import extras
from textvae.settings.reading import read_settings
from textvae.settings.run import ModelSettings

# Kinds of decoders: what is trained, and where z enters.
KINDS: dict[str, dict[str, Any]] = {
    "adapters": {"train": "lora"},
    "entry": {"train": "lora", "entry": 0.5},
    "frozen": {"train": "none"},
}


@pytest.fixture(params=["llama", "gpt2"])
def family(request):
    """A family with linear layers, and one with transposed ones."""
    return request.param


def build_rounded(bases, family="llama", **settings):
    """Return a bundle with a decoder of 8 bits, one of whose weights has moved."""
    bundle = build(bases, decoder=family, conditioning=["memory"], bits=8, **settings)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return bundle


@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_of_the_model_are_the_rounded_ones_of_its_base(bases, monkeypatch, family, kind):
    """All four layers are taken over, below and above the entry of z."""
    install_stand_in(monkeypatch)
    rounded = find_rounded_layers(build_rounded(bases, family, **KINDS[kind]).model)
    assert len(rounded) == {"llama": 7, "gpt2": 4}[family] * 4
    assert all(isinstance(layer, RoundedLinear) for layer in rounded.values())
    assert not any(p.requires_grad for layer in rounded.values() for p in layer.parameters())
    # In evaluation mode, bitsandbytes would change their weights in place.
    assert all(layer.training for layer in rounded.values())


@pytest.mark.parametrize("kind", KINDS)
def test_rounded_weights_are_never_saved_and_come_back(bases, monkeypatch, tmp_path, family, kind):
    """The loaded model gives the same likelihoods, from a file without a rounded tensor."""
    install_stand_in(monkeypatch)
    bundle = build_rounded(bases, family, **KINDS[kind])
    save_bundle(bundle, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert {value.dtype for value in saved.values()} <= {torch.float32, torch.int32}
    assert not [name for name in saved if ".scale" in name or "base_layer" in name]
    assert "quantization_config" not in (tmp_path / "config.json").read_text()
    loaded = load_bundle(tmp_path, "cpu")
    assert find_rounded_layers(loaded.model).keys() == find_rounded_layers(bundle.model).keys()
    z = torch.randn(len(CORPUS), 4)
    batch = decoder_batch(bundle)
    expected = bundle.model.sentence_nll(**batch, latent=z)
    assert torch.equal(loaded.model.sentence_nll(**batch, latent=z), expected)
    exact = build(bases, decoder=family, conditioning=["memory"], **KINDS[kind])
    assert not torch.allclose(exact.model.sentence_nll(**batch, latent=z), expected)


def test_gradients_pass_through_rounded_layers_to_z_and_to_adapters(bases, monkeypatch):
    """Nothing else gets one."""
    install_stand_in(monkeypatch)
    bundle = build_rounded(bases)
    z = torch.randn(len(CORPUS), 4, requires_grad=True)
    bundle.model(**decoder_batch(bundle), latent=z).loss.backward()
    assert z.grad is not None
    assert z.grad.abs().sum(1).min() > 0
    moved = {name for name, p in bundle.model.decoder.named_parameters() if p.grad is not None}
    assert moved
    assert all("lora_" in name for name in moved)


def test_a_rounded_base_whose_weights_have_changed_is_refused(bases, monkeypatch, tmp_path):
    """Its files are compared, not what rounding made of them."""
    install_stand_in(monkeypatch)
    save_bundle(build_rounded(bases), tmp_path)
    config = (tmp_path / "config.json").read_text()
    other = bases("decoder", "qwen3")
    (tmp_path / "config.json").write_text(
        config.replace(str(bases("decoder", "llama")), str(other))
    )
    with pytest.raises(CheckpointError, match="have changed since this model was trained"):
        load_bundle(tmp_path, "cpu")


def test_a_run_with_rounded_weights_needs_bitsandbytes_to_load(bases, monkeypatch, tmp_path):
    """The message says how to install it."""
    with monkeypatch.context() as patch:
        install_stand_in(patch)
        save_bundle(build_rounded(bases), tmp_path)
    monkeypatch.setattr(extras, "find_spec", lambda name: None if "bits" in name else True)
    with pytest.raises(CheckpointError, match="need bitsandbytes, which is not installed"):
        load_bundle(tmp_path, "cpu")


def test_adapters_are_not_merged_into_rounded_weights(bases, monkeypatch, tmp_path):
    """A merged folder would need weights that can be changed."""
    install_stand_in(monkeypatch)
    bundle = build_rounded(bases)
    with pytest.raises(ConfigError, match="adapters cannot be merged into rounded weights"):
        bundle.model.save_pretrained(tmp_path / "merged", merge=True)


@pytest.mark.parametrize("bits", [8, 4])
def test_transformers_is_asked_for_the_bits(bases, monkeypatch, bits):
    """The options are those of its `BitsAndBytesConfig`, on the CPU."""
    seen = install_stand_in(monkeypatch)
    build(bases, decoder="llama", conditioning=["output"], bits=bits)
    config = seen[-1]["quantization_config"]
    assert config.load_in_8bit == (bits == 8)
    assert config.load_in_4bit == (bits == 4)
    assert seen[-1]["device_map"] == {"": "cpu"}


def test_four_bits_are_normal_floats_with_rounded_scales():
    """QLoRA recommends both."""
    config = build_loading_options(4)["quantization_config"]
    assert config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("devices", "device", "words"),
    [
        ((), "cpu", "0.99 does not support the device 'cpu' on this machine, only none"),
        (("cuda",), "cpu", "does not support the device 'cpu' on this machine, only cuda"),
        (("cpu",), "cuda", "does not support the device 'cuda' on this machine, only cpu"),
    ],
)
def test_a_package_that_does_not_support_the_machine_is_refused(
    monkeypatch, devices, device, words
):
    """The message says how to upgrade it, and that the setting may be left out."""
    install_stand_in(monkeypatch, devices)
    with pytest.raises(ConfigError, match="pip install --upgrade bitsandbytes") as refusal:
        check_quantization(4, "model.decoder", device)
    assert words in str(refusal.value)


def test_a_package_that_cannot_be_imported_is_refused(monkeypatch):
    """Its native library may be missing."""
    monkeypatch.setattr(extras, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match="cannot be imported here"):
        check_quantization(8, "model.decoder")


@pytest.mark.parametrize("bits", ["2", "16", "four", "true", "8.5", "-4"])
@pytest.mark.parametrize("kind", ["pretrained", "side_tuned"])
def test_other_numbers_of_bits_are_refused(bits, kind):
    """The message has the setting and the choices."""
    with pytest.raises(ConfigError, match=r"model\.decoder\.bits") as refusal:
        read_settings(overrides=[f"model.decoder.kind={kind}", f"model.decoder.bits={bits}"])
    assert "8 or 4" in str(refusal.value)


@pytest.mark.parametrize("bits", [8, 4])
def test_rounded_weights_cannot_all_be_trained(bits):
    """The message says what can."""
    settings = ["model.decoder.kind=pretrained", "model.decoder.train=all"]
    with pytest.raises(ConfigError, match=f"model.decoder.bits = {bits} does not work with"):
        read_settings(overrides=[*settings, f"model.decoder.bits={bits}"])


def test_an_encoder_has_no_setting_for_bits():
    """Encoders are small."""
    with pytest.raises(ConfigError, match=r"model\.encoder\.bits is not a setting"):
        read_settings(overrides=["model.encoder.kind=pretrained", "model.encoder.bits=8"])


def test_rounded_matrices_need_less_memory():
    """Embeddings stay in single precision."""
    base = build_base(LlamaConfig(vocab_size=1000), {"e": (1000, 50), "layer.w": (500, 1000)})
    use: BaseUse = {"role": "decoder", "trains": "none", "dtype_bytes": 4, "batch_tokens": 0}
    assert estimate_memory(base, **use) == 4 * 550_000
    eight: BaseUse = {**use, "bits": 8}
    four: BaseUse = {**use, "bits": 4}
    assert estimate_memory(base, **eight) == 4 * 50_000 + 500_000
    assert estimate_memory(base, **four) == 4 * 50_000 + 250_000
    with pytest.raises(ConfigError, match=r"bits: 8 with train: none \(0.7 MB\)"):
        check_memory(base, "s", torch.device("cpu"), available=800_000, **use)


def test_a_side_tuned_decoder_may_be_rounded(bases, monkeypatch, tmp_path):
    """Its language model is frozen in any case."""
    install_stand_in(monkeypatch)
    folder = str(bases("decoder", "llama"))
    settings = {"kind": "side_tuned", "name": folder, "inputs": 8, "hidden": 8, "bits": 8}
    tokenizer = build_decoder_tokenizer(TokenizerSettings(kind="pretrained", path=folder), CORPUS)
    model = build_model(ModelSettings(latent_dim=4, decoder=settings), tokenizer)
    model.generation_config.update(max_new_tokens=12)
    assert find_rounded_layers(model)
    save_bundle(Bundle(model, tokenizer), tmp_path)
    assert find_rounded_layers(load_bundle(tmp_path, "cpu").model)
