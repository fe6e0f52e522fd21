"""Decoding speed: sentences from the prior, decoded greedily and sampled, and reconstructions."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from textvae.bench.case import BenchmarkCase
from textvae.bench.memory import PeakMemory
from textvae.bench.training import train_briefly
from textvae.data.tokenization import encode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import build_decoding_settings, decode_latents
from textvae.uses.reconstruct import reconstruct

_DECODED_SENTENCES = 500
_MAX_NEW_TOKENS = 100


def decode(case: BenchmarkCase) -> dict[str, Any]:
    """Return tokens and sentences per second; the end of a sentence counts as a token."""
    bundle = train_briefly(case)
    z = torch.randn(
        _DECODED_SENTENCES,
        bundle.model.config.latent_dim,
        generator=torch.Generator().manual_seed(1),
    )
    texts = case.test[: 2 * _DECODED_SENTENCES]["text"]
    with PeakMemory(case.device) as memory:
        greedy = _measure_decoding(bundle, z, do_sample=False)
        sampling = _measure_decoding(bundle, z, do_sample=True)
        start = time.perf_counter()
        reconstruct(bundle, texts, build_decoding_settings(max_new_tokens=_MAX_NEW_TOKENS))
        seconds = time.perf_counter() - start
    return {
        "tokens_per_second": greedy.tokens,
        "sentences_per_second": greedy.sentences,
        "sampling_tokens_per_second": sampling.tokens,
        "sampling_sentences_per_second": sampling.sentences,
        "reconstruction_sentences_per_second": len(texts) / seconds,
        **memory.describe(),
    }


@dataclass(frozen=True)
class _DecodingSpeed:
    """Tokens and sentences per second."""

    tokens: float
    sentences: float


def _measure_decoding(bundle: Bundle, z: torch.Tensor, do_sample: bool) -> _DecodingSpeed:
    """Return the speed of decoding z, (sentences, latent)."""
    options = build_decoding_settings(do_sample=do_sample, max_new_tokens=_MAX_NEW_TOKENS, seed=0)
    # Only the second run counts: the first one is slower, because it warms up.
    for _ in range(2):
        start = time.perf_counter()
        texts = decode_latents(bundle, z, options, samples_by_default=do_sample)
        seconds = time.perf_counter() - start
    # + 1: the end of the sentence, which was decoded as well.
    tokens = sum(len(ids) + 1 for ids in encode_batch(bundle.tokenizer, texts))
    return _DecodingSpeed(tokens / seconds, len(texts) / seconds)
