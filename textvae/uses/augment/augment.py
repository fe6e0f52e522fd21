"""The loop: propose, filter, and propose again what was refused."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field
from tqdm import tqdm

from textvae.bundle import Bundle
from textvae.errors import DataError
from textvae.parts import StrictSettings
from textvae.uses.attribute import checked_labels
from textvae.uses.augment.filters import Filters
from textvae.uses.augment.proposals import propose
from textvae.uses.encode import posterior

Record = dict[str, Any]


class AugmentSettings(StrictSettings):
    """How many texts are written, from where, and which are kept; the defaults were chosen on validation draws."""

    n: int = Field(5, ge=1, description="texts for each given one")
    spread: float = Field(1.0, ge=0, description="draws lie this many times as far from the mean as the posterior's")
    interpolated: float = Field(0.5, ge=0, le=1, description="share that lies between two texts of a class")
    temperature: float = Field(0.7, gt=0, description="of the words; near 0 the likeliest are taken")
    quantile: float = Field(1.0, gt=0, le=1, description="of the given texts' nats a token, for what is plausible")
    rounds: int = Field(4, ge=1, description="most tries for each text")
    seed: int = Field(0, ge=0, lt=2**63)


def augment(
    bundle: Bundle, texts: Sequence[str], labels: Sequence[Any], settings: AugmentSettings, progress: bool = False
) -> list[Record]:
    """Return new texts with labels, those of the first given text first: fewer than `n` each where filters refuse.

    Keys: `text`, `label` as it was given, `method` (`sample` or `interpolation`)
    and `sources`, the places of the texts it was made from, whose class it has.

    Raises:
        DataError: a label is missing, there is one class only, or not one label a text.
        ConfigError: the model is a language model.
    """
    names = checked_labels(texts, labels)
    if len(set(names)) < 2:
        raise DataError(
            f"every label is {names[0]!r}: with one class nothing tells a text of it from others. Give two classes, "
            "or use `generate` and `interpolate`."
        )
    given = posterior(bundle, texts)
    filters = Filters(bundle, texts, names, settings)
    found: list[tuple[int, Record]] = []
    lacking = [settings.n] * len(texts)
    for turn in tqdm(range(settings.rounds), desc="augmenting", unit="round", disable=not progress):
        origins = [place for place, count in enumerate(lacking) for _ in range(count)]
        if not origins:
            break
        proposals = propose(bundle, given, names, origins, settings, turn)
        for place in filters.kept([one.text for one in proposals], [names[one.sources[0]] for one in proposals]):
            text, method, sources = proposals[place]
            lacking[sources[0]] -= 1
            record = {"text": text, "label": labels[sources[0]], "method": method, "sources": sources}
            found.append((sources[0], record))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]
