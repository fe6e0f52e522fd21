"""Encode: from sentences to the posterior q(z | x).

Sentences flow through in blocks: only a block's tokens stand in memory, it is
sorted by length inside, and what comes out is in the order given.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from textvae.data.tokenization import encode_batch
from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length
from textvae.model.posteriors import Distribution

_SENTENCES_PER_BLOCK = 8192  # sentences


def posterior(
    bundle: Bundle, texts: Sequence[str], batch_size: int = 256, progress: bool = False
) -> Distribution:
    """Return q(z | x) of each text, on the CPU, in the order given."""
    whole = block_posterior(bundle, [""], batch_size).make_zeros(len(texts))
    start = 0
    for block, q in iterate_posteriors(bundle, texts, batch_size, progress):
        whole.set_rows(slice(start, start + len(block)), q)
        start += len(block)
    return whole


def encode(
    bundle: Bundle, texts: Sequence[str], batch_size: int = 256, progress: bool = False
) -> NDArray[np.float32]:
    """Return the posterior mean of each text, (n, latent), in the order given."""
    means = np.empty((len(texts), bundle.model.config.latent_dim), dtype=np.float32)
    start = 0
    for block, q in iterate_posteriors(bundle, texts, batch_size, progress):
        means[start : start + len(block)] = q.mean
        start += len(block)
    return means


def iterate_posteriors(
    bundle: Bundle, texts: Iterable[str], batch_size: int = 256, progress: bool = False
) -> Iterator[tuple[list[str], Distribution]]:
    """Yield blocks of texts with their q(z | x) on the CPU, in the order given.

    Texts are read in batches of like length; longer ones than the model was
    made for are cut.
    """
    flow = iter(texts)
    with tqdm(desc="encoding", unit="sentence", disable=not progress) as bar:
        while block := list(islice(flow, _SENTENCES_PER_BLOCK)):
            yield block, block_posterior(bundle, block, batch_size)
            bar.update(len(block))


def set_blanks_to_nan(vectors: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
    """Return vectors, (n, width), those of blank texts as NaN: rows stay in line, and nobody takes them for vectors."""
    is_blank = [not text.strip() for text in texts]
    return (
        np.where(np.array(is_blank)[:, np.newaxis], np.float32("nan"), vectors)
        if any(is_blank)
        else vectors
    )


@torch.inference_mode()
def block_posterior(bundle: Bundle, block: Sequence[str], batch_size: int) -> Distribution:
    """Return q(z | x) of each text on the CPU; at least one.

    Raises:
        ConfigError: the model is a language model.
    """
    require_latent(bundle)
    ids, whole = tokenize_and_truncate(bundle, block), None
    for places in batch_by_length([len(row) for row in ids], batch_size):
        batch = bundle.batch([ids[place] for place in places])
        q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
        whole = q.make_zeros(len(block)) if whole is None else whole
        whole.set_rows(places, q)
    assert whole is not None
    return whole


def require_latent(bundle: Bundle) -> None:
    """Refuse a model that has nothing to encode to.

    Raises:
        ConfigError: the model is a language model.
    """
    if not bundle.model.config.latent_dim:
        raise ConfigError(
            "this run is a language model, which has no latent to encode, reconstruct or interpolate with; "
            "train without objective=language_model."
        )


def check_not_blank(*texts: str) -> None:
    """Refuse a text of nothing but spaces, where each is to have an answer of its own.

    Raises:
        DataError: one is.
    """
    if not all(text.strip() for text in texts):
        raise DataError("a text is wanted, and one that was given is blank; write a word at least.")


def tokenize_and_truncate(bundle: Bundle, texts: Sequence[str]) -> list[list[int]]:
    """Return each text's tokens, as many as the model was made for."""
    return [row[: bundle.max_text_tokens] for row in encode_batch(bundle.tokenizer, texts)]
