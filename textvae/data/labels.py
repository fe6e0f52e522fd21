"""Labels: the classes that condition a model, by name and by number."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.data.tables import as_label
from textvae.data.texts import require_labels
from textvae.errors import ConfigError, DataError
from textvae.schema import choose

_FRACTION = re.compile(r"(?<=\d)\.0+$")  # of nothing


_MAX_LISTED_NAMES = 20  # labels that a message lists


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
        return choose(
            {known: number for number, known in enumerate(self.names)}, str(name), "label"
        )

    def ids(self, names: Iterable[str]) -> Tensor:
        """Return the numbers of labels, (n,).

        Raises:
            ConfigError: one is unknown.
        """
        return torch.tensor([self.number(name) for name in names], dtype=torch.long)


def format_names(names: Sequence[str]) -> str:
    """Return labels as a message lists them: the first of them where there are many."""
    rest = len(names) - _MAX_LISTED_NAMES
    return ", ".join(names[:_MAX_LISTED_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def check_spelling(names: Iterable[str]) -> None:
    """Refuse two labels that are one whole number, `1` and `1.0`.

    Libraries for tables write the whole numbers of a column that has gaps as fractions.

    Raises:
        DataError: there are such labels.
    """
    known = set(names)
    for name in sorted(known):
        whole = _FRACTION.sub("", name)
        if whole != name and whole in known:
            raise DataError(
                f"the labels {whole!r} and {name!r} are one number in two spellings; write it one way only."
            )


def require_model_labels(labels: Labels | None, option: str) -> Labels:
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


def check_label_count(labels: Labels | None, given: object, count: int) -> list[str] | None:
    """Return the labels of texts, if any were given.

    Raises:
        ConfigError: the model is unconditional.
        DataError: they are not as many as the texts, or one is missing.
    """
    if given is None:
        return None
    listed = require_labels(given)
    if len(listed) != count:
        raise DataError(f"{len(listed)} labels for {count} texts; wanted is one for each.")
    require_model_labels(labels, "labels")
    for place, label in enumerate(listed):
        if not as_label(label):
            raise DataError(f"text {place} has no label; give it one, or leave the text out.")
    return [as_label(label) for label in listed]
