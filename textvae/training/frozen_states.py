"""Compute what frozen parts of a model compute, once for the training split.

A frozen encoder of sentence embeddings gives the same vector in every epoch, and so do
the frozen layers below the entry of z. Their states are stored next to the corpus, so a
training step runs only what is above them.
"""

from collections.abc import Callable, Iterator

import torch
from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from textvae.data.batching import Batch
from textvae.data.frozen_states import DECODER_STATES, ENCODER_STATES, locate_states, write_states
from textvae.inference.bundle import Bundle
from textvae.objective.elbo import Objective
from textvae.objective.techniques.base import CorruptedInput
from textvae.runs.run import Run
from textvae.runtime.device import is_bf16_fast

_SENTENCES_PER_BATCH = 64

# From the model and a batch to states, (batch, length, hidden), and their mask, (batch, length).
_Computation = Callable[[Bundle, Batch], tuple[Tensor, Tensor]]


def cache_frozen_states(run: Run, bundle: Bundle, objective: Objective) -> None:
    """Write the states that training needs and that no technique changes, unless they exist."""
    train = run.open_split("train")
    model = bundle.model
    computations = {}
    if model.encoder.gives_fixed_vectors and not objective.corrupts(CorruptedInput.ENCODER):
        computations[ENCODER_STATES] = _encode
    if model.decoder.has_frozen_layers_below and not objective.corrupts(CorruptedInput.DECODER):
        computations[DECODER_STATES] = _run_lower_layers
    for column, compute in computations.items():
        file = locate_states(run.folder / "corpus", "train", column)
        if not file.is_file():
            partial = file.with_name(f".{file.name}.partial")
            write_states(_iterate_states(bundle, train, column, compute), column, partial)
            partial.replace(file)


def _iterate_states(
    bundle: Bundle, sentences: Dataset, column: str, compute: _Computation
) -> Iterator[Tensor]:
    """Yield the states of each sentence, (length, hidden), in the order of the split."""
    starts = range(0, len(sentences), _SENTENCES_PER_BATCH)
    for start in tqdm(starts, desc=f"computing {column.replace('_', ' ')}", unit="batch"):
        rows = sentences[start : start + _SENTENCES_PER_BATCH]["input_ids"]
        batch = bundle.make_batch(rows)
        with torch.inference_mode():
            states, mask = compute(bundle, batch)
        for row, length in zip(states.cpu(), mask.sum(1).tolist(), strict=True):
            yield row[:length]


def _encode(bundle: Bundle, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the vectors of a frozen encoder, (batch, 1, hidden)."""
    mask = batch["encoder_attention_mask"]
    states = bundle.model.encoder(batch["encoder_input_ids"], mask)
    return states, mask[:, : states.shape[1]]


def _run_lower_layers(bundle: Bundle, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the states at the entry of z, (batch, length, hidden)."""
    decoder = bundle.model.decoder
    mask = batch["attention_mask"]
    with torch.autocast(
        bundle.device.type, dtype=torch.bfloat16, enabled=is_bf16_fast(bundle.device)
    ):
        return decoder.compute_lower_states(decoder.embed(batch["input_ids"]), mask), mask
