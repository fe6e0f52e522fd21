"""Labels: the classes that condition a model, by name and by id."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.data.row_report import shorten_list
from textvae.data.tables import as_label
from textvae.data.texts import require_labels
from textvae.errors import ConfigError, DataError
from textvae.schema import choose

_ZERO_FRACTION = re.compile(r"(?<=\d)\.0+$")  # as in `1.0`, a whole number

_TRUTH_VALUES = ("true", "false")

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

    def to_id(self, name: object) -> int:
        """Return the id of a label, which may be written in another way: 1.0 stands for `1`.

        Raises:
            ConfigError: the label is unknown; the message lists the known ones.
        """
        ids = {known: label_id for label_id, known in enumerate(self.names)}
        text = as_label(name)
        if text not in ids:
            # Python spells a truth value `True` and JSON `true`; pandas turns 1 into 1.0.
            same = [known for known in self.names if _unify(known) == _unify(text)]
            text = same[0] if same else text
        return choose(ids, text, "label")

    def to_ids(self, names: Iterable[object]) -> Tensor:
        """Return the ids of labels, (n,).

        Raises:
            ConfigError: a label is unknown.
        """
        return torch.tensor([self.to_id(name) for name in names], dtype=torch.long)


def format_names(names: Sequence[str]) -> str:
    """Return labels as a message lists them: all of them, or the first ones and a count."""
    return shorten_list(names, _MAX_LISTED_NAMES)


def check_spelling(names: Iterable[str]) -> None:
    """Refuse two labels that are the same whole number or truth value, such as `1` and `1.0`.

    Libraries for tables turn a column of integers into floats if a value is missing, and
    JSON spells truth values in its own way, so the same label can be spelled differently
    in two files.

    Raises:
        DataError: two labels are one number, or one truth value, in two spellings.
    """
    spellings: dict[str, str] = {}
    for name in sorted(set(names)):
        other = spellings.setdefault(_unify(name), name)
        if other != name:
            what = "truth value" if name.lower() in _TRUTH_VALUES else "number"
            raise DataError(
                f"the labels {other!r} and {name!r} are one {what} in two spellings; "
                "use the same spelling for both."
            )


def _unify(name: str) -> str:
    """Return the spelling that all spellings of one whole number or truth value have in common."""
    if name.lower() in _TRUTH_VALUES:
        return name.lower()
    return _ZERO_FRACTION.sub("", name)


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
    names = list_label_names(listed)
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"text {number} has no label; add one, or leave the text out.")
    return names


def list_label_names(labels: Iterable[object]) -> list[str]:
    """Return the labels of texts as strings; a missing one is an empty string.

    Raises:
        DataError: a label is a list or the like; the message has the number of its text.
    """
    names = []
    for number, label in enumerate(labels):
        try:
            names.append(as_label(label))
        except DataError as error:
            raise DataError(f"text {number}: {error}") from None
    return names
