"""Which bases can encode and which can decode, before their weights are loaded."""

import pytest
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, LlamaConfig, LlamaModel

from tests.model.bases.tiny_bases import build_base, build_tokenizer
from textvae.errors import ConfigError
from textvae.model.bases.roles import check_decoder, check_encoder, check_vocabulary
from textvae.model.bases.source import find_base

HALVES = {"encoder.layer.weight": (8, 8), "decoder.layer.weight": (8, 8)}
HEAD = {"lm_head.weight": (10, 8)}
TINY_LLAMA = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "vocab_size": 10,
}


def architecture(name, **options):
    """Return a base of an architecture with the weights of both halves and of a head."""
    return build_base(CONFIG_MAPPING[name](**options), {**HALVES, **HEAD})


@pytest.mark.parametrize("name", ["bert", "modernbert", "t5", "bart", "gpt2", "qwen3", "mamba"])
def test_any_text_model_can_encode(name):
    """Decoder-only models too: many embedding models are."""
    check_encoder(architecture(name), "s")


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "gemma3_text", "t5", "bart", "mbart"])
def test_causal_and_encoder_decoder_models_can_decode(name):
    """Each has a key-value cache and an output."""
    check_decoder(architecture(name), "s")


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "deberta-v2", "distilbert"])
def test_an_encoder_only_model_cannot_decode(name):
    """The message names models that can."""
    with pytest.raises(ConfigError, match=r"sees the tokens .* for instance openai-community/gpt2"):
        check_decoder(architecture(name), "model.decoder.name")


def test_a_bert_whose_config_says_that_it_decodes_can_decode():
    """Its attention is causal then."""
    check_decoder(architecture("bert", is_decoder=True), "s")


@pytest.mark.parametrize("name", ["mamba", "mamba2", "rwkv", "openai-gpt", "xlnet"])
def test_a_model_without_a_key_value_cache_cannot_decode(name):
    """It has a state of another kind, or none."""
    with pytest.raises(ConfigError, match="keeps no key-value cache"):
        check_decoder(architecture(name), "model.decoder.name")


@pytest.mark.parametrize("check", [check_encoder, check_decoder])
@pytest.mark.parametrize("name", ["vit", "clip", "wav2vec2", "whisper", "llava", "gemma3", "vits"])
def test_a_model_of_pictures_or_sound_has_no_role(name, check):
    """Text may be only one of its inputs, or none."""
    with pytest.raises(ConfigError, match="images or sound"):
        check(architecture(name), "model.encoder.name")


@pytest.mark.parametrize(
    ("half", "check"), [("encoder", check_decoder), ("decoder", check_encoder)]
)
def test_half_an_encoder_decoder_model_has_only_its_own_role(half, check):
    """Sentence encoders made of T5 are saved without its decoder."""
    base = build_base(CONFIG_MAPPING["t5"](), {f"{half}.layer.weight": (8, 8)})
    with pytest.raises(ConfigError, match="has no weights of its"):
        check(base, "s")


def test_a_causal_model_saved_without_its_output_cannot_decode(tmp_path):
    """Transformers would draw the missing weights at random."""
    LlamaModel(LlamaConfig(**TINY_LLAMA)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"no output weights \(lm_head\).*LlamaModel"):
        check_decoder(find_base(str(tmp_path), "s"), "model.decoder.name")


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "opt"])
def test_a_causal_model_saved_with_its_output_can_decode(tmp_path, name):
    """Its output differs from its embedding."""
    config = CONFIG_MAPPING[name](**TINY_LLAMA, tie_word_embeddings=False)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    check_decoder(find_base(str(tmp_path), "s"), "s")


def test_a_model_whose_output_is_its_embedding_can_decode(gpt2):
    """The files hold the embedding only."""
    base = find_base(str(gpt2), "s")
    assert not any("lm_head" in name for name in base.shapes)
    check_decoder(base, "s")


def test_a_tokenizer_with_more_tokens_than_rows_is_refused():
    """The message has the largest id and the number of rows."""
    base = build_base(LlamaConfig(**{**TINY_LLAMA, "vocab_size": 5}))
    with pytest.raises(ConfigError, match=r"ids up to 5, but its embedding has 5 rows"):
        check_vocabulary(base, build_tokenizer(), "model.decoder.name")


def test_an_added_token_counts(tmp_path):
    """A tokenizer may have been extended without the model."""
    tokenizer = build_tokenizer()
    base = build_base(LlamaConfig(**{**TINY_LLAMA, "vocab_size": len(tokenizer)}))
    check_vocabulary(base, tokenizer, "s")
    tokenizer.add_tokens(["new"])
    with pytest.raises(ConfigError, match="belongs to another model"):
        check_vocabulary(base, tokenizer, "s")


def test_an_embedding_may_have_spare_rows():
    """Many are padded to a round number."""
    check_vocabulary(build_base(LlamaConfig(**TINY_LLAMA)), build_tokenizer(), "s")
