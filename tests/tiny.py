"""Tiny models, tokenizers and data that the tests share: built in milliseconds, by seed, on the CPU.

Sizes are given by field name, so that a new part is tested as soon as it is in its table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from textvae.data.batching import Batch, Collator
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, encode_batch
from textvae.inference.bundle import Bundle
from textvae.model.conditioning import CONDITIONINGS
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.modeling import TextVAEModel
from textvae.vae import TextVAE

PAD, BOS, EOS, UNKNOWN = 0, 1, 2, 3
VOCAB, LATENT = 20, 4
SIZES = {"embedding": 8, "hidden": 8, "layers": 2, "heads": 2, "positions": 48, "prefix": 2}
ARCHITECTURES = {"encoder": ("bert", "roberta", "modernbert"), "decoder": ("gpt2", "llama")}
SENTENCES = [
    "a man rides a red horse .",
    "two dogs run .",
    "the old woman reads a book in the park near the river .",
    "a child sings",
    "snow falls on the quiet town at night",
    "two old men play chess in the park .",
]


def small(table: Mapping[str, Any], kind: str, **more: Any) -> dict[str, Any]:
    """Return a part's settings as a config holds them, every size it knows made tiny."""
    fields = table[kind].Settings.model_fields
    sizes = {name: size for name, size in SIZES.items() if name in fields}
    return {"kind": kind, **sizes, **more}


def small_parts(
    table: Mapping[str, Any], architectures: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the settings of every entry of a table, under its name or its architectures' names."""
    parts = {}
    for kind in table:
        if "architecture" in table[kind].Settings.model_fields:
            parts.update({name: small(table, kind, architecture=name) for name in architectures})
        else:
            parts[kind] = small(table, kind)
    return parts


ENCODER_SETTINGS = small_parts(ENCODERS, ARCHITECTURES["encoder"])
DECODER_SETTINGS = small_parts(DECODERS, ARCHITECTURES["decoder"])


def built(table: Mapping[str, Any], settings: Mapping[str, Any], *sizes: Any) -> Any:
    """Return a part built from settings as a config holds them."""
    part = table[settings["kind"]]
    return part(part.Settings(**settings), *sizes)


def audible(writer: str) -> list[str]:
    """Return the conditionings this decoder can hear."""
    decoder = built(DECODERS, DECODER_SETTINGS[writer], VOCAB, LATENT, [])
    return [name for name in CONDITIONINGS if name in decoder.signal_shapes]


def tiny_model(
    writer: str = "lstm",
    reader: str = "lstm",
    conditioning: list[str] | None = None,
    vocab: int = VOCAB,
    latent: int = LATENT,
    seed: int = 0,
    labels: Mapping[str, int] | None = None,
    **more: Any,
) -> TextVAEModel:
    """Return a model in eval mode with lively random weights; by default z is heard in every way that can be.

    Args:
        labels: makes it conditional; the training sentences of each.
    """
    torch.manual_seed(seed)
    counts = labels or {}
    known = {
        "labels": [*counts],
        "label_counts": [*counts.values()],
        "label_column": "kind",
        "label_dim": 3,
    }
    config = TextVAEConfig(
        latent_dim=latent,
        vocab_size=vocab,
        encoder_vocab_size=vocab,
        encoder_settings=ENCODER_SETTINGS[reader],
        decoder_settings={**DECODER_SETTINGS[writer], **more},
        posterior_settings={"kind": "gaussian"},
        prior_settings={"kind": "label_gaussian" if labels else "standard_normal"},
        conditioning=audible(writer) if conditioning is None else conditioning,
        **(known if labels else {}),
    )
    return stirred(TextVAEModel(config)).eval()


def stirred(model: TextVAEModel) -> TextVAEModel:
    """Make the weights large enough that every input is felt and no two scores tie."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.5)
            elif not weight.eq(1).all():  # not a normalisation's gain
                weight.normal_(std=0.1)
    model.generation_config.update(max_new_tokens=12, do_sample=True, top_k=0)
    return model


def tiny_tokenizer(kind: str = "word") -> Any:
    """Return a tokenizer that knows every word of `SENTENCES`."""
    return build_tokenizer(TokenizerSettings(kind=kind, vocab_size=300, min_frequency=1), SENTENCES)


def tiny_vae(
    writer: str = "lstm", kind: str = "word", seed: int = 0, labels: Mapping[str, int] | None = None
) -> TextVAE:
    """Return a model with its tokenizer."""
    tokenizer = tiny_tokenizer(kind)
    return TextVAE(tiny_model(writer, vocab=len(tokenizer), seed=seed, labels=labels), tokenizer)


def tiny_dataset(bundle: Bundle, sentences: Sequence[str] = SENTENCES) -> Dataset:
    """Return sentences as a tokenised split."""
    ids = encode_batch(bundle.tokenizer, sentences)
    return Dataset.from_dict(
        {
            "text": list(sentences),
            "input_ids": ids,
            "length": [len(row) for row in ids],
            "words": [len(text.split()) for text in sentences],
            "bytes": [len(text.encode()) for text in sentences],
        }
    )


def tiny_ids(
    lengths: Sequence[int] = (5, 2, 7), seed: int = 0, vocab: int = VOCAB
) -> list[list[int]]:
    """Return sentences of random word ids, none of them special."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(4, vocab, (length,), generator=random).tolist() for length in lengths]


def tiny_batch(sentences: Sequence[Sequence[int]] | None = None) -> Batch:
    """Return a padded batch, of unequal lengths by default."""
    return Collator(SpecialTokens()).collate(tiny_ids() if sentences is None else sentences)


class SpecialTokens:
    """Stands for a tokenizer where only its special tokens are asked for."""

    pad_token_id, bos_token_id, eos_token_id, unk_token_id = PAD, BOS, EOS, UNKNOWN


def draws(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers, by seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
