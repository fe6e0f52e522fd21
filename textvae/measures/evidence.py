"""Evidence: one pass over a data set, from which most measures follow.

Everything is measured with dropout and word dropout off, in single precision (looks during a run: in the run's),
with one posterior sample a sentence, under a seed of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from textvae.arrow import column
from textvae.batching import Batch, LengthBuckets
from textvae.bundle import Bundle
from textvae.errors import DataError
from textvae.measures.settings import DEFAULTS, MeasureSettings
from textvae.measures.texts import Texts
from textvae.posteriors import Distribution
from textvae.processes import ALONE, Processes

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Evidence:
    """What the model says of each sentence; nats; rows in the data set's order.

    Shapes:
        posterior: q(z | x) of each, on the CPU
        latent: (n, latent), on the CPU, the draw the reconstruction used
        kl: (n, latent), or (n, 1), on the CPU; None where the posterior has no density
        reconstruction: (n,)
        tokens, words, bytes: (n,) counts; tokens and words count the end of the sentence
    """

    posterior: Distribution
    latent: Tensor
    kl: Tensor | None
    reconstruction: Tensor
    tokens: Tensor
    words: Tensor
    bytes: Tensor

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.reconstruction)

    @property
    def mean(self) -> Tensor:
        """The points to decode from, (n, latent)."""
        return self.posterior.mean


@dataclass(frozen=True)
class Subject:
    """A model, the sentences to measure it on, and how thoroughly.

    Attributes:
        samples: importance samples a sentence.
        progress: whether long work shows a bar.
        processes: that share the work; each has all of the evidence.
        training: the sentences the model was trained on, for measures that hold samples against them.
    """

    bundle: Bundle
    dataset: Dataset
    evidence: Evidence
    samples: int
    seed: int
    progress: bool
    processes: Processes = ALONE
    training: Sequence[str] | None = None
    settings: MeasureSettings = DEFAULTS

    @cached_property
    def label_ids(self) -> Tensor | None:
        """The label of each sentence, (n,), where the model is conditional."""
        labels = self.bundle.labels
        if labels is None or self.bundle.label is not None:
            return self.bundle.label_ids(len(self.dataset))
        return labels.ids(self.dataset[labels.column])

    @cached_property
    def texts(self) -> Texts:
        """What the model writes, each text once."""
        return Texts(self)


def batches(
    bundle: Bundle,
    dataset: Dataset,
    seed: int,
    processes: Processes,
    tokens: int = BATCH_TOKENS,
    progress: str | None = None,
) -> Iterator[tuple[list[int], Batch]]:
    """Yield places and padded batches of like length, this process's share of them; `progress` names a bar.

    Each batch has a seed of its own: what is drawn for a sentence does not
    depend on the number of processes.
    """
    buckets = LengthBuckets(column(dataset, "length"), tokens, None, seed=0)
    shown = tqdm(buckets, desc=progress, total=len(buckets), unit="batch", disable=progress is None)
    devices = [bundle.device] if bundle.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        for number, places in enumerate(shown):
            if number % processes.count == processes.rank:
                torch.manual_seed((seed * 1_000_003 + number) % 2**63)  # the largest seed there may be
                rows = dataset[places]
                yield places, bundle.batch(rows["input_ids"], rows.get(bundle.label_column))


def gather(
    bundle: Bundle, dataset: Dataset, seed: int = 0, progress: bool = False, processes: Processes = ALONE
) -> Evidence:
    """Run the model over the data set once; several processes each read their share and all get the whole.

    Raises:
        DataError: the data set is empty.
    """
    if len(dataset) == 0:
        raise DataError("there is no sentence to measure on.")
    posterior, tables = blank(bundle, dataset)
    for places, batch in batches(bundle, dataset, seed, processes, progress="measuring" if progress else None):
        output = bundle.model(**batch)
        posterior.place(places, output.posterior)
        for name, table in tables.items():
            table[places] = output[name].float().cpu()
    posterior = posterior.map(processes.sum)  # the others' rows are zeros
    tables = {name: processes.sum(table) for name, table in tables.items()}
    counts = {name: torch.as_tensor(column(dataset, name)) for name in ("length", "words", "bytes")}
    latent, kl, reconstruction = tables["latent"], tables.get("kl"), tables["sentence_reconstruction"]
    return Evidence(posterior, latent, kl, reconstruction, counts["length"] + 1, counts["words"] + 1, counts["bytes"])


def blank(bundle: Bundle, dataset: Dataset) -> tuple[Distribution, dict[str, Tensor]]:
    """Return what is kept of the model's output, a row of zeros a sentence.

    The shapes are those of the first sentence's: a process may have no batch of its own.
    """
    for _, batch in batches(bundle, dataset.select([0]), 0, ALONE):
        output = bundle.model(**batch)
    kept = [name for name in ("latent", "kl", "sentence_reconstruction") if output.get(name) is not None]
    tables = {name: torch.zeros(len(dataset), *output[name].shape[1:]) for name in kept}
    return output.posterior.blank(len(dataset)), tables
