"""The facade: a trained text VAE with the verbs users want."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from textvae import uses
from textvae.data.labels import check_label_count, check_spelling, require_model_labels
from textvae.data.row_report import answer_non_blank, find_texts
from textvae.data.texts import (
    describe,
    iterate_texts,
    require_columns,
    require_labels,
    require_text,
    require_texts,
)
from textvae.errors import ConfigError, DataError, ShapeError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle
from textvae.inference.encode import set_blanks_to_nan
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution
from textvae.runs.fitted import fitted_path
from textvae.runs.publishing import push_to_hub, save_with_records
from textvae.schema import validate_settings

if TYPE_CHECKING:
    from textvae.uses.attribute import Attribute


class _LearnedUses:
    """Uses of a trained model that need example texts. Blank ones are left out, and a note says how many."""

    bundle: Bundle
    folder: Path | None

    def fit_prior(
        self,
        kind: str = "gaussian_mixture",
        texts: Sequence[str] | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> dict[str, Any]:
        """Fit a gaussian_mixture, flow or diffusion to latents of `texts` (default: the run's training sentences)."""
        from textvae.runs.reference_texts import read_training_texts
        from textvae.uses.fit_prior.fit import PRIOR_KIND, fit_prior

        chosen = read_training_texts(self.folder) if texts is None else _drop_blanks(texts)
        return fit_prior(
            self.bundle, chosen, kind, fitted_path(self.folder, PRIOR_KIND, kind), seed, progress
        )

    def fit_attribute(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        name: str | None = None,
        towards: str | None = None,
    ) -> "Attribute":
        """Find the direction along which labelled texts differ; under a `name` it is kept with the run, for `edit`."""
        from textvae.uses.attribute import ATTRIBUTE_KIND, fit_attribute, save_attribute

        folder = None if name is None else fitted_path(self.folder, ATTRIBUTE_KIND, name)
        _, filled, classes = _filled_with_labels(texts, labels)
        found = fit_attribute(self.bundle, filled, classes, towards)
        if folder is not None:
            save_attribute(folder, self.bundle, found)
        return found

    def edit(
        self,
        texts: str | Sequence[str],
        attribute: "str | Attribute",
        strength: float = 1.0,
        **options: Any,
    ) -> list[str | None]:
        """Write each text again after a step along an attribute, 1 being as far as its classes lie apart.

        A blank text gives None, and a note says so.
        """
        from textvae.uses.attribute import ATTRIBUTE_KIND, load_attribute

        if isinstance(attribute, str):
            attribute = load_attribute(
                fitted_path(self.folder, ATTRIBUTE_KIND, attribute), self.bundle
            )
        listed, direction, decoding = (
            require_texts(texts),
            attribute.direction,
            uses.build_decoding_settings(**options),
        )

        def answer(places: list[int]) -> list[str]:
            return uses.edit(
                self.bundle, [listed[place] for place in places], direction, strength, decoding
            )

        return answer_non_blank(listed, answer, lambda: None)

    def index(
        self, texts: Iterable[str], name: str = "default", progress: bool = False, **options: Any
    ) -> int:
        """Index texts, as many as there are, for `neighbors`; return how many. `factory`: FAISS's name of an index.

        Each text keeps its row, counted from 1; blank texts are left out.
        """
        from textvae.uses import neighbors

        folder = fitted_path(self.folder, "index", name)
        return neighbors.index(
            self.bundle, iterate_texts(texts), folder, progress=progress, **options
        )

    def neighbors(
        self, texts: str | Sequence[str], k: int = 5, name: str = "default"
    ) -> list[list[dict[str, Any]]]:
        """Return the `k` nearest indexed sentences of each text, nearest first: `row`, `text`, cosine `similarity`.

        A blank text has none, and a note says so.
        """
        from textvae.uses.neighbors import NeighborIndex

        listed, known = (
            require_texts(texts),
            NeighborIndex(self.bundle, fitted_path(self.folder, "index", name)),
        )
        return answer_non_blank(
            listed,
            lambda places: known.neighbors([listed[place] for place in places], k),
            list,
            "without neighbors",
        )

    def fit_anomaly(
        self, texts: Sequence[str], name: str = "default", progress: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Calibrate `anomaly` on normal texts the model was not trained on. Options: `score`, `draws`, `seed`."""
        from textvae.uses.anomaly import ANOMALY_KIND, AnomalySettings, fit_anomaly

        settings = validate_settings(AnomalySettings, options, "anomaly")
        return fit_anomaly(
            self.bundle,
            _drop_blanks(texts),
            fitted_path(self.folder, ANOMALY_KIND, name),
            settings,
            progress,
        )

    def anomaly(self, texts: str | Sequence[str], name: str = "default") -> list[dict[str, Any]]:
        """Return each text's `score`, higher the stranger, `p_value`: the share of normal ones as strange, `is_cut`.

        A blank text has None for each, and a note says so.
        """
        from textvae.uses.anomaly import ANOMALY_KIND, FIELDS, anomaly

        listed, place = require_texts(texts), fitted_path(self.folder, ANOMALY_KIND, name)
        return answer_non_blank(
            listed,
            lambda places: anomaly(self.bundle, [listed[place] for place in places], place),
            lambda: dict.fromkeys(FIELDS),
        )

    def insight(
        self,
        texts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
        progress: bool = False,
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what each dimension does, `dimensions`, and `scores` of disentanglement where columns are given."""
        from textvae.uses.insight import insight

        listed, given = require_texts(texts), {} if columns is None else require_columns(columns)
        for name, values in given.items():
            if len(values) != len(listed):
                raise DataError(
                    f"column {name!r} has {len(values)} values for {len(listed)} texts; give one for each."
                )
        places = find_texts(listed)
        kept = {name: [values[place] for place in places] for name, values in given.items()}
        return insight(self.bundle, [listed[place] for place in places], kept, progress)

    def augment(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        n: int = 5,
        progress: bool = False,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Write up to `n` texts of each text's label; options: `textvae.uses.augment.AugmentSettings`."""
        from textvae.uses.augment import AugmentSettings, augment

        settings = validate_settings(AugmentSettings, {"n": n, **options}, "augment")
        places, filled, classes = _filled_with_labels(texts, labels)
        records = augment(self.bundle, filled, classes, settings, progress)
        return [
            {**record, "sources": [places[source] for source in record["sources"]]}
            for record in records
        ]


def _drop_blanks(texts: Sequence[str], name: str = "texts") -> list[str]:
    """Return the texts but blank ones, of which a note tells."""
    listed = require_texts(texts, name)
    return [listed[place] for place in find_texts(listed, name=name)]


def _filled_with_labels(
    texts: Sequence[str], labels: Sequence[Any]
) -> tuple[list[int], list[str], list[Any]]:
    """Return the places of the texts that are not blank, these texts, and their labels.

    Raises:
        DataError: there are not as many labels as texts, or one number is written in two ways.
    """
    listed, classes = require_texts(texts), require_labels(labels)
    check_spelling(str(label).strip() for label in classes)
    if len(listed) != len(classes):
        raise DataError(
            f"there are {len(listed)} texts and {len(classes)} labels; expected one label for each text."
        )
    places = find_texts(listed)
    return places, [listed[place] for place in places], [classes[place] for place in places]


_Float32Array = NDArray[np.float32]


class TextVAE(_LearnedUses):
    """A text VAE: a model and its tokenizer. The verbs that learn from texts stand in `_LearnedUses`.

    Decoding options of every verb that writes text (`do_sample, temperature,
    top_p, top_k, num_beams, max_new_tokens, seed`) are those of transformers'
    `GenerationConfig`.
    """

    def __init__(
        self,
        model: TextVAEModel,
        tokenizer: PreTrainedTokenizerBase,
        folder: str | Path | None = None,
    ) -> None:
        self.bundle = Bundle(model.eval(), tokenizer)
        self.folder = None if folder is None else Path(folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | None = None) -> "TextVAE":
        """Load a run.

        Raises:
            CheckpointError: the folder is missing, damaged, or holds something else.
        """
        bundle = load_bundle(folder, device)
        return cls(bundle.model, bundle.tokenizer, folder)

    @property
    def model(self) -> TextVAEModel:
        """The model, a `PreTrainedModel`."""
        return self.bundle.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer."""
        return self.bundle.tokenizer

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return int(self.model.config.latent_dim)

    @property
    def labels(self) -> list[str]:
        """The labels a conditional model knows, most frequent first; none of another."""
        return list(self.model.config.labels or [])

    def with_label(self, label: str) -> "TextVAE":
        """Return this conditional model with all texts, read and written, taken for one label.

        Raises:
            ConfigError: the model has no labels, or not this one.
        """
        same = TextVAE(self.model, self.tokenizer, self.folder)
        same.bundle = replace(
            self.bundle,
            fixed_label_id=require_model_labels(self.bundle.labels, "label").number(label),
        )
        return same

    def posterior(
        self, texts: str | Sequence[str], batch_size: int = 256, progress: bool = False
    ) -> Distribution:
        """Return q(z | x), in the order given: `mean`, (n, latent), `sample()`, `log_prob(z)`.

        Blank texts have NaN in all of these, and a note says which they are.
        """
        listed = require_texts(texts)
        q = uses.posterior(self.bundle, listed, batch_size, progress)
        filled = find_texts(listed, "NaN in the result")
        if len(filled) == len(listed):
            return q
        nothing = q.map(lambda tensor: torch.full_like(tensor, torch.nan))
        nothing.set_rows(filled, q.select_rows(torch.tensor(filled, dtype=torch.long)))
        return nothing

    def encode(
        self, texts: str | Sequence[str], batch_size: int = 256, progress: bool = False
    ) -> _Float32Array:
        """Return the posterior means, (n, latent), in the order given; NaN for a blank text, and a note says so."""
        listed = require_texts(texts)
        return _note_blanks(uses.encode(self.bundle, listed, batch_size, progress), listed)

    def features(
        self, texts: str | Sequence[str], kind: str = "states", batch_size: int = 256
    ) -> _Float32Array:
        """Return numbers for other models, (n, width); NaN for a blank text, and a note says so.

        `kind`: states, mean, or gaussian (with log-variance).
        """
        from textvae.uses.features import features

        listed = require_texts(texts)
        return _note_blanks(features(self.bundle, listed, kind, batch_size), listed)

    def score(
        self,
        texts: str | Sequence[str],
        samples: int = 50,
        seed: int = 0,
        progress: bool = False,
        labels: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return what the model makes of each text, in nats: ELBO, KL, IW-NLL, the surprisal of each token ...

        The keys stand in `textvae.uses.score`, their definitions in docs/measures.md. A conditional model wants
        the `labels` of the texts, or `with_label(...).score(texts)`. A blank text has None for each; a note says so.
        """
        from textvae.uses.score import FIELDS, ScoreSettings, score

        settings, listed = (
            validate_settings(ScoreSettings, {"samples": samples, "seed": seed}, "score"),
            require_texts(texts),
        )
        classes = check_label_count(self.bundle.labels, labels, len(listed))

        def answer(places: list[int]) -> list[dict[str, Any]]:
            return score(
                self.bundle,
                _select(listed, places),
                settings,
                progress,
                classes and _select(classes, places),
            )

        return answer_non_blank(listed, answer, lambda: dict.fromkeys(FIELDS))

    def decode(
        self,
        z: _Float32Array | Sequence[Sequence[float]],
        batch_size: int = 512,
        progress: bool = False,
        **options: Any,
    ) -> list[str]:
        """Write a sentence from each z, (n, latent) or (latent,); greedy by default.

        Raises:
            ShapeError: z is not of this model's latent size.
            DataError: a number in z is not finite.
        """
        latents = _as_latents(z)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ShapeError(
                f"z is {tuple(np.shape(z))}; wanted is (n, {self.latent_dim}), this model's latent size."
            )
        if not torch.isfinite(latents).all():
            raise DataError("z holds numbers that are not finite; leave them out.")
        return uses.decode_latents(
            self.bundle,
            latents,
            uses.build_decoding_settings(**options),
            False,
            batch_size=batch_size,
            progress=progress,
        )

    def reconstruct(
        self,
        texts: str | Sequence[str],
        batch_size: int = 512,
        progress: bool = False,
        labels: Sequence[str] | None = None,
        write_as: str | None = None,
        **options: Any,
    ) -> list[str | None]:
        """Encode each text and write it again from its posterior mean; greedy by default.

        A conditional model wants the `labels` of the texts, and can `write_as` another label. A blank text gives
        None, and a note says so.
        """
        listed = require_texts(texts)
        if write_as is not None:
            require_model_labels(self.bundle.labels, "write_as")
        classes, decoding = (
            check_label_count(self.bundle.labels, labels, len(listed)),
            uses.build_decoding_settings(**options),
        )

        def answer(places: list[int]) -> list[str]:
            mine = classes and _select(classes, places)
            return uses.reconstruct(
                self.bundle, _select(listed, places), decoding, batch_size, progress, mine, write_as
            )

        return answer_non_blank(listed, answer, lambda: None)

    def generate(
        self,
        n: int = 1,
        batch_size: int = 512,
        progress: bool = False,
        prior: str | None = None,
        label: str | None = None,
        **options: Any,
    ) -> list[str]:
        """Write `n` sentences from the prior, or from one that `fit_prior` fitted; tokens are sampled by default.

        `label`: of a conditional model, what they shall be; without it, each label as often as in training.
        """
        if label is not None:
            return self.with_label(label).generate(n, batch_size, progress, prior, **options)
        if prior is None:
            return uses.generate(
                self.bundle, n, uses.build_decoding_settings(**options), batch_size, progress
            )
        from textvae.uses.fit_prior.fit import PRIOR_KIND, load_prior, sample_fitted_prior

        if self.labels:
            raise ConfigError(
                "prior: what `fit_prior` fits knows no labels, and this model does: leave it out."
            )
        decoding = uses.build_decoding_settings(**options)
        z = sample_fitted_prior(
            load_prior(fitted_path(self.folder, PRIOR_KIND, prior), self.bundle), n, decoding.seed
        )
        return uses.decode_latents(
            self.bundle, z, decoding, True, batch_size=batch_size, progress=progress
        )

    def complete(self, prefix: str, n: int = 5, **options: Any) -> list[str]:
        """Write `n` sentences that begin with `prefix`; tokens are sampled by default."""
        return uses.complete(
            self.bundle, require_text(prefix, "prefix"), n, uses.build_decoding_settings(**options)
        )

    def infill(self, text: str, n: int = 5, **options: Any) -> list[dict[str, Any]]:
        """Fill the blanks of `text`, written `___`: up to `n` different sentences, likeliest first.

        Each has its `text`, `fills` and `score`, log p(x) in nats; options: `InfillSettings`.
        """
        from textvae.uses.infill.infill import InfillSettings, infill

        return infill(
            self.bundle,
            require_text(text, "text"),
            validate_settings(InfillSettings, {"n": n, **options}, "infill"),
        )

    def interpolate(
        self,
        first: str,
        second: str,
        steps: int = 7,
        path: str = "linear",
        reference: Sequence[str] | None = None,
        **options: Any,
    ) -> list[str]:
        """Write the sentences on the way from `first` to `second`; greedy by default.

        `path`: linear, spherical, or density: near the `reference` sentences (default: the run's validation split).
        """
        from textvae.runs.reference_texts import read_reference_texts

        if path == "density" and reference is None:
            reference = read_reference_texts(self.folder)
        first, second = require_text(first, "first"), require_text(second, "second")
        if reference is not None:
            reference = _drop_blanks(reference, "reference")
        return uses.interpolate(
            self.bundle,
            first,
            second,
            steps,
            path,
            uses.build_decoding_settings(**options),
            reference,
        )

    def traverse(
        self,
        text: str,
        dimension: int,
        steps: int = 7,
        reference: Sequence[str] | None = None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Write `text` with one coordinate of its latent moved: each step's `value`, `coordinate` and `text`.

        Options: decoding's, and `reach`, `values` and `unit` of `textvae.uses.traverse.TraverseSettings`.
        `reference`: sentences that show how far data reach (default: the run's validation split).
        """
        from textvae.runs.reference_texts import read_reference_texts
        from textvae.uses.traverse import TraverseSettings, traverse

        given: dict[str, Any] = {
            name: options.pop(name) for name in ("reach", "values", "unit") if name in options
        }
        settings = validate_settings(TraverseSettings, {"steps": steps, **given}, "traverse")
        text, decoding = require_text(text, "text"), uses.build_decoding_settings(**options)
        given_texts = None if reference is None else _drop_blanks(reference, "reference")
        known = (
            (lambda: read_reference_texts(self.folder))
            if given_texts is None
            else (lambda: given_texts)
        )
        return traverse(self.bundle, text, dimension, settings, decoding, known)

    def analogy(self, a: str, b: str, c: str, strength: float = 1.0, **options: Any) -> str:
        """Write what is to `c` as `b` is to `a`, from z_c + strength * (z_b - z_a); greedy by default."""
        a, b, c = require_text(a, "a"), require_text(b, "b"), require_text(c, "c")
        return uses.analogy(self.bundle, a, b, c, strength, uses.build_decoding_settings(**options))

    def uncertainty(
        self, texts: str | Sequence[str], draws: int = 8, seed: int = 0, progress: bool = False
    ) -> list[dict[str, Any]]:
        """Return each text's `spread` of q(z | x), `disagreement` among decodes, `reconstruction` and its `error`.

        A blank text has None for each, and a note says so.
        """
        from textvae.uses.uncertainty import FIELDS, UncertaintySettings, uncertainty

        settings, listed = (
            validate_settings(UncertaintySettings, {"draws": draws, "seed": seed}, "uncertainty"),
            require_texts(texts),
        )
        return answer_non_blank(
            listed,
            lambda places: uncertainty(self.bundle, _select(listed, places), settings, progress),
            lambda: dict.fromkeys(FIELDS),
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Save model and tokenizer as safetensors and JSON, with the run's records and what was fitted on it."""
        save_with_records(self.bundle, self.folder, Path(folder))

    def push_to_hub(self, repository: str, private: bool = False) -> str:
        """Upload what `save_pretrained` saves to the Hugging Face hub; return its address."""
        return push_to_hub(self.bundle, self.folder, repository, private)


def _select(values: Sequence[str], places: list[int]) -> list[str]:
    """Return the values at some places."""
    return [values[place] for place in places]


def _as_latents(z: object) -> torch.Tensor:
    """Return vectors as a tensor, (n, latent) if they are as they should be.

    Raises:
        DataError: they are no numbers.
    """
    rows = list(z) if isinstance(z, Iterator) else z
    try:
        return torch.as_tensor(np.atleast_2d(np.asarray(rows, dtype=np.float32)))
    except (TypeError, ValueError):
        raise DataError(
            f"z is {describe(z)}; expected an array of numbers, one row of them for each text."
        ) from None


def _note_blanks(vectors: _Float32Array, texts: Sequence[str]) -> _Float32Array:
    """Return the vectors of texts, NaN for blank ones; say so where there are some."""
    find_texts(texts, "NaN in the result")
    return set_blanks_to_nan(vectors, texts)
