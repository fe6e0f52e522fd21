"""Evidence: one pass over a data set, from which most measures follow.

Everything is measured with dropout and word dropout off, in single precision (looks during a run: in the run's),
with one posterior sample a sentence, under a seed of its own.
"""

from dataclasses import dataclass

import torch
from datasets import Dataset
from torch import Tensor

from textvae.data.arrow import read_number_column
from textvae.errors import DataError
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.model.posteriors import Distribution
from textvae.runtime.processes import SINGLE_PROCESS, Processes


@dataclass(frozen=True)
class ModelOutputs:
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


def run_model(
    bundle: Bundle,
    dataset: Dataset,
    seed: int = 0,
    progress: bool = False,
    processes: Processes = SINGLE_PROCESS,
) -> ModelOutputs:
    """Run the model over the data set once; several processes each read their share and all get the whole.

    Raises:
        DataError: the data set is empty.
    """
    if len(dataset) == 0:
        raise DataError("there is no sentence to measure on.")
    posterior, tables = _allocate_outputs(bundle, dataset)
    for places, batch in iterate_batches(
        bundle, dataset, seed, processes, progress="measuring" if progress else None
    ):
        output = bundle.model(**batch)
        posterior.set_rows(places, output.posterior)
        for name, table in tables.items():
            table[places] = output[name].float().cpu()
    posterior = posterior.map(processes.sum)  # the others' rows are zeros
    tables = {name: processes.sum(table) for name, table in tables.items()}
    counts = {
        name: torch.as_tensor(read_number_column(dataset, name))
        for name in ("length", "words", "bytes")
    }
    latent, kl, reconstruction = (
        tables["latent"],
        tables.get("kl"),
        tables["sentence_reconstruction"],
    )
    return ModelOutputs(
        posterior,
        latent,
        kl,
        reconstruction,
        counts["length"] + 1,
        counts["words"] + 1,
        counts["bytes"],
    )


def _allocate_outputs(bundle: Bundle, dataset: Dataset) -> tuple[Distribution, dict[str, Tensor]]:
    """Return what is kept of the model's output, a row of zeros a sentence.

    The shapes are those of the first sentence's: a process may have no batch of its own.
    """
    for _, batch in iterate_batches(bundle, dataset.select([0]), 0, SINGLE_PROCESS):
        output = bundle.model(**batch)
    kept = [
        name for name in ("latent", "kl", "sentence_reconstruction") if output.get(name) is not None
    ]
    tables = {name: torch.zeros(len(dataset), *output[name].shape[1:]) for name in kept}
    return output.posterior.make_zeros(len(dataset)), tables
