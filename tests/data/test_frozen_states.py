"""Files of states: they come back as they were written, rounded or not."""

import pytest
import torch
from datasets import Dataset

from textvae.data.arrow import open_arrow, write_arrow
from textvae.data.frozen_states import (
    DECODER_STATES,
    ENCODER_STATES,
    collate_states,
    join_states,
    locate_states,
    mask_states,
    write_states,
)

LENGTHS = [3, 1, 5]


def make_states(lengths=LENGTHS, hidden=8):
    """Return states of sentences, (length, hidden)."""
    torch.manual_seed(0)
    return [torch.randn(length, hidden) for length in lengths]


def read_rows(folder):
    """Return the rows of a split with the states of a folder."""
    sentences = Dataset.from_dict({"input_ids": [[1]] * len(LENGTHS)})
    joined = join_states(sentences, folder, "train")
    return [joined[index] for index in range(len(LENGTHS))]


@pytest.mark.parametrize("column", [ENCODER_STATES, DECODER_STATES])
@pytest.mark.parametrize("is_rounded", [True, False])
def test_states_come_back_padded(tmp_path, column, is_rounded):
    """Rounded ones are those of bf16, the others are exact; the mask has the lengths."""
    states = make_states()
    write_states(
        iter(states), column, locate_states(tmp_path, "train", column), is_rounded=is_rounded
    )
    rows = read_rows(tmp_path)
    batch = collate_states(rows, column)
    assert batch is not None
    assert batch.shape == (3, 5, 8)
    assert mask_states(rows, column).sum(1).tolist() == LENGTHS
    for row, expected in zip(batch, states, strict=True):
        kept = expected.bfloat16() if is_rounded else expected
        assert torch.equal(row[: len(expected)].float(), kept.float())
        assert not row[len(expected) :].any()


def test_rounding_halves_the_bytes(tmp_path):
    """A number takes two bytes instead of four."""
    sizes = []
    for is_rounded in (True, False):
        file = locate_states(tmp_path, f"{is_rounded}", ENCODER_STATES)
        write_states(iter(make_states()), ENCODER_STATES, file, is_rounded=is_rounded)
        sizes.append(sum(len(row[ENCODER_STATES]) for row in open_arrow(file)))
    assert sizes == [2 * 8 * sum(LENGTHS), 4 * 8 * sum(LENGTHS)]


@pytest.mark.parametrize(
    ("column", "dtype"), [(ENCODER_STATES, torch.float32), (DECODER_STATES, torch.bfloat16)]
)
def test_a_file_of_an_earlier_version_is_read(tmp_path, column, dtype):
    """It does not have the size of a number, which was fixed for each column."""
    import pyarrow as pa

    states = [rows.to(dtype) for rows in make_states()]
    records = [{column: rows.view(torch.uint8).numpy().tobytes(), "hidden": 8} for rows in states]
    schema = pa.schema([(column, pa.large_binary()), ("hidden", pa.int32())])
    write_arrow(iter(records), locate_states(tmp_path, "train", column), schema)
    rows = read_rows(tmp_path)
    batch = collate_states(rows, column)
    assert batch is not None
    for row, expected in zip(batch, states, strict=True):
        assert torch.equal(row[: len(expected)], expected)
