"""Measure how fast a small language model trains as a decoder, by what of it is trained.

    python experiments/pretrained_speed.py BASES [--tokens 960] [--repeats 9]
    python experiments/pretrained_speed.py BASES --small

BASES is a folder with `minilm` and `smollm2`, as experiments/real_bases.py writes them. A step
is a forward and a backward pass over one batch of captions, without the optimizer; the encoder
is frozen and its states, and those of frozen layers below z, are given. The columns:

- tokens/s: of the best of several steps.
- share: of the speed that the matrix products alone allow. They are timed one by one, at the
  same sizes and in the same number type: forward, the gradient of what flows through a
  layer, and that of its weights if they are trained.

With --small the decoder is a GPT-2 of 4 layers and 256 units with random weights, all trained,
and a step includes the clipping of gradients and the optimizer. The last column counts the time of
all cores together, which tells more than the clock on a busy machine; with OMP_WAIT_POLICY=PASSIVE,
threads that wait do not count.
"""

import argparse
import gzip
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from textvae.data import BUNDLED_CORPORA
from textvae.data.base_tokenizers import build_decoder_tokenizer
from textvae.data.batching import Batch
from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.tokenization import TokenizerSettings, encode_batch, read_tokenizer
from textvae.inference.bundle import Bundle
from textvae.model.building import build_model
from textvae.model.modeling import TextVAEModel
from textvae.runtime.allocator import keep_freed_memory
from textvae.runtime.device import is_bf16_fast
from textvae.settings.run import ModelSettings
from textvae.settings.training import TrainingSettings
from textvae.training.optimizer import build_optimizer, clip_gradients

HEAD = "| what is trained | z enters | tokens/s | share |\n|---|---|---|---|"
SIDE = "the LSTM at the side"

# What is trained, and the settings of the decoder and the conditioning.
CASES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (SIDE, {"kind": "side_tuned"}, ("initial_state", "every_step", "output")),
    ("nothing but the map of z", {"train": "none"}, ("memory", "output")),
    ("adapters", {"train": "lora"}, ("memory", "output")),
    ("adapters", {"train": "lora", "entry": 0.6}, ("memory", "output")),
    ("everything", {"train": "all"}, ("memory", "output")),
    ("everything", {"train": "all", "entry": 0.6}, ("memory", "output")),
]

SMALL_HEAD = (
    "| z enters by | tokens per batch | tokens/s | tokens per CPU second |\n|---|---|---|---|"
)

# How z reaches the small decoder.
SMALL_CONDITIONINGS = (("memory", "output"), ("embedding", "output"))


def build_bundle(
    bases: Path, decoder: dict[str, Any], conditioning: tuple[str, ...], base: Path | None = None
) -> Bundle:
    """Return a model with a frozen encoder, on the vocabulary of the captions.

    Args:
        base: the folder of the decoder's base; default: SmolLM2.
    """
    folder = str(base or bases / "smollm2")
    tokenizer = build_decoder_tokenizer(
        TokenizerSettings(kind="pretrained", path=folder), read_captions()
    )
    settings = ModelSettings.model_validate(
        {
            "encoder": {"kind": "pretrained", "name": str(bases / "minilm"), "train": "none"},
            "decoder": {"kind": "pretrained", "name": folder, **decoder},
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


def time_best(
    run: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the shortest time of several runs in seconds, by a clock."""
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
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


def save_small_decoder(folder: Path, tokenizer: Path) -> Path:
    """Save a GPT-2 of 4 layers and 256 units, with another model's tokenizer; return the folder."""
    loaded = read_tokenizer(tokenizer)
    torch.manual_seed(0)
    config = GPT2Config(n_layer=4, n_embd=256, n_head=4, vocab_size=len(loaded))
    GPT2LMHeadModel(config).save_pretrained(folder)
    loaded.save_pretrained(folder)
    return folder


def measure_small_decoder(bases: Path, repeats: int, uses_bf16: bool) -> None:
    """Print how fast a small decoder trains, by the size of a batch."""
    print(SMALL_HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        decoder = {"kind": "pretrained", "train": "all"}
        small = save_small_decoder(Path(folder), bases / "smollm2")
        for conditioning in SMALL_CONDITIONINGS:
            bundle = build_bundle(bases, decoder, conditioning, small)
            for tokens in (512, 960, 2048):
                speeds = [
                    measure_training(bundle, tokens, repeats, uses_bf16, clock)
                    for clock in (time.perf_counter, time.process_time)
                ]
                cells = " | ".join(f"{speed:,.0f}" for speed in speeds)
                print(f"| {', '.join(conditioning)} | {tokens} | {cells} |", flush=True)


def measure_training(
    bundle: Bundle, tokens: int, repeats: int, uses_bf16: bool, clock: Callable[[], float]
) -> float:
    """Return the tokens per second of whole training steps, by a clock."""
    model: Any = bundle.model.train()
    batch = make_batch(bundle, tokens)
    optimizer = build_optimizer(model, TrainingSettings(learning_rate=1e-3))
    trained = [value for value in model.parameters() if value.requires_grad]

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=uses_bf16):
            loss = model(**batch).loss
        loss.backward()
        clip_gradients(trained, 20.0)
        optimizer.step()
        optimizer.zero_grad()

    step()  # the first one allocates the optimizer's state
    return int(batch["attention_mask"].sum()) / time_best(step, repeats, clock)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bases", type=Path)
    parser.add_argument("--tokens", type=int, default=960)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="a small decoder, whole steps")
    options = parser.parse_args()
    keep_freed_memory()  # as training does
    uses_bf16 = is_bf16_fast(torch.device("cpu"))
    if options.small:
        measure_small_decoder(options.bases, options.repeats, uses_bf16)
        return
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
