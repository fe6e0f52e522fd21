"""Tiny pretrained models: folders as transformers saves them, and bases without files."""

from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from textvae.model.bases.source import Base

WORDS = ["[PAD]", "[UNK]", "a", "man", "rides", "horse"]
_NO_IDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}


def save_bert(folder: Path) -> None:
    """Save an encoder-only model with its tokenizer."""
    config = BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        vocab_size=10,
        max_position_embeddings=16,
    )
    BertModel(config).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)


def save_gpt2(folder: Path, shard_size: str = "1GB") -> None:
    """Save a causal language model with its tokenizer."""
    config = GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=10, n_positions=16, **_NO_IDS)
    GPT2LMHeadModel(config).save_pretrained(folder, max_shard_size=shard_size)
    build_tokenizer().save_pretrained(folder)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of a few words."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")


def build_base(
    config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Base:
    """Return a base that has no files, with the given tensors."""
    tensors = {"embed.weight": (10, 8)} if shapes is None else shapes
    sizes = [shape[0] * shape[-1] for shape in tensors.values()]
    return Base(
        name="some/model",
        folder=Path("nowhere"),
        revision=None,
        config=config,
        license=None,
        parameters=sum(sizes),
        bytes=4 * sum(sizes),
        shapes=tensors,
    )
