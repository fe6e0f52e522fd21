"""Labels: the classes that condition a model, by name and by id."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.data.tables import as_label
from textvae.data.texts import require_labels
from textvae.errors import ConfigError, DataError
from textvae.schema import choose

_ZERO_FRACTION = re.compile(r"(?<=\d)\.0+$")  # as in `1.0`, a whole number

_MAX_LISTED_NAMES = 20  # labels that a message lists


@dataclass(frozen=True)
class Labels:
    """The labels that a model knows.

    Attributes:
        column: the column of the corpus that holds them.
        names: the labels; a label's position is its id.
        counts: training sentences per label, in the order of `names`; their shares are p(y).
    """

    column: str
    names: tuple[str, ...]
    counts: tuple[int, ...]

    def to_id(self, name: str) -> int:
        """Return the id of a label.

        Raises:
            ConfigError: the label is unknown; the message lists the known ones.
        """
        ids = {known: label_id for label_id, known in enumerate(self.names)}
        return choose(ids, str(name), "label")

    def to_ids(self, names: Iterable[str]) -> Tensor:
        """Return the ids of labels, (n,).

        Raises:
            ConfigError: a label is unknown.
        """
        return torch.tensor([self.to_id(name) for name in names], dtype=torch.long)


def format_names(names: Sequence[str]) -> str:
    """Return labels as a message lists them: all of them, or the first ones and a count."""
    listed = ", ".join(names[:_MAX_LISTED_NAMES])
    rest = len(names) - _MAX_LISTED_NAMES
    if rest > 0:
        return f"{listed} and {rest} more"
    return listed


def check_spelling(names: Iterable[str]) -> None:
    """Refuse two labels that are the same whole number, such as `1` and `1.0`.

    Libraries for tables turn a column of integers into floats if a value is missing,
    so the same label can be spelled differently in two files.

    Raises:
        DataError: two labels are one number in two spellings.
    """
    known = set(names)
    for name in sorted(known):
        whole = _ZERO_FRACTION.sub("", name)
        if whole != name and whole in known:
            raise DataError(
                f"the labels {whole!r} and {name!r} are one number in two spellings; "
                "use the same spelling for both."
            )


def require_model_labels(labels: Labels | None, option: str) -> Labels:
    """Return a model's labels, or refuse an option that is only for conditional models.

    Args:
        option: the name of the option, for the message.

    Raises:
        ConfigError: the model is unconditional.
    """
    if labels is None:
        raise ConfigError(
            f"{option} is for a model with labels, but this one was trained without any: "
            f"leave {option} out, or train a model with data.label=COLUMN."
        )
    return labels


def require_label_per_text(
    labels: Labels | None, label_names: object, count: int
) -> list[str] | None:
    """Return the labels of `count` texts as strings, or None if `label_names` is None.

    Args:
        labels: the labels that the model knows; None for an unconditional model.
        label_names: a sequence or a column with one label per text.
        count: the number of texts.

    Raises:
        ConfigError: the model is unconditional.
        DataError: there is not one label per text, or a label is missing.
    """
    if label_names is None:
        return None
    listed = require_labels(label_names)
    if len(listed) != count:
        raise DataError(f"got {len(listed)} labels for {count} texts; expected one label per text.")
    require_model_labels(labels, "labels")
    # Blank cells of a table and NaN of pandas count as missing, not as labels of their own.
    names = [as_label(label) for label in listed]
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"text {number} has no label; add one, or leave the text out.")
    return names
