"""The loop of `augment`: write candidates, filter them, and repeat for texts with too few."""

from collections.abc import Sequence

from tqdm import tqdm

from textvae.data.labels import check_spelling
from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import posterior
from textvae.inference.memory import check_texts_fit
from textvae.terminal import is_bar_hidden
from textvae.uses.attribute import validate_labels
from textvae.uses.augment.candidates import write_candidates
from textvae.uses.augment.filters import CandidateFilter
from textvae.uses.records import AugmentedText
from textvae.uses.settings import AugmentSettings


def augment(
    bundle: Bundle,
    texts: Sequence[str],
    labels: Sequence[object],
    settings: AugmentSettings,
    progress: bool = False,
) -> list[AugmentedText]:
    """Return up to `n` new texts per input text, ordered by the input text they belong to.

    Keys: `text`; `label`, unchanged from `labels`; `method` (`sample` or
    `interpolation`); and `sources`, the indices of the input texts it was made from, all
    of the same class.

    Raises:
        DataError: a label is missing, there is one class only, or the numbers of texts
            and labels differ.
        ConfigError: the model is a language model.
    """
    names = validate_labels(texts, labels)
    check_spelling(names)
    _require_two_classes(names)
    check_texts_fit("augment.n", settings.n, bundle.model.config.latent_dim, len(texts))
    q = posterior(bundle, texts)
    candidate_filter = CandidateFilter(bundle, texts, names, settings)
    accepted: list[tuple[int, AugmentedText]] = []
    missing = [settings.n] * len(texts)
    for round_number in tqdm(
        range(settings.rounds), desc="augmenting", unit="round", disable=is_bar_hidden(progress)
    ):
        origins: list[int] = []
        for index, count in enumerate(missing):
            origins += [index] * count
        if not origins:
            break
        candidates = write_candidates(bundle, q, names, origins, settings, round_number)
        candidate_texts = [candidate.text for candidate in candidates]
        candidate_names = [names[candidate.sources[0]] for candidate in candidates]
        for index in candidate_filter.accept(candidate_texts, candidate_names):
            text, method, sources = candidates[index]
            origin = sources[0]
            missing[origin] -= 1
            label = labels[origin]
            record = AugmentedText(text=text, label=label, method=method, sources=list(sources))
            accepted.append((origin, record))
    # The sort is stable: texts of one origin stay in the order in which they were written.
    accepted.sort(key=lambda pair: pair[0])
    return [record for _, record in accepted]


def _require_two_classes(names: Sequence[str]) -> None:
    """Refuse texts of a single class.

    Raises:
        DataError: all names are the same.
    """
    if len(set(names)) < 2:
        raise DataError(
            f"every label is {names[0]!r}, but the filter compares classes; give texts of at "
            "least two classes, or use `generate` or `interpolate`."
        )
