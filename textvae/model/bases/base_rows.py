"""The rows of an embedding that a model has from its base, and those that only the model has.

A decoder's vocabulary may have fewer tokens than that of its base, or a few new ones. As long
as its embedding is frozen, a run needs only two things: which row of the base each token has,
and the rows of the tokens that the base lacks. With 150,000 tokens this is less than a megabyte,
where the whole embedding would be hundreds.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from textvae.errors import ConfigError
from textvae.model.bases.settings import BaseRecord

_NEW = -1  # in place of the row of a token that the base lacks


class BaseRows(nn.Module):
    """Where the rows of frozen embeddings come from; saved with the model as buffers.

    Args:
        record: says whether the vocabulary differs from that of the base.
        tables: the frozen weights with a row for each token, by name.
        vocab: number of tokens.

    Shapes:
        base_rows: (vocab,), the row that each token has in the base, or -1
        new_rows_0, new_rows_1: (new tokens, hidden), the other rows of each table
    """

    def __init__(self, record: BaseRecord, tables: Mapping[str, Tensor], vocab: int) -> None:
        super().__init__()
        new_tokens = record.new_tokens
        self.buffer_names: dict[str, str] = {}
        if not record.is_needed or not record.has_own_vocabulary or new_tokens is None:
            return
        for number, (name, table) in enumerate(tables.items()):
            # Names of parameters have dots, which names of buffers may not have.
            self.buffer_names[name] = f"new_rows_{number}"
            self.register_buffer(f"new_rows_{number}", torch.zeros(new_tokens, table.shape[1]))
        if tables:
            self.register_buffer("base_rows", torch.zeros(vocab, dtype=torch.int32))

    @classmethod
    def make_unused(cls) -> Self:
        """Return an object without buffers, for a model that keeps all embeddings itself."""
        return cls(BaseRecord(config={}), {}, 0)

    @property
    def is_used(self) -> bool:
        """Whether the model keeps only the rows that its base lacks."""
        return bool(self.buffer_names)

    @torch.no_grad()
    def note(self, rows: Sequence[int | None], tables: Mapping[str, Tensor]) -> None:
        """Keep the row of each token, and the rows that the base lacks, as the model is built.

        Args:
            rows: the row of each token in the base; None for a token that it lacks.
            tables: the weights, after the rows of the base have been copied to them.
        """
        if not self.is_used:
            return
        numbers = [_NEW if row is None else row for row in rows]
        base_rows = self.get_buffer("base_rows")
        base_rows.copy_(torch.tensor(numbers, dtype=torch.int32))
        for name, buffer_name in self.buffer_names.items():
            self.get_buffer(buffer_name).copy_(tables[name][base_rows == _NEW])

    @torch.no_grad()
    def restore(self, name: str, table: Tensor, source: Tensor) -> None:
        """Fill a table of the model, (vocab, hidden), from that of the base, in place.

        Raises:
            ConfigError: the base has another vocabulary than it had.
        """
        base_rows = torch.arange(len(table))
        if self.is_used:
            base_rows = self.get_buffer("base_rows").cpu().long()
        is_new = base_rows == _NEW
        if int(base_rows.max()) >= len(source) or source.shape[1] != table.shape[1]:
            raise ConfigError(
                f"the base has an embedding of shape {tuple(source.shape)}: it is not the model "
                "that this one was built on."
            )
        table.copy_(source[base_rows.clamp(min=0)])
        if bool(is_new.any()):
            table[is_new.to(table.device)] = self.get_buffer(self.buffer_names[name]).to(
                table.dtype
            )
