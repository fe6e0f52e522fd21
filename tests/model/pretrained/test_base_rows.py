"""A model keeps the embeddings of the tokens that its base lacks, and no others."""

import pytest
import torch
from safetensors.torch import load_file

from tests.model.pretrained.test_contract import build
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel

# Families with and without output weights of their own, and one that attends to an encoder.
FAMILIES = ("llama", "gpt2", "gpt_neox", "t5")


def get_tables(model):
    """Return the weights that have a row for each token."""
    return [model.decoder.embed.weight, model.decoder.output_weight]


@pytest.mark.parametrize("trim", [False, "auto"], ids=["all tokens", "trimmed"])
@pytest.mark.parametrize("train", ["lora", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_loaded_model_has_the_same_embeddings_bit_by_bit(bases, tmp_path, family, train, trim):
    """The rows of the base are read from it, and those of new tokens from the run."""
    bundle = build(bases, decoder=family, conditioning=["output"], train=train, trim=trim)
    new = bundle.model.decoder.language_model.record.new_tokens
    assert new == 2  # the base has one token for start and end, and none for padding
    save_bundle(bundle, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    vocab = len(bundle.tokenizer)
    assert not [
        name for name, value in saved.items() if value.shape[:1] == (vocab,) and value.ndim > 1
    ]
    for before, after in zip(
        get_tables(bundle.model), get_tables(load_bundle(tmp_path, "cpu").model), strict=True
    ):
        assert torch.equal(before, after)


def test_the_rows_of_new_tokens_come_from_the_run_alone(bases, tmp_path):
    """They are kept as they are, also if they differ from the row that they started from."""
    bundle = build(bases, decoder="llama", conditioning=["output"], trim=False)
    model = bundle.model.decoder.language_model
    rows = [model.rows.get_buffer(name) for name in ("new_rows_0", "new_rows_1")]
    with torch.no_grad():
        for table, new in zip(get_tables(bundle.model), rows, strict=True):
            table[-len(new) :] = torch.randn_like(new)
            new.copy_(table[-len(new) :])
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, "cpu").model
    for before, after in zip(get_tables(bundle.model), get_tables(loaded), strict=True):
        assert torch.equal(before, after)


def test_an_embedding_that_is_trained_is_saved_as_a_whole(bases, tmp_path):
    """Any row may have changed."""
    bundle = build(bases, decoder="llama", conditioning=["output"], train="all", trim=False)
    with torch.no_grad():
        bundle.model.decoder.embed.weight.add_(1)
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, "cpu").model
    assert torch.equal(loaded.decoder.embed.weight, bundle.model.decoder.embed.weight)
    assert not [name for name in load_file(tmp_path / "model.safetensors") if ".rows." in name]


def test_a_model_of_an_earlier_release_has_all_of_its_embeddings(bases, tmp_path):
    """Its record does not say how many of its tokens are new."""
    bundle = build(bases, decoder="llama", conditioning=["output"], trim=False)
    config = bundle.model.config.to_dict()
    config["decoder_settings"]["base"]["new_tokens"] = None
    old = TextVAEModel(TextVAEConfig(**config))
    weights = bundle.model.state_dict()
    old.load_state_dict({name: weights[name] for name in old.state_dict()})
    with torch.no_grad():
        for table in get_tables(old):
            table.add_(1)
    old.generation_config.update(max_new_tokens=12)
    save_bundle(Bundle(old, bundle.tokenizer, bundle.encoder_tokenizer), tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert "decoder.language_model.output.weight" in saved
    loaded = load_bundle(tmp_path, "cpu").model
    for before, after in zip(get_tables(old), get_tables(loaded), strict=True):
        assert torch.equal(before, after)


def test_a_merged_model_keeps_all_embeddings(bases, tmp_path):
    """It needs no base to load."""
    bundle = build(bases, decoder="llama", conditioning=["output"], trim=False)
    bundle.model.save_pretrained(tmp_path, merge=True)
    saved = load_file(tmp_path / "model.safetensors")
    assert not [name for name in saved if ".rows." in name]
    assert torch.equal(
        saved["decoder.language_model.output.weight"], bundle.model.decoder.output_weight
    )
