"""Encode: from sentences to the posterior q(z | x)."""

from collections.abc import Sequence

import torch
from tqdm import tqdm

from textvae.bundle import Bundle
from textvae.errors import DataError
from textvae.posteriors import DiagonalGaussian
from textvae.tokenization import encode_batch
from textvae.uses.decoding import by_length


def posterior(bundle: Bundle, texts: Sequence[str], batch_size: int = 256, progress: bool = False) -> DiagonalGaussian:
    """Return q(z | x) of each text, mean and logvar (n, latent) on the CPU, in the order given.

    Texts are read in batches of like length; longer ones than the model was
    made for are cut.
    """
    if not texts:
        empty = torch.empty(0, bundle.model.config.latent_dim)
        return DiagonalGaussian(empty, empty)
    ids = [row[: bundle.longest - 1] for row in encode_batch(bundle.tokenizer, texts)]
    batches = list(by_length([len(row) for row in ids], batch_size))
    parts = []
    with torch.inference_mode():
        for places in tqdm(batches, desc="encoding", unit="batch", disable=not progress):
            batch = bundle.batch([ids[place] for place in places])
            q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
            parts.append(torch.stack([q.mean, q.logvar]).cpu())
    back = torch.tensor([place for places in batches for place in places]).argsort()
    mean, logvar = torch.cat(parts, dim=1)[:, back]
    return DiagonalGaussian(mean, logvar)


def as_list(texts: str | Sequence[str]) -> list[str]:
    """Return the texts as a list, one string as a list of one.

    Raises:
        DataError: something that is not text is among them.
    """
    listed = [texts] if isinstance(texts, str) else list(texts)
    for place, text in enumerate(listed):
        if not isinstance(text, str):
            raise DataError(f"text {place} is {text!r}; wanted are strings.")
    return listed
