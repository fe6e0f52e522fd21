"""Compute what frozen parts of a model compute, once for a corpus.

A frozen encoder of sentence embeddings gives the same vector in every epoch, and so do
the frozen layers below the entry of z. Their states are stored next to the corpus, so a
training step runs only what is above them.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from textvae.data.batching import Batch
from textvae.data.frozen_states import (
    DECODER_STATES,
    ENCODER_STATES,
    EVALUATED,
    join_states,
    locate_states,
    write_states,
)
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length
from textvae.objective.elbo import Objective
from textvae.objective.techniques.base import CorruptedInput
from textvae.runs.run import Run
from textvae.runtime.device import compute_in_bf16
from textvae.runtime.spacing import take_evenly

_SENTENCES_PER_BLOCK = 2048
_SENTENCES_PER_BATCH = 64

# What a technique may change, so that the states have to be computed in each step.
_CORRUPTED = {ENCODER_STATES: CorruptedInput.ENCODER, DECODER_STATES: CorruptedInput.DECODER}

# From the model and a batch to states, (batch, length, hidden), and their mask, (batch, length).
_Computation = Callable[[Bundle, Batch], tuple[Tensor, Tensor]]


def cache_frozen_states(
    run: Run, bundle: Bundle, objective: Objective, validation_sentences: int, progress: bool = True
) -> None:
    """Write the states that training and its evaluations need, unless they exist.

    Args:
        validation_sentences: how many sentences of the validation split are evaluated.
        progress: whether to show progress bars.
    """
    validation = _select_validation(run, validation_sentences)
    for column, compute in _list_computations(bundle).items():
        part = _CORRUPTED[column]
        # A technique that changes what a part reads does so in training only.
        if not objective.corrupts(part):
            _cache_split(run, bundle, "train", run.open_split("train"), column, compute, progress)
        _cache_split(run, bundle, EVALUATED, validation, column, compute, progress)


def open_cached_validation(run: Run, validation_sentences: int) -> Dataset:
    """Return the sentences that an evaluation uses, with the states that were written for them."""
    validation = _select_validation(run, validation_sentences)
    return join_states(validation, run.folder / "corpus", EVALUATED)


def _select_validation(run: Run, validation_sentences: int) -> Dataset:
    """Return sentences of the validation split, evenly spaced: a file may be sorted."""
    validation = run.open_split("validation")
    return validation.select(take_evenly(range(len(validation)), validation_sentences))


def _list_computations(bundle: Bundle) -> dict[str, _Computation]:
    """Return how to compute each column of states that the model can start from."""
    computations: dict[str, _Computation] = {}
    if bundle.model.encoder.has_fixed_states:
        computations[ENCODER_STATES] = _encode
    if bundle.model.decoder.has_frozen_layers_below:
        computations[DECODER_STATES] = _run_lower_layers
    return computations


def _cache_split(
    run: Run,
    bundle: Bundle,
    split: str,
    sentences: Dataset,
    column: str,
    compute: _Computation,
    progress: bool,
) -> None:
    """Write a column of states for the sentences of a split, unless it exists."""
    file = locate_states(run.folder / "corpus", split, column)
    if not file.is_file():
        partial = file.with_name(f".{file.name}.partial")
        states = _iterate_states(bundle, sentences, column, compute, progress)
        is_rounded = column == DECODER_STATES or not bundle.model.encoder.has_sentence_state
        write_states(states, column, partial, is_rounded=is_rounded)
        partial.replace(file)


def _iterate_states(
    bundle: Bundle, sentences: Dataset, column: str, compute: _Computation, progress: bool
) -> Iterator[Tensor]:
    """Yield the states of each sentence, (length, hidden), in the order of the split.

    Within a block, sentences of similar length are computed together, to save padding.
    """
    starts = range(0, len(sentences), _SENTENCES_PER_BLOCK)
    title = f"computing {column.replace('_', ' ')}"
    # Without `disable`, tqdm reads TQDM_DISABLE.
    options: dict[str, Any] = {} if progress else {"disable": True}
    bar = tqdm(total=len(sentences), desc=title, unit="sentence", **options)
    with bar, torch.inference_mode():
        for start in starts:
            rows = sentences[start : start + _SENTENCES_PER_BLOCK]["input_ids"]
            block: dict[int, Tensor] = {}
            for indices in batch_by_length([len(row) for row in rows], _SENTENCES_PER_BATCH):
                states, mask = compute(bundle, bundle.make_batch([rows[i] for i in indices]))
                lengths = mask.sum(1).tolist()
                for index, row, length in zip(indices, states.cpu(), lengths, strict=True):
                    block[index] = row[:length]
                bar.update(len(indices))
            yield from (block[index] for index in range(len(rows)))


def _encode(bundle: Bundle, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the states of a frozen encoder, (batch, length, size) or (batch, 1, size)."""
    encoder = bundle.model.encoder
    mask = batch["encoder_attention_mask"]
    # Sentence embeddings are what a user compares with those of the original model, so they are
    # not rounded.
    context = nullcontext() if encoder.has_sentence_state else compute_in_bf16(bundle.device)
    with context:
        states = encoder.compute_fixed_states(batch["encoder_input_ids"], mask)
    return states, mask[:, : states.shape[1]]


def _run_lower_layers(bundle: Bundle, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the states at the entry of z, (batch, length, hidden)."""
    decoder = bundle.model.decoder
    mask = batch["attention_mask"]
    with compute_in_bf16(bundle.device):
        return decoder.compute_lower_states(decoder.embed(batch["input_ids"]), mask), mask
