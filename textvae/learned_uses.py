"""The verbs that learn from texts: what they learn is kept with the run, in RUN/fitted."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae import uses
from textvae.bundle import Bundle
from textvae.errors import DataError
from textvae.fitted import place_of
from textvae.given import answer_filled, find_filled
from textvae.labels import check_spelling
from textvae.parts import checked
from textvae.texts import iterate_texts, require_columns, require_labels, require_texts

if TYPE_CHECKING:
    from textvae.uses.attribute import Attribute


class LearnedUses:
    """Uses of a trained model that need example texts. Blank ones are left out, and a note says how many."""

    bundle: Bundle
    folder: Path | None

    def fit_prior(
        self, kind: str = "gaussian_mixture", texts: Sequence[str] | None = None, seed: int = 0, progress: bool = False
    ) -> dict[str, Any]:
        """Fit a gaussian_mixture, flow or diffusion to latents of `texts` (default: the run's training sentences)."""
        from textvae.uses.fit_prior import KIND, fit_prior
        from textvae.uses.reference import training_texts

        chosen = training_texts(self.folder) if texts is None else drop_blanks(texts)
        return fit_prior(self.bundle, chosen, kind, place_of(self.folder, KIND, kind), seed, progress)

    def fit_attribute(
        self, texts: Sequence[str], labels: Sequence[Any], name: str | None = None, towards: str | None = None
    ) -> "Attribute":
        """Find the direction along which labelled texts differ; under a `name` it is kept with the run, for `edit`."""
        from textvae.uses.attribute import KIND, fit_attribute, save_attribute

        folder = None if name is None else place_of(self.folder, KIND, name)
        _, filled, classes = filled_with_labels(texts, labels)
        found = fit_attribute(self.bundle, filled, classes, towards)
        if folder is not None:
            save_attribute(folder, self.bundle, found)
        return found

    def edit(
        self, texts: str | Sequence[str], attribute: "str | Attribute", strength: float = 1.0, **options: Any
    ) -> list[str | None]:
        """Write each text again after a step along an attribute, 1 being as far as its classes lie apart.

        A blank text gives None, and a note says so.
        """
        from textvae.uses.attribute import KIND, load_attribute

        if isinstance(attribute, str):
            attribute = load_attribute(place_of(self.folder, KIND, attribute), self.bundle)
        listed, direction, decoding = require_texts(texts), attribute.direction, uses.decoding(**options)

        def answer(places: list[int]) -> list[str]:
            return uses.edit(self.bundle, [listed[place] for place in places], direction, strength, decoding)

        return answer_filled(listed, answer, lambda: None)

    def index(self, texts: Iterable[str], name: str = "default", progress: bool = False, **options: Any) -> int:
        """Index texts, as many as there are, for `neighbours`; return how many. `factory`: FAISS's name of an index.

        Each text keeps its row, counted from 1; blank texts are left out.
        """
        from textvae.uses import neighbours

        folder = place_of(self.folder, "index", name)
        return neighbours.index(self.bundle, iterate_texts(texts), folder, progress=progress, **options)

    def neighbours(self, texts: str | Sequence[str], k: int = 5, name: str = "default") -> list[list[dict[str, Any]]]:
        """Return the `k` nearest indexed sentences of each text, nearest first: `row`, `text`, cosine `similarity`.

        A blank text has none, and a note says so.
        """
        from textvae.uses.neighbours import Index

        listed, known = require_texts(texts), Index(self.bundle, place_of(self.folder, "index", name))
        return answer_filled(
            listed, lambda places: known.neighbours([listed[place] for place in places], k), list, "without neighbours"
        )

    def fit_anomaly(
        self, texts: Sequence[str], name: str = "default", progress: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Calibrate `anomaly` on normal texts the model was not trained on. Options: `score`, `draws`, `seed`."""
        from textvae.uses.anomaly import KIND, AnomalySettings, fit_anomaly

        settings = checked(AnomalySettings, options, "anomaly")
        return fit_anomaly(self.bundle, drop_blanks(texts), place_of(self.folder, KIND, name), settings, progress)

    def anomaly(self, texts: str | Sequence[str], name: str = "default") -> list[dict[str, Any]]:
        """Return each text's `score`, higher the stranger, `p_value`: the share of normal ones as strange, `is_cut`.

        A blank text has None for each, and a note says so.
        """
        from textvae.uses.anomaly import FIELDS, KIND, anomaly

        listed, place = require_texts(texts), place_of(self.folder, KIND, name)
        return answer_filled(
            listed,
            lambda places: anomaly(self.bundle, [listed[place] for place in places], place),
            lambda: dict.fromkeys(FIELDS),
        )

    def insight(
        self, texts: Sequence[str], columns: Mapping[str, Sequence[Any]] | None = None, progress: bool = False
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what each dimension does, `dimensions`, and `scores` of disentanglement where columns are given."""
        from textvae.uses.insight import insight

        listed, given = require_texts(texts), {} if columns is None else require_columns(columns)
        for name, values in given.items():
            if len(values) != len(listed):
                raise DataError(f"column {name!r} has {len(values)} values for {len(listed)} texts; give one for each.")
        places = find_filled(listed)
        kept = {name: [values[place] for place in places] for name, values in given.items()}
        return insight(self.bundle, [listed[place] for place in places], kept, progress)

    def augment(
        self, texts: Sequence[str], labels: Sequence[Any], n: int = 5, progress: bool = False, **options: Any
    ) -> list[dict[str, Any]]:
        """Write up to `n` texts of each text's label; options: `textvae.uses.augment.AugmentSettings`."""
        from textvae.uses.augment import AugmentSettings, augment

        settings = checked(AugmentSettings, {"n": n, **options}, "augment")
        places, filled, classes = filled_with_labels(texts, labels)
        records = augment(self.bundle, filled, classes, settings, progress)
        return [{**record, "sources": [places[source] for source in record["sources"]]} for record in records]


def drop_blanks(texts: Sequence[str], name: str = "texts") -> list[str]:
    """Return the texts but blank ones, of which a note tells."""
    listed = require_texts(texts, name)
    return [listed[place] for place in find_filled(listed, name=name)]


def filled_with_labels(texts: Sequence[str], labels: Sequence[Any]) -> tuple[list[int], list[str], list[Any]]:
    """Return the places of the texts that are not blank, these texts, and their labels.

    Raises:
        DataError: there are not as many labels as texts, or one number is written in two ways.
    """
    listed, classes = require_texts(texts), require_labels(labels)
    check_spelling(str(label).strip() for label in classes)
    if len(listed) != len(classes):
        raise DataError(f"there are {len(listed)} texts and {len(classes)} labels; expected one label for each text.")
    places = find_filled(listed)
    return places, [listed[place] for place in places], [classes[place] for place in places]
