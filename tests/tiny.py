"""Tiny models, tokenizers and data for all tests: built in milliseconds, from a seed, on the CPU.

Sizes are set by the names of fields, so a new part is tested as soon as it is in its table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from textvae.data.batching import Batch, Collator
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, encode_batch
from textvae.inference.bundle import Bundle
from textvae.model.bases.settings import BaseSettings
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
    """Return a part's settings, as in a config, with tiny values for all of its sizes."""
    fields = table[kind].Settings.model_fields
    sizes = {name: size for name, size in SIZES.items() if name in fields}
    return {"kind": kind, **sizes, **more}


def small_parts(
    table: Mapping[str, Any], architectures: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the settings of every part of a table, by its name.

    A part with an architecture has one entry per architecture, by the architecture's name.
    Pretrained parts are left out: they cannot be built without the files of a base.
    """
    parts = {}
    for kind in table:
        if issubclass(table[kind].Settings, BaseSettings):
            continue
        if "architecture" in table[kind].Settings.model_fields:
            parts.update({name: small(table, kind, architecture=name) for name in architectures})
        else:
            parts[kind] = small(table, kind)
    return parts


ENCODER_SETTINGS = small_parts(ENCODERS, ARCHITECTURES["encoder"])
DECODER_SETTINGS = small_parts(DECODERS, ARCHITECTURES["decoder"])


def built(table: Mapping[str, Any], settings: Mapping[str, Any], *sizes: Any) -> Any:
    """Return a part, built from its settings as in a config."""
    part = table[settings["kind"]]
    return part(part.Settings(**settings), *sizes)


def supported_conditionings(writer: str) -> list[str]:
    """Return the names of the conditionings that this decoder supports."""
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
    """Return a model in evaluation mode, with random weights that make every input matter.

    Args:
        writer, reader: names of the decoder and of the encoder.
        conditioning: by default, all that the decoder supports.
        labels: number of training sentences of each label; makes the model conditional.
        more: further settings of the decoder.
    """
    torch.manual_seed(seed)
    if conditioning is None:
        conditioning = supported_conditionings(writer)
    label_fields: dict[str, Any] = {}
    if labels:
        label_fields = {
            "labels": [*labels],
            "label_counts": [*labels.values()],
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
        conditioning=conditioning,
        **label_fields,
    )
    model = stirred(TextVAEModel(config))
    model.eval()
    return model


def stirred(model: TextVAEModel) -> TextVAEModel:
    """Make the weights so large that every input changes the output and no two scores are equal."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.5)
            elif not weight.eq(1).all():  # all ones: the gain of a normalization layer
                weight.normal_(std=0.1)
    model.generation_config.update(max_new_tokens=12, do_sample=True, top_k=0)
    return model


def tiny_tokenizer(kind: str = "word") -> Any:
    """Return a tokenizer that knows every word of `SENTENCES`."""
    return build_tokenizer(TokenizerSettings(kind=kind, vocab_size=300, min_frequency=1), SENTENCES)


def tiny_vae(
    writer: str = "lstm",
    kind: str = "word",
    seed: int = 0,
    labels: Mapping[str, int] | None = None,
    latent: int = LATENT,
) -> TextVAE:
    """Return a tiny model with a tokenizer that knows `SENTENCES`."""
    tokenizer = tiny_tokenizer(kind)
    model = tiny_model(writer, vocab=len(tokenizer), latent=latent, seed=seed, labels=labels)
    return TextVAE(model, tokenizer)


def tiny_dataset(bundle: Bundle, sentences: Sequence[str] = SENTENCES) -> Dataset:
    """Return sentences as a tokenized split."""
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
    """Return sentences of random token ids, none of them a special token."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(4, vocab, (length,), generator=random).tolist() for length in lengths]


def tiny_batch(sentences: Sequence[Sequence[int]] | None = None) -> Batch:
    """Return a padded batch; by default, of sentences of unequal lengths."""
    if sentences is None:
        sentences = tiny_ids()
    return Collator(SpecialTokens()).collate(sentences)


class SpecialTokens:
    """Replaces a tokenizer where only its special tokens are used."""

    pad_token_id = PAD
    bos_token_id = BOS
    eos_token_id = EOS
    unk_token_id = UNKNOWN


def draws(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers from a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
