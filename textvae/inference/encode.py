"""Encode texts to the posterior q(z | x).

Texts are encoded in blocks, so that only one block's tokens are in memory. A
block is sorted by length to save padding; results are in the order of the input.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from textvae.data.tokenization import encode_texts
from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length
from textvae.model.posteriors import Distribution
from textvae.terminal import is_bar_hidden

_SENTENCES_PER_BLOCK = 8192


def posterior(
    bundle: Bundle, texts: Sequence[str], batch_size: int = 256, progress: bool = False
) -> Distribution:
    """Return q(z | x) of each text on the CPU, in the order of the texts.

    Raises:
        ConfigError: the model is a language model.
    """
    # The posterior of an empty text shows which tensors this kind of posterior has.
    combined = block_posterior(bundle, [""], batch_size).make_zeros(len(texts))
    start = 0
    for block, q in iterate_posteriors(bundle, texts, batch_size, progress):
        combined.set_rows(slice(start, start + len(block)), q)
        start += len(block)
    return combined


def encode(
    bundle: Bundle, texts: Sequence[str], batch_size: int = 256, progress: bool = False
) -> NDArray[np.float32]:
    """Return the posterior mean of each text, (n, latent), in the order of the texts.

    Raises:
        ConfigError: the model is a language model.
    """
    means = np.empty((len(texts), bundle.model.config.latent_dim), dtype=np.float32)
    start = 0
    for block, q in iterate_posteriors(bundle, texts, batch_size, progress):
        means[start : start + len(block)] = q.mean
        start += len(block)
    return means


def iterate_posteriors(
    bundle: Bundle, texts: Iterable[str], batch_size: int = 256, progress: bool = False
) -> Iterator[tuple[list[str], Distribution]]:
    """Yield blocks of texts with their q(z | x) on the CPU, in the order of the texts.

    Texts longer than the model's maximum length are truncated.

    Raises:
        ConfigError: the model is a language model.
    """
    iterator = iter(texts)
    with tqdm(desc="encoding", unit="sentence", disable=is_bar_hidden(progress)) as bar:
        while block := list(islice(iterator, _SENTENCES_PER_BLOCK)):
            yield block, block_posterior(bundle, block, batch_size)
            bar.update(len(block))


@torch.inference_mode()
def block_posterior(bundle: Bundle, block: Sequence[str], batch_size: int) -> Distribution:
    """Return q(z | x) of each text on the CPU; the block must not be empty.

    Raises:
        ConfigError: the model is a language model.
    """
    require_latent(bundle)
    ids = tokenize_and_truncate(bundle, block)
    combined = None
    for indices in batch_by_length([len(row) for row in ids], batch_size):
        batch = bundle.make_batch([ids[index] for index in indices])
        q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
        if combined is None:  # the first posterior shows which tensors to allocate
            combined = q.make_zeros(len(block))
        combined.set_rows(indices, q)
    assert combined is not None, "a block has at least one text"
    return combined


def set_blanks_to_nan(vectors: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
    """Return vectors, (n, width), with NaN in the rows of blank texts.

    Rows are not dropped, so that row i still belongs to text i; NaN shows
    that a blank text has no vector.
    """
    is_blank = np.array([not text.strip() for text in texts], dtype=bool)
    if not is_blank.any():
        return vectors
    return np.where(is_blank[:, np.newaxis], np.float32("nan"), vectors)


def require_latent(bundle: Bundle) -> None:
    """Refuse a language model, which has no latent.

    Raises:
        ConfigError: the model is a language model.
    """
    if not bundle.model.config.latent_dim:
        raise ConfigError(
            "this run is a language model, which has no latent to encode, reconstruct or "
            "interpolate with; train without objective=language_model."
        )


def check_not_blank(*texts: str) -> None:
    """Refuse blank texts where every text must have a result of its own.

    Raises:
        DataError: a text is blank.
    """
    if not all(text.strip() for text in texts):
        raise DataError("expected a text, got a blank one; write at least one word.")


def tokenize_and_truncate(bundle: Bundle, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, truncated to the model's maximum length."""
    return [row[: bundle.max_text_tokens] for row in encode_texts(bundle.tokenizer, texts)]
