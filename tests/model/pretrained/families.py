"""Tiny models of many families, with random weights, as folders that pretrained parts start from."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
)

CORPUS = [
    "a man rides a horse.",
    "two dogs are running on the beach.",
    "the woman holds a red umbrella in the rain.",
    "a plate of food on a table.",
]

_SIZES: dict[str, object] = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
_WIDE: dict[str, object] = {**_SIZES, "intermediate_size": 32, "max_position_embeddings": 128}
_T5: dict[str, object] = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 2,
}
_BART: dict[str, object] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 128,
}

# The model type of each family of decoders, and the fields of its config.
CAUSAL: dict[str, tuple[str, dict[str, object]]] = {
    "gpt2": ("gpt2", {"n_embd": 16, "n_layer": 4, "n_head": 2, "n_positions": 128}),
    "llama": ("llama", {**_WIDE, "num_key_value_heads": 1}),
    "qwen3": ("qwen3", {**_WIDE, "num_key_value_heads": 1, "head_dim": 8}),
    "gemma2": (
        "gemma2",
        {**_WIDE, "num_key_value_heads": 1, "head_dim": 8, "final_logit_softcapping": 3.0},
    ),
    "gemma3": ("gemma3_text", {**_WIDE, "num_key_value_heads": 1, "head_dim": 8}),
    "gpt_neox": ("gpt_neox", {**_WIDE, "tie_word_embeddings": False}),
    "granite": ("granite", {**_WIDE, "num_key_value_heads": 1, "logits_scaling": 4.0}),
    "bloom": ("bloom", {"hidden_size": 16, "n_layer": 4, "n_head": 2}),
    "cohere": ("cohere", {**_WIDE, "num_key_value_heads": 1, "logit_scale": 0.25}),
}
SEQ2SEQ: dict[str, tuple[str, dict[str, object]]] = {"t5": ("t5", _T5), "bart": ("bart", _BART)}
ENCODERS: dict[str, tuple[str, dict[str, object]]] = {
    "bert": ("bert", _WIDE),
    "roberta": ("roberta", _WIDE),
    "mpnet": ("mpnet", _WIDE),
    "modernbert": ("modernbert", {**_WIDE, "num_hidden_layers": 2}),
    "t5": ("t5", _T5),
    "bart": ("bart", _BART),
    "qwen3": ("qwen3", {**_WIDE, "num_key_value_heads": 1, "head_dim": 8}),
}


def save_decoder(family: str, folder: Path) -> Path:
    """Save a language model of a family with its tokenizer, and return the folder."""
    model_type, fields = {**CAUSAL, **SEQ2SEQ}[family]
    factory = AutoModelForSeq2SeqLM if family in SEQ2SEQ else AutoModelForCausalLM
    return _save(model_type, fields, factory.from_config, folder)


def save_encoder(family: str, folder: Path, pooling: str | None = "mean") -> Path:
    """Save an encoder of a family with its tokenizer, and return the folder.

    Args:
        pooling: how it pools its states, as a model of sentence-transformers; None for another one.
    """
    model_type, fields = ENCODERS[family]
    factory = AutoModelForSeq2SeqLM if family in SEQ2SEQ else AutoModel
    _save(model_type, fields, factory.from_config, folder)
    if pooling is not None:
        kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
        modules = [
            {
                "idx": number,
                "name": str(number),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for number, (path, kind) in enumerate(kinds.items())
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(
            json.dumps({"pooling_mode": pooling, "embedding_dimension": 16})
        )
    return folder


def _save(
    model_type: str, fields: dict[str, object], build: Callable[..., object], folder: Path
) -> Path:
    """Save a model with random weights, larger than usual ones, so that inputs make a difference."""
    tokenizer = build_byte_level_tokenizer()
    config = AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        **fields,
    )
    torch.manual_seed(0)
    model: object = build(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():  # type: ignore[attr-defined]
            if weight.ndim > 1:
                weight.normal_(std=0.3 if "embed" not in name else 1.0)
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    tokenizer.save_pretrained(folder)
    return folder


def build_byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer like GPT-2's: one special token for start and end, and one for padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )
