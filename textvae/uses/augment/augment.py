"""The loop: propose, filter, and propose again what was refused."""

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import posterior
from textvae.uses.attribute import validate_labels
from textvae.uses.augment.candidates import write_candidates
from textvae.uses.augment.filters import CandidateFilter
from textvae.uses.augment.settings import AugmentSettings

_AugmentedText = dict[str, Any]


def augment(
    bundle: Bundle,
    texts: Sequence[str],
    labels: Sequence[Any],
    settings: AugmentSettings,
    progress: bool = False,
) -> list[_AugmentedText]:
    """Return new texts with labels, those of the first given text first: fewer than `n` each where filters refuse.

    Keys: `text`, `label` as it was given, `method` (`sample` or `interpolation`)
    and `sources`, the places of the texts it was made from, whose class it has.

    Raises:
        DataError: a label is missing, there is one class only, or not one label a text.
        ConfigError: the model is a language model.
    """
    names = validate_labels(texts, labels)
    if len(set(names)) < 2:
        raise DataError(
            f"every label is {names[0]!r}: with one class nothing tells a text of it from others. Give two classes, "
            "or use `generate` and `interpolate`."
        )
    given = posterior(bundle, texts)
    filters = CandidateFilter(bundle, texts, names, settings)
    found: list[tuple[int, _AugmentedText]] = []
    lacking = [settings.n] * len(texts)
    for turn in tqdm(range(settings.rounds), desc="augmenting", unit="round", disable=not progress):
        origins = [place for place, count in enumerate(lacking) for _ in range(count)]
        if not origins:
            break
        proposals = write_candidates(bundle, given, names, origins, settings, turn)
        for place in filters.kept(
            [one.text for one in proposals], [names[one.sources[0]] for one in proposals]
        ):
            text, method, sources = proposals[place]
            lacking[sources[0]] -= 1
            record = {
                "text": text,
                "label": labels[sources[0]],
                "method": method,
                "sources": sources,
            }
            found.append((sources[0], record))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]
