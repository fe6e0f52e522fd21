"""States of frozen parts: computed once for a corpus, stored as Arrow, and read in each batch.

A row holds the states of one sentence, (length, hidden), as the bytes of a tensor.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from textvae.data.arrow import open_arrow, write_arrow
from textvae.runtime.files import remove

if TYPE_CHECKING:
    from datasets import Dataset

# The columns, which are also the names of the tensors in a batch.
ENCODER_STATES = "encoder_states"
DECODER_STATES = "decoder_states"

_COLUMNS = (ENCODER_STATES, DECODER_STATES)

# The name of the states of the validation sentences that are evaluated during training.
EVALUATED = "evaluated"

# The types of the numbers, by their size in bytes, which each row has next to its states. States of
# tokens are stored in bf16, which halves the file: the layers that read them usually compute in
# bf16. A single state per sentence is stored in single precision.
_DTYPES = {2: torch.bfloat16, 4: torch.float32}

# The sizes in the files of earlier versions, which did not record them.
_FORMER_SIZES = {ENCODER_STATES: 4, DECODER_STATES: 2}


def write_states(
    rows: Iterator[Tensor], column: str, file: Path, *, is_rounded: bool = True
) -> None:
    """Write the states of sentences to an Arrow file.

    Args:
        rows: (length, hidden) for each sentence, in the order of the split.
        column: `ENCODER_STATES` or `DECODER_STATES`.
        is_rounded: whether they are stored in bf16.
    """
    import pyarrow as pa

    size = 2 if is_rounded else 4
    fields = [(column, pa.large_binary()), ("hidden", pa.int32()), ("itemsize", pa.int8())]
    schema = pa.schema(fields)
    records = (
        {
            column: _to_bytes(states.to(_DTYPES[size])),
            "hidden": states.shape[-1],
            "itemsize": size,
        }
        for states in rows
    )
    write_arrow(records, file, schema)


def join_states(sentences: "Dataset", folder: Path, split: str) -> "Dataset":
    """Return a split with the columns of states that the folder has for it, memory-mapped."""
    from datasets import concatenate_datasets

    for column in _COLUMNS:
        file = locate_states(folder, split, column)
        if file.is_file():
            states = open_arrow(file)
            for name in set(states.column_names) - {column}:
                states = states.rename_column(name, f"{column}_{name}")
            sentences = concatenate_datasets([sentences, states], axis=1)
    return sentences


def locate_states(folder: Path, split: str, column: str) -> Path:
    """Return the file of a column of states."""
    return folder / f"{split}.{column}.arrow"


def remove_states(folder: Path) -> None:
    """Remove all states from the folder of a corpus; a training that needs them computes them again."""
    for split in ("train", EVALUATED):
        for column in _COLUMNS:
            remove(locate_states(folder, split, column))


def collate_states(rows: Sequence[dict[str, Any]], column: str) -> Tensor | None:
    """Return the states of a batch, (batch, length, hidden), padded on the right, or None."""
    if column not in rows[0]:
        return None
    parts = [
        _from_bytes(row[column], _DTYPES[_find_size(row, column)], row[f"{column}_hidden"])
        for row in rows
    ]
    states = pad_sequence(parts, batch_first=True)
    # An LSTM refuses states of another type than its weights; a decoder casts what it reads.
    return states.float() if column == ENCODER_STATES else states


def mask_states(rows: Sequence[dict[str, Any]], column: str) -> Tensor:
    """Return the mask of the states of a batch, (batch, length), 1 on real ones."""
    lengths = [
        len(row[column]) // (_find_size(row, column) * row[f"{column}_hidden"]) for row in rows
    ]
    return (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()


def _find_size(row: dict[str, Any], column: str) -> int:
    """Return the size of a number in the states of a row, in bytes."""
    return int(row.get(f"{column}_itemsize", _FORMER_SIZES[column]))


def _to_bytes(states: Tensor) -> bytes:
    """Return the bytes of a tensor; numpy has no bf16, so it is viewed as bytes."""
    return states.contiguous().view(torch.uint8).numpy().tobytes()


def _from_bytes(content: bytes, dtype: torch.dtype, hidden: int) -> Tensor:
    """Return states, (length, hidden), from their bytes."""
    flat = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())
    return flat.view(dtype).view(-1, hidden)
