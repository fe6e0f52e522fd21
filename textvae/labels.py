"""Labels: the classes that condition a model, by name and by number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.errors import ConfigError, DataError
from textvae.parts import choose

SHOWN = 20  # labels that a message lists


@dataclass(frozen=True)
class Labels:
    """The labels a model knows.

    Attributes:
        column: where a table has them.
        names: in their numbers' order.
        counts: training sentences of each; their shares are p(y).
    """

    column: str
    names: tuple[str, ...]
    counts: tuple[int, ...]

    def number(self, name: str) -> int:
        """Return a label's number.

        Raises:
            ConfigError: it is unknown; those there are are listed.
        """
        return choose({known: number for number, known in enumerate(self.names)}, str(name), "label")

    def ids(self, names: Iterable[str]) -> Tensor:
        """Return the numbers of labels, (n,).

        Raises:
            ConfigError: one is unknown.
        """
        return torch.tensor([self.number(name) for name in names], dtype=torch.long)


def listed(names: Sequence[str]) -> str:
    """Return labels as a message lists them: the first of them where there are many."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def demanded(labels: Labels | None, option: str) -> Labels:
    """Return a model's labels, or refuse an option that is for conditional models.

    Raises:
        ConfigError: the model is unconditional.
    """
    if labels is None:
        raise ConfigError(
            f"{option} is for a model with labels, and this one was trained without: leave it out, "
            "or train one with data.label=COLUMN."
        )
    return labels


def one_each(labels: Labels | None, given: Sequence[str] | None, count: int) -> Sequence[str] | None:
    """Return the labels of texts, if any were given.

    Raises:
        ConfigError: the model is unconditional.
        DataError: they are not as many as the texts.
    """
    if isinstance(given, str):
        raise DataError(f"labels is the string {given[:60]!r}; expected a list, one label for each text.")
    if given is not None and len(given) != count:
        raise DataError(f"{len(given)} labels for {count} texts; wanted is one for each.")
    if given is not None:
        demanded(labels, "labels")
    return given
