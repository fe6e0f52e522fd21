"""Some of many items, evenly spaced: those at the beginning may differ from the others."""

from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def take_evenly(items: Sequence[_Item], most: int) -> list[_Item]:
    """Return at most `most` of the items, such as texts or numbers of rows, evenly spaced."""
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]
