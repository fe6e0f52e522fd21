"""Evidence: one pass over a data set, from which most measures follow.

Everything is measured with dropout and word dropout off, in single precision,
with one posterior sample a sentence, under a seed of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from textvae.arrow import column
from textvae.batching import Batch, LengthBuckets
from textvae.bundle import Bundle
from textvae.errors import DataError

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Evidence:
    """What the model says of each sentence; nats; rows in the data set's order.

    Shapes:
        mean, logvar, latent, kl: (n, latent), on the CPU; `latent` is the draw the reconstruction used
        reconstruction: (n,)
        tokens, words, bytes: (n,) counts; tokens and words count the end of the sentence
    """

    mean: Tensor
    logvar: Tensor
    latent: Tensor
    kl: Tensor
    reconstruction: Tensor
    tokens: Tensor
    words: Tensor
    bytes: Tensor

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.reconstruction)


@dataclass(frozen=True)
class Subject:
    """A model, the sentences to measure it on, and how thoroughly.

    Attributes:
        samples: importance samples a sentence.
        progress: whether long work shows a bar.
    """

    bundle: Bundle
    dataset: Dataset
    evidence: Evidence
    samples: int
    seed: int
    progress: bool


def batches(
    bundle: Bundle, dataset: Dataset, tokens: int = BATCH_TOKENS, progress: str | None = None
) -> Iterator[tuple[list[int], Batch]]:
    """Yield places and padded batches of like length; `progress` names a bar."""
    buckets = LengthBuckets(column(dataset, "length"), tokens, None, seed=0)
    for places in tqdm(buckets, desc=progress, total=len(buckets), unit="batch", disable=progress is None):
        yield places, bundle.batch(dataset[places]["input_ids"])


def gather(bundle: Bundle, dataset: Dataset, seed: int = 0, progress: bool = False) -> Evidence:
    """Run the model over the data set once.

    Raises:
        DataError: the data set is empty.
    """
    if len(dataset) == 0:
        raise DataError("there is no sentence to measure on.")
    n, latent = len(dataset), bundle.model.config.latent_dim
    table = torch.empty(4, n, latent)
    reconstruction = torch.empty(n)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for places, batch in batches(bundle, dataset, progress="measuring" if progress else None):
            output = bundle.model(**batch)
            table[:, places] = torch.stack([output.mean, output.logvar, output.latent, output.kl]).float().cpu()
            reconstruction[places] = output.sentence_reconstruction.cpu()
    counts = {name: torch.as_tensor(column(dataset, name)) for name in ("length", "words", "bytes")}
    mean, logvar, z, kl = table
    return Evidence(mean, logvar, z, kl, reconstruction, counts["length"] + 1, counts["words"] + 1, counts["bytes"])
