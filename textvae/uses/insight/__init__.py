"""Insight: what each dimension of z goes with, in texts with columns beside them.

columns.py           a column as numbers or as classes
associations.py      each dimension with each column, and with words
disentanglement.py   whether a column stands in one dimension: MIG, SAP, DCI
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textvae.bundle import Bundle
from textvae.errors import DataError
from textvae.uses.encode import posterior
from textvae.uses.insight.associations import associations, telling_words
from textvae.uses.insight.columns import Column
from textvae.uses.insight.disentanglement import disentanglement

LENGTH = "length"
FEWEST = 20  # texts


def insight(
    bundle: Bundle, texts: Sequence[str], columns: Mapping[str, Sequence[Any]], progress: bool = False
) -> dict[str, Any]:
    """Return what the dimensions of z go with; the number of words, `length`, is always among the columns.

    Keys: `dimensions`, a record each, those of most variance first: `dimension`,
    from 0, `variance` of its posterior mean over the texts, `associations` by column
    (`associations.associations`), and the words that go with `low` and `high` values;
    and `disentanglement` (`disentanglement.disentanglement`).

    Raises:
        DataError: there are too few texts, or a column tells nothing.
        ConfigError: the model is a language model; scikit-learn is missing.
    """
    if len(texts) < FEWEST:
        raise DataError(f"{len(texts)} texts do not show what goes with what: wanted are {FEWEST} or more.")
    lengths = {LENGTH: [len(text.split()) for text in texts]}
    known = [Column.of(name, values, len(texts)) for name, values in {**lengths, **columns}.items()]
    means = posterior(bundle, texts, progress=progress).mean.double().numpy()
    variance = means.var(0, ddof=1)
    found = {column.name: associations(means, column) for column in known}
    low, high = telling_words(means, texts)
    dimensions = [
        {
            "dimension": int(place),
            "variance": float(variance[place]),
            "associations": {name: float(values[place]) for name, values in found.items()},
            "low": low[place],
            "high": high[place],
        }
        for place in (-variance).argsort()
    ]
    return {"dimensions": dimensions, "disentanglement": disentanglement(means, known)}
