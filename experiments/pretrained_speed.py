"""Measure how fast a small language model trains as a decoder, by what of it is trained.

    python experiments/pretrained_speed.py BASES [--tokens 960] [--repeats 9]

BASES is a folder with `minilm` and `smollm2`, as experiments/real_bases.py writes them. A step
is a forward and a backward pass over one batch of captions, without the optimizer; the encoder
is frozen and its states, and those of frozen layers below z, are given. The columns:

- tokens/s: of the best of several steps.
- share: of the speed that the matrix products alone allow. They are timed one by one, at the
  same sizes and in the same number type: forward, the gradient of what flows through a
  layer, and that of its weights if they are trained.
"""

import argparse
import gzip
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textvae.data import BUNDLED_CORPORA
from textvae.data.base_tokenizers import build_decoder_tokenizer
from textvae.data.batching import Batch
from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.tokenization import TokenizerSettings, encode_batch, read_tokenizer
from textvae.inference.bundle import Bundle
from textvae.model.building import build_model
from textvae.model.modeling import TextVAEModel
from textvae.runtime.device import is_bf16_fast
from textvae.settings.run import ModelSettings

HEAD = "| what is trained | z enters | tokens/s | share |\n|---|---|---|---|"
SIDE = "the LSTM at the side"

# What is trained, and the settings of the decoder and the conditioning.
CASES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (SIDE, {"kind": "side_tuned"}, ("initial_state", "every_step", "output")),
    ("nothing but the map of z", {"train": "none"}, ("prefix", "output")),
    ("adapters", {"train": "lora"}, ("prefix", "output")),
    ("adapters", {"train": "lora", "entry": 0.6}, ("prefix", "output")),
    ("everything", {"train": "all"}, ("prefix", "output")),
    ("everything", {"train": "all", "entry": 0.6}, ("prefix", "output")),
]


def build_bundle(bases: Path, decoder: dict[str, Any], conditioning: tuple[str, ...]) -> Bundle:
    """Return a model with a frozen encoder, on the vocabulary of the captions."""
    smollm2 = str(bases / "smollm2")
    tokenizer = build_decoder_tokenizer(
        TokenizerSettings(kind="pretrained", path=smollm2), read_captions()
    )
    settings = ModelSettings.model_validate(
        {
            "encoder": {"kind": "pretrained", "name": str(bases / "minilm"), "train": "none"},
            "decoder": {"kind": "pretrained", "name": smollm2, **decoder},
            "conditioning": conditioning,
        }
    )
    torch.manual_seed(0)
    encoder_tokenizer = EncoderTokenizer.from_base(read_tokenizer(bases / "minilm"), 128)
    return Bundle(build_model(settings, tokenizer), tokenizer, encoder_tokenizer)


def read_captions() -> list[str]:
    """Return the bundled captions."""
    with gzip.open(f"{BUNDLED_CORPORA['captions']}/train.txt.gz", "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def make_batch(bundle: Bundle, tokens: int) -> Batch:
    """Return a batch of captions of similar length, with the states of frozen parts."""
    sentences = sorted(encode_batch(bundle.tokenizer, read_captions()[:2000]), key=len)
    middle = sentences[len(sentences) // 2 :]
    batch = bundle.make_batch(middle[: tokens // (len(middle[0]) + 1)])
    encoder = bundle.model.encoder
    batch["encoder_states"] = encoder.compute_fixed_states(
        batch["encoder_input_ids"], batch["encoder_attention_mask"]
    )
    decoder = bundle.model.decoder
    if decoder.has_frozen_layers_below:
        embedded = decoder.embed(batch["input_ids"])
        states = decoder.compute_lower_states(embedded, batch["attention_mask"])
        batch["decoder_states"] = states.bfloat16()
    return batch


def time_best(run: Callable[[], object], repeats: int) -> float:
    """Return the shortest time of several runs in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def time_products(model: TextVAEModel, batch: Batch, dtype: torch.dtype, repeats: int) -> float:
    """Return the time of the matrix products of a step alone, in seconds."""
    tokens = int(batch["attention_mask"].sum())
    decoder: Any = model.decoder
    layers: Counter[tuple[int, int, bool]] = Counter()
    body = decoder.language_model.upper
    if decoder.has_frozen_layers_below and decoder.language_model.lower is None:
        body = nn.Sequential(decoder.read, decoder.write)  # the language model does not run
        cells = decoder.cells
        layers[cells.input_size, 4 * cells.hidden_size, True] += 1
        layers[cells.hidden_size, 4 * cells.hidden_size, True] += 1
    for module in body.modules():
        if isinstance(module, nn.Linear):
            weight = module.weight
            layers[weight.shape[1], weight.shape[0], weight.requires_grad] += 1
    vocab, hidden = decoder.output_weight.shape
    layers[hidden, vocab, decoder.output_weight.requires_grad] += 1
    total = 0.0
    for (size, out, is_trained), count in layers.items():
        states = torch.randn(tokens, size).to(dtype)
        weight = torch.randn(out, size).to(dtype)
        gradient = torch.randn(tokens, out).to(dtype)
        products = [lambda s=states, w=weight: s @ w.t(), lambda g=gradient, w=weight: g @ w]
        if is_trained:
            products.append(lambda g=gradient, s=states: g.t() @ s)
        total += count * sum(time_best(product, repeats) for product in products)
    return total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bases", type=Path)
    parser.add_argument("--tokens", type=int, default=960)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    uses_bf16 = is_bf16_fast(torch.device("cpu"))
    dtype = torch.bfloat16 if uses_bf16 else torch.float32
    print(HEAD, flush=True)
    for name, decoder, conditioning in CASES:
        bundle = build_bundle(options.bases, decoder, conditioning)
        model = bundle.model.train()
        batch: dict[str, Tensor] = make_batch(bundle, options.tokens)

        def step(model: TextVAEModel = model, batch: Batch = batch) -> None:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=uses_bf16):
                loss = model(**batch).loss
            loss.backward()
            model.zero_grad()

        seconds = time_best(step, options.repeats)
        products = time_products(model, batch, dtype, options.repeats)
        place = "at the side" if name == SIDE else f"{decoder.get('entry', 0.0):.0%} up"
        tokens = int(batch["attention_mask"].sum())
        print(
            f"| {name} | {place} | {tokens / seconds:,.0f} | {products / seconds:.0%} |", flush=True
        )


if __name__ == "__main__":
    main()
