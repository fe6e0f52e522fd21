"""The model's outputs: one pass over a data set, from which most measures follow.

Dropout and word dropout are off. Each sentence has one posterior sample, whose seed
depends on its own tokens. Numbers are in single precision; evaluations during a training run
use the precision of the run.
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
    """The outputs of a model for each sentence, in nats, with rows in the data set's order.

    Shapes:
        posterior: q(z | x) of each sentence, on the CPU
        latent: (n, latent), on the CPU, the sample that the reconstruction used
        kl: (n, latent) or (n, 1), on the CPU; None where the posterior has no density
        reconstruction: (n,)
        tokens, words, bytes: (n,) counts; tokens and words include the end of the sentence
        label_mean: (n, latent), on the CPU, the mean of the prior given each sentence's label;
            None if the prior is the same for all of them
    """

    posterior: Distribution
    latent: Tensor
    kl: Tensor | None
    reconstruction: Tensor
    tokens: Tensor
    words: Tensor
    bytes: Tensor
    label_mean: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.reconstruction)

    @property
    def mean(self) -> Tensor:
        """The posterior means, (n, latent), from which texts are decoded."""
        return self.posterior.mean

    @property
    def offset(self) -> Tensor:
        """The posterior means, less the mean of the prior given the label, (n, latent).

        In them, what the label says about z is left out. They are the means themselves unless
        the prior depends on a label.
        """
        return self.mean if self.label_mean is None else self.mean - self.label_mean


def run_model(
    bundle: Bundle,
    dataset: Dataset,
    seed: int = 0,
    progress: bool = False,
    processes: Processes = SINGLE_PROCESS,
) -> ModelOutputs:
    """Run the model over the data set once.

    Each process runs its share of the batches, and all processes get all outputs.

    Raises:
        DataError: the data set is empty.
    """
    if len(dataset) == 0:
        raise DataError("the data set is empty: there is no sentence to evaluate on.")
    posterior, tensors = _allocate_outputs(bundle, dataset)
    for indices, batch in iterate_batches(
        bundle, dataset, seed, processes, progress="evaluating" if progress else None
    ):
        output = bundle.model(**batch)
        posterior.set_rows(indices, output.posterior)
        for name, tensor in tensors.items():
            tensor[indices] = output[name].float().cpu()
    # The sum collects the rows of all processes: each has zeros in the rows of the others.
    posterior = posterior.map(processes.sum)
    tensors = {name: processes.sum(tensor) for name, tensor in tensors.items()}
    return ModelOutputs(
        posterior=posterior,
        latent=tensors["latent"],
        kl=tensors.get("kl"),
        reconstruction=tensors["sentence_reconstruction"],
        tokens=torch.as_tensor(read_number_column(dataset, "length")) + 1,
        words=torch.as_tensor(read_number_column(dataset, "words")) + 1,
        bytes=torch.as_tensor(read_number_column(dataset, "bytes")),
        label_mean=_compute_label_means(bundle, dataset),
    )


@torch.no_grad()
def _compute_label_means(bundle: Bundle, dataset: Dataset) -> Tensor | None:
    """Return the mean of each sentence's p(z | y), (n, latent), if the prior has one per label."""
    labels = bundle.labels
    is_same_for_all = labels is None or bundle.fixed_label_id is not None
    if is_same_for_all or not bundle.model.prior.needs_labels:
        return None
    assert labels is not None
    prior = bundle.model.prior.conditional_on(labels.to_ids(dataset[labels.column]))
    means: Tensor = prior.center().float().cpu()
    return means


def _allocate_outputs(bundle: Bundle, dataset: Dataset) -> tuple[Distribution, dict[str, Tensor]]:
    """Return zeros for the posterior and the other outputs, one row per sentence.

    The shapes come from the first sentence's output, because a process may have no
    batch of its own.
    """
    for _, batch in iterate_batches(bundle, dataset.select([0]), 0, SINGLE_PROCESS):
        output = bundle.model(**batch)
    tensors = {}
    for name in ("latent", "kl", "sentence_reconstruction"):
        if output.get(name) is not None:
            tensors[name] = torch.zeros(len(dataset), *output[name].shape[1:])
    return output.posterior.make_zeros(len(dataset)), tensors
