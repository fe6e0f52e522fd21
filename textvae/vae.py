"""`TextVAE`, the main class of the library: a trained model and everything it can do."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from transformers import PreTrainedTokenizerBase

from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.labels import (
    list_label_names,
    require_label_per_text,
    require_model_labels,
)
from textvae.data.row_report import answer_non_blank, find_texts
from textvae.data.texts import (
    describe,
    iterate_texts,
    require_columns,
    require_labels,
    require_text,
    require_texts,
)
from textvae.data.vectors import require_vectors
from textvae.errors import ConfigError, DataError, did_you_mean
from textvae.evaluation.settings import (
    DEFAULT_IMPORTANCE_SAMPLES,
    DEFAULT_MEASURE_SETTINGS,
    EvaluateSettings,
    MeasureSettings,
)
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle
from textvae.inference.decoding import build_decoding_settings, decode_latents
from textvae.inference.encode import encode, posterior, set_blanks_to_nan
from textvae.inference.generate import generate
from textvae.inference.settings import DecodingSettings
from textvae.inference.unsupported_options import refuse_unsupported_options
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution
from textvae.runs.fitted import fitted_path
from textvae.runs.hub import locate_run
from textvae.runs.reference_texts import (
    Split,
    read_reference_texts,
    read_split_texts,
    read_training_texts,
)
from textvae.runs.run import Run
from textvae.runtime.device import choose_device
from textvae.runtime.hub import Hub
from textvae.runtime.paths import require_path
from textvae.schema import StrictSettings, require_integer, validate_settings
from textvae.settings.card import CardSettings
from textvae.terminal import quote_value
from textvae.uses.complete import complete
from textvae.uses.edit import analogy, edit
from textvae.uses.embeddings import decode_embeddings, embed, encode_embeddings
from textvae.uses.interpolate import interpolate
from textvae.uses.options import (
    AnomalyOptions,
    AugmentOptions,
    CardOptions,
    DecodingOptions,
    InfillOptions,
    ScoreOptions,
    SingleDecodingOptions,
    TraverseAndDecodingOptions,
    UncertaintyOptions,
    VaryAndDecodingOptions,
)
from textvae.uses.reconstruct import reconstruct
from textvae.uses.records import (
    Anomaly,
    AnomalyCalibration,
    AugmentedText,
    Evaluation,
    Export,
    FittedPriorRecord,
    Infill,
    Insight,
    Neighbor,
    Score,
    TraversalStep,
    Uncertainty,
    Variation,
)
from textvae.uses.settings import (
    AnomalySettings,
    AugmentSettings,
    CompleteSettings,
    DecodeEmbeddingsSettings,
    EditSettings,
    ExportFormat,
    ExportSettings,
    FeatureKind,
    FitPriorSettings,
    GenerateSettings,
    IndexedVectors,
    IndexSettings,
    InfillSettings,
    InterpolateSettings,
    InterpolationPath,
    NeighborsSettings,
    PriorKind,
    RefineSettings,
    ScoreSettings,
    TraverseSettings,
    UncertaintySettings,
    VarySettings,
)

if TYPE_CHECKING:
    from textvae.uses.attribute import Attribute
    from textvae.uses.numeric_attribute import NumericAttribute

Array = NDArray[np.float32]

_Settings = TypeVar("_Settings", bound=StrictSettings)


class TextVAE:
    """A trained text VAE: a model, its tokenizer, and methods that use them.

    Methods that generate text accept the decoding options of transformers'
    `GenerationConfig` as keyword arguments of the same names (`DecodingOptions`). With
    `num_return_sequences`, the texts from one latent are next to each other in the result.
    Results are in the order of the texts. The result of a blank text is NaN, None, or
    a record in which every value is None, and a note on standard error lists the blank texts.

    Attributes:
        bundle: the model and its tokenizer.
        folder: the run folder that the model was loaded from, in which fitted priors, attributes
            and indices are saved; None for a model that was not loaded from a folder.
    """

    def __init__(
        self,
        model: TextVAEModel,
        tokenizer: PreTrainedTokenizerBase,
        folder: str | Path | None = None,
        *,
        encoder_tokenizer: EncoderTokenizer | None = None,
    ) -> None:
        if model.encoder.has_own_tokens and encoder_tokenizer is None:
            raise ConfigError(
                "this model's encoder has its own tokens: pass its `encoder_tokenizer`, or load "
                "model and tokenizers with `from_pretrained`."
            )
        self.bundle = Bundle(model.eval(), tokenizer, encoder_tokenizer)
        self.folder = None if folder is None else require_path(folder, "folder")

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: str | None = None,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
    ) -> "TextVAE":
        """Load a model and its tokenizer from a run folder, or from the Hugging Face Hub.

        Args:
            folder: a run folder, or the name of a repository, `owner/name`. An existing path is
                never taken for a name.
            device: cpu or cuda; by default a GPU if there is one.
            revision: a branch, a tag or a commit of the repository; by default the main branch.
            token: a token of the hub; by default that of `hf auth login`, or HF_TOKEN.
            cache_dir: where to keep what is downloaded; by default the cache of Hugging Face.

        Raises:
            CheckpointError: the folder is missing, damaged, or holds something else; or the hub
                does not show the repository, or cannot be asked.
        """
        path = locate_run(folder, revision, token=token, cache_dir=cache_dir)
        bundle = load_bundle(path, device)
        return cls(bundle.model, bundle.tokenizer, path, encoder_tokenizer=bundle.encoder_tokenizer)

    @property
    def model(self) -> TextVAEModel:
        """The model, a `PreTrainedModel`."""
        return self.bundle.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer."""
        return self.bundle.tokenizer

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return self.bundle.device

    def to(self, device: str | torch.device) -> "TextVAE":
        """Move the model to a device, such as `cpu`, `cuda`, `cuda:1` or `mps`; return `self`.

        Views made by `with_label` share the model, and move with it.

        Raises:
            ConfigError: the device is unknown, or torch does not find it on this machine.
        """
        if device is None:
            raise ConfigError("device = None: expected a name, such as cpu or cuda.")
        self.model.to(choose_device(device))
        return self

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return int(self.model.config.latent_dim)

    @property
    def labels(self) -> list[str]:
        """The labels of a conditional model, most frequent first; empty for any other model."""
        return list(self.model.config.labels or [])

    def with_label(self, label: str) -> "TextVAE":
        """Return a view of this conditional model that treats every text as having this label.

        Raises:
            ConfigError: the model has no labels, or does not know this one.
        """
        number = require_model_labels(self.bundle.labels, "label").to_id(label)
        return self._view(number)

    def without_label(self) -> "TextVAE":
        """Return the model of a view that `with_label` made; any other model is returned as it is."""
        return self if self.bundle.fixed_label_id is None else self._view(None)

    def _view(self, label_id: int | None) -> "TextVAE":
        """Return a view of this model with the number of a label for all texts, or without one."""
        view = TextVAE(
            self.model,
            self.tokenizer,
            self.folder,
            encoder_tokenizer=self.bundle.encoder_tokenizer,
        )
        view.bundle = replace(self.bundle, fixed_label_id=label_id)
        return view

    def __repr__(self) -> str:
        """Return a summary in one line: the parts, the sizes, the device and the run."""
        described = ", ".join(f"{name}={value}" for name, value in self._describe().items())
        return f"TextVAE({described})"

    def _repr_html_(self) -> str:
        """Return the summary as a table, for notebooks; it may quote what files say."""
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in self._describe().items()
        )
        return f"<table><caption>TextVAE</caption>{rows}</table>"

    def _describe(self) -> dict[str, object]:
        """Return what a summary of the model shows, by name."""
        config = self.model.config
        described: dict[str, object] = {}
        for role, settings in (
            ("encoder", config.encoder_settings),
            ("decoder", config.decoder_settings),
        ):
            described[role] = _describe_part(settings or {})
        described["latent_dim"] = self.latent_dim
        described["parameters"] = f"{sum(map(torch.Tensor.numel, self.model.parameters())):,}"
        described["device"] = self.device
        if self.labels:
            described["labels"] = len(self.labels)
        if self.bundle.fixed_label is not None:
            described["label"] = repr(self.bundle.fixed_label)
        described["run"] = None if self.folder is None else repr(str(self.folder))
        return described

    # From text to z

    def posterior(
        self, texts: str | Sequence[str], *, batch_size: int = 256, progress: bool = False
    ) -> Distribution:
        """Return q(z | x) of the texts, NaN for blank ones.

        It has `mean`, (n, latent), and the methods `sample()` and `log_prob(z)`.
        """
        listed = require_texts(texts)
        q = posterior(self.bundle, listed, require_integer(batch_size, "batch_size"), progress)
        rows = find_texts(listed, "NaN in the result")
        if len(rows) == len(listed):
            return q
        result = q.map(lambda tensor: torch.full_like(tensor, torch.nan))
        result.set_rows(rows, q.select_rows(torch.tensor(rows, dtype=torch.long)))
        return result

    def encode(
        self, texts: str | Sequence[str], *, batch_size: int = 256, progress: bool = False
    ) -> Array:
        """Return the posterior means, (n, latent); NaN for blank texts."""
        listed = require_texts(texts)
        rows_per_batch = require_integer(batch_size, "batch_size")
        return _report_blanks(encode(self.bundle, listed, rows_per_batch, progress), listed)

    def features(
        self, texts: str | Sequence[str], kind: FeatureKind = "states", *, batch_size: int = 256
    ) -> Array:
        """Return features of the texts for other models, (n, width); NaN for blank texts.

        Args:
            kind: `states`, the encoder's pooled states; `mean`, the posterior mean; `gaussian`, the
                posterior's mean and log-variance.
        """
        from textvae.uses.features import features

        listed = require_texts(texts)
        rows_per_batch = require_integer(batch_size, "batch_size")
        return _report_blanks(features(self.bundle, listed, kind, rows_per_batch), listed)

    # From z to text

    def embed(self, texts: str | Sequence[str]) -> Array:
        """Return sentence embeddings, (n, size), as the base of the encoder computes them.

        Those of blank texts are NaN.

        Raises:
            ConfigError: the encoder returns no sentence embeddings.
        """
        listed = require_texts(texts)
        return _report_blanks(embed(self.bundle, listed), listed)

    def encode_embeddings(self, embeddings: ArrayLike) -> Array:
        """Return the posterior mean z, (n, latent), of sentence embeddings, (n, size) or (size,).

        Raises:
            ConfigError: the encoder returns no sentence embeddings.
            ShapeError: the embeddings have another size than the encoder's.
            DataError: they are not an array of numbers, or one of them is not finite.
        """
        return encode_embeddings(self.bundle, embeddings)

    def decode_embeddings(
        self,
        embeddings: ArrayLike,
        *,
        candidates: int = 1,
        **decoding: Unpack[SingleDecodingOptions],
    ) -> list[str]:
        """Decode a sentence from each sentence embedding of the encoder's base; greedy by default.

        Args:
            embeddings: (n, size) or (size,), as sentence-transformers computes them.
            candidates: number of texts to choose from; the one whose own embedding is nearest is
                returned. With 1, the text is decoded as `decode` does. With more, they come from
                beam searches, of which the later ones know how far the texts so far are off.
            decoding: how the texts are decoded; with `do_sample=True`, or an option of sampling
                such as `temperature`, texts are sampled. Of several candidates, one is greedy.

        Raises:
            ConfigError: the encoder returns no sentence embeddings, or options contradict each
                other.
            ShapeError: the embeddings have another size than the encoder's.
            DataError: they are not an array of numbers, or one of them is not finite.
        """
        settings = build_decoding_settings(**decoding)
        _require_one_sequence(settings, "candidates says among how many texts to choose")
        values = {"candidates": candidates}
        checked = validate_settings(DecodeEmbeddingsSettings, values, "decode_embeddings")
        return decode_embeddings(self.bundle, embeddings, checked.candidates, settings)

    def decode(
        self,
        z: Array | Sequence[Sequence[float]],
        *,
        batch_size: int = 512,
        progress: bool = False,
        **decoding: Unpack[DecodingOptions],
    ) -> list[str]:
        """Decode a sentence from each z, (n, latent) or (latent,); greedy by default.

        Raises:
            ShapeError: z does not have this model's latent size.
            DataError: z is not an array of numbers, or one of them is not finite.
        """
        return decode_latents(
            self.bundle,
            require_vectors(z, "z", self.latent_dim, "the latent size of this model"),
            build_decoding_settings(**decoding),
            samples_by_default=False,
            batch_size=require_integer(batch_size, "batch_size"),
            progress=progress,
        )

    def reconstruct(
        self,
        texts: str | Sequence[str],
        *,
        labels: Sequence[str] | None = None,
        write_as: str | None = None,
        refine: int = 0,
        batch_size: int = 512,
        progress: bool = False,
        **decoding: Unpack[DecodingOptions],
    ) -> list[str | None]:
        """Encode each text and decode it from its posterior mean; greedy by default.

        Args:
            labels: the label of each text; only for a conditional model.
            write_as: the label to decode with instead; only for a conditional model.
            refine: gradient steps that bring the latent closer to the text's own words.
        """
        listed = require_texts(texts)
        if write_as is not None:
            require_model_labels(self.bundle.labels, "write_as")
        classes = self._require_labels(labels, len(listed))
        settings = build_decoding_settings(**decoding)
        steps = validate_settings(RefineSettings, {"refine": refine}, "reconstruct").refine
        size = require_integer(batch_size, "batch_size")

        def answer(rows: list[int]) -> list[str]:
            chosen = classes and _select(classes, rows)
            return reconstruct(
                self.bundle,
                _select(listed, rows),
                settings,
                size,
                progress,
                chosen,
                write_as,
                steps,
            )

        return _answer_sequences(listed, answer, settings)

    def generate(
        self,
        n: int = 10,
        *,
        prior: PriorKind | None = None,
        label: str | None = None,
        batch_size: int = 512,
        progress: bool = False,
        **decoding: Unpack[DecodingOptions],
    ) -> list[str]:
        """Generate `n` sentences from samples of the prior; tokens are sampled by default.

        Without a `seed`, each call writes other sentences.

        Args:
            prior: the kind of a prior fitted by `fit_prior`, to sample z from instead of the model's
                own prior.
            label: the label of every sentence, only for a conditional model; by default, labels are
                sampled with their frequencies in the training data.
        """
        if label is not None:
            view = self.with_label(label)
            return view.generate(
                n, prior=prior, batch_size=batch_size, progress=progress, **decoding
            )
        count = validate_settings(GenerateSettings, {"n": n}, "generate").n
        rows_per_batch = require_integer(batch_size, "batch_size")
        settings = build_decoding_settings(**decoding)
        if prior is None:
            return generate(self.bundle, count, settings, rows_per_batch, progress)
        from textvae.uses.fit_prior.fit import PRIOR_KIND, load_prior, sample_fitted_prior

        if self.labels:
            raise ConfigError(
                f"prior = {prior!r}: a fitted prior does not depend on labels, but this model does; "
                "leave prior out."
            )
        fitted = load_prior(fitted_path(self.folder, PRIOR_KIND, prior), self.bundle)
        # A density in all of space has samples near the sphere of a spherical model, not on it.
        z = self.model.prior.project(sample_fitted_prior(fitted, count, settings.seed))
        return decode_latents(
            self.bundle,
            z,
            settings,
            samples_by_default=True,
            batch_size=rows_per_batch,
            progress=progress,
        )

    def complete(self, prefix: str, n: int = 5, **decoding: Unpack[DecodingOptions]) -> list[str]:
        """Generate `n` sentences that begin with `prefix`; tokens are sampled by default.

        Without a `seed`, each call writes other sentences.
        """
        count = validate_settings(CompleteSettings, {"n": n}, "complete").n
        settings = build_decoding_settings(**decoding)
        return complete(self.bundle, require_text(prefix, "prefix"), count, settings)

    def infill(self, text: str, **options: Unpack[InfillOptions]) -> list[Infill]:
        """Fill the blanks of `text`, written `___`: up to `n` different sentences, likeliest first."""
        from textvae.uses.infill.infill import infill

        settings = validate_settings(InfillSettings, dict(options), "infill")
        return infill(self.bundle, require_text(text, "text"), settings)

    def interpolate(
        self,
        first: str,
        second: str,
        *more: str,
        steps: int = 7,
        path: InterpolationPath = "linear",
        reference: Sequence[str] | None = None,
        **decoding: Unpack[DecodingOptions],
    ) -> list[str]:
        """Decode sentences along a path through two or more sentences; greedy by default.

        A sentence in the middle of the path appears once, so there are (sentences - 1) *
        (steps - 1) + 1 points.

        Args:
            more: further sentences, through which the path continues.
            steps: number of sentences from each one to the next, both ends included.
            path: `linear`, `spherical`, or `density`, which bends towards the `reference` sentences.
            reference: sentences like the training data, only for the path `density`; by default the
                run's validation split.

        Raises:
            ConfigError: a setting does not fit, or a reference would have no effect.
        """
        path_settings = validate_settings(
            InterpolateSettings, {"steps": steps, "path": path}, "interpolate"
        )
        settings = build_decoding_settings(**decoding)
        if path_settings.path == "density" and reference is None:
            reference = read_reference_texts(self.folder)
        if reference is not None:
            reference = _drop_blanks(reference, "reference")
        texts = [require_text(first, "first"), require_text(second, "second")]
        texts += [require_text(text, f"sentence {row}") for row, text in enumerate(more, start=3)]
        return interpolate(
            self.bundle, texts, path_settings.steps, path_settings.path, settings, reference
        )

    def vary(self, text: str, **options: Unpack[VaryAndDecodingOptions]) -> list[Variation]:
        """Write up to `n` different sentences near `text`, nearest first; greedy by default.

        Latents are sampled around the posterior mean, `spread` standard deviations of the text's
        own posterior away (with `unit` = `prior`, of the prior), and each is decoded. Without a
        `seed`, each call writes other sentences.
        """
        from textvae.uses.vary import vary

        settings, decoding = _split_options(VarySettings, options, "vary")
        _require_one_sequence(decoding, "n says how many sentences to write")
        return vary(self.bundle, require_text(text, "text"), settings, decoding)

    def traverse(
        self,
        text: str,
        dimension: int,
        *,
        reference: Sequence[str] | None = None,
        **options: Unpack[TraverseAndDecodingOptions],
    ) -> list[TraversalStep]:
        """Decode `text` with one coordinate of its latent moved; return one record per step.

        Args:
            dimension: index of the coordinate, counted from 0.
            reference: sentences whose latents give the standard deviation that is the unit of a
                step, only for `unit="aggregate"`; by default the run's validation split.

        Raises:
            ConfigError: the model has no such dimension, or an option would have no effect.
        """
        from textvae.uses.traverse import traverse

        settings, decoding = _split_options(TraverseSettings, options, "traverse")
        if reference is not None and settings.unit == "prior":
            raise ConfigError(
                "reference has no effect with unit = 'prior': it gives the standard deviation of "
                "unit = 'aggregate'. Leave one of the two out."
            )
        sentences = None if reference is None else _drop_blanks(reference, "reference")

        # A function, because the validation split is read only if the unit of a step needs it.
        def read_reference() -> list[str]:
            return read_reference_texts(self.folder) if sentences is None else sentences

        checked = require_text(text, "text")
        number = require_integer(dimension, "dimension", at_least=0)
        return traverse(self.bundle, checked, number, settings, decoding, read_reference)

    def edit(
        self,
        texts: str | Sequence[str],
        attribute: "str | Attribute | NumericAttribute",
        strength: float = 1.0,
        refine: int = 0,
        keep: float = 0.0,
        **decoding: Unpack[DecodingOptions],
    ) -> list[str | None]:
        """Decode each text after a step along an attribute's direction; greedy by default.

        Args:
            attribute: the name under which `fit_attribute` saved it, or the `Attribute` itself.
            strength: 1 is the distance between the means of the attribute's two classes, or one
                standard deviation of its number.
            refine: gradient steps that bring the latent closer to the text's own words, before
                the step along the direction.
            keep: nats by which the text's own tokens are preferred in the edit, each as often as
                the text has it.
        """
        from textvae.uses.attribute import ATTRIBUTE_KIND, Attribute, load_attribute
        from textvae.uses.numeric_attribute import NumericAttribute

        if isinstance(attribute, str):
            folder = fitted_path(self.folder, ATTRIBUTE_KIND, attribute)
            attribute = load_attribute(folder, self.bundle)
        if not isinstance(attribute, Attribute | NumericAttribute):
            raise ConfigError(
                f"attribute is {describe(attribute)}; expected the name of a saved attribute, or "
                "what `fit_attribute` returned."
            )
        direction = attribute.direction
        listed = require_texts(texts)
        values = {"strength": strength, "refine": refine, "keep": keep}
        step = validate_settings(EditSettings, values, "edit")
        settings = build_decoding_settings(**decoding)

        def answer(rows: list[int]) -> list[str]:
            return edit(
                self.bundle,
                _select(listed, rows),
                direction,
                step.strength,
                settings,
                refine=step.refine,
                keep=step.keep,
            )

        return _answer_sequences(listed, answer, settings)

    def analogy(
        self,
        a: str,
        b: str,
        c: str,
        strength: float = 1.0,
        refine: int = 0,
        keep: float = 0.0,
        **decoding: Unpack[SingleDecodingOptions],
    ) -> str:
        """Decode z_c + strength * (z_b - z_a): what is to `c` as `b` is to `a`; greedy by default.

        Args:
            refine: gradient steps that bring the latent of `c` closer to its words.
            keep: nats by which the tokens of `c` are preferred in the result.
        """
        values = {"strength": strength, "refine": refine, "keep": keep}
        step = validate_settings(EditSettings, values, "analogy")
        settings = build_decoding_settings(**decoding)
        _require_one_sequence(settings, "analogy returns one text")
        a, b, c = require_text(a, "a"), require_text(b, "b"), require_text(c, "c")
        return analogy(self.bundle, a, b, c, step.strength, settings, step.refine, step.keep)

    # How likely, how sure, how unusual

    def score(
        self,
        texts: str | Sequence[str],
        *,
        labels: Sequence[str] | None = None,
        progress: bool = False,
        **options: Unpack[ScoreOptions],
    ) -> list[Score]:
        """Return the ELBO, the KL, the IW-NLL and the surprisal of each token, for each text.

        Args:
            labels: the label of each text, only for a conditional model; `with_label` sets one label
                for all texts.
        """
        from textvae.uses.score import score

        settings = validate_settings(ScoreSettings, dict(options), "score")
        listed = require_texts(texts)
        classes = self._require_labels(labels, len(listed))

        def answer(rows: list[int]) -> list[Score]:
            chosen = classes and _select(classes, rows)
            return score(self.bundle, _select(listed, rows), settings, progress, chosen)

        return answer_non_blank(
            listed, answer, lambda: cast(Score, dict.fromkeys(Score.__annotations__))
        )

    def uncertainty(
        self,
        texts: str | Sequence[str],
        *,
        progress: bool = False,
        **options: Unpack[UncertaintyOptions],
    ) -> list[Uncertainty]:
        """Return the cost per token, the disagreement among decodes, and the spread of q(z | x)."""
        from textvae.uses.uncertainty import uncertainty

        settings = validate_settings(UncertaintySettings, dict(options), "uncertainty")
        listed = require_texts(texts)
        return answer_non_blank(
            listed,
            lambda rows: uncertainty(self.bundle, _select(listed, rows), settings, progress),
            lambda: cast(Uncertainty, dict.fromkeys(Uncertainty.__annotations__)),
        )

    def fit_anomaly(
        self,
        texts: Sequence[str],
        name: str = "default",
        *,
        progress: bool = False,
        **options: Unpack[AnomalyOptions],
    ) -> AnomalyCalibration:
        """Calibrate `anomaly` on normal texts that the model was not trained on; blank ones are left out.

        A note says how many are training sentences, if the folder of the model has these.
        """
        from textvae.uses.anomaly import ANOMALY_KIND, fit_anomaly, note_training_sentences

        settings = validate_settings(AnomalySettings, dict(options), "anomaly")
        folder = fitted_path(self.folder, ANOMALY_KIND, name)
        normal = _drop_blanks(texts)
        record = fit_anomaly(self.bundle, normal, folder, settings, progress)
        assert self.folder is not None, "`fitted_path` refuses a model without a folder"
        note_training_sentences(normal, self.folder)
        return record

    def anomaly(self, texts: str | Sequence[str], name: str = "default") -> list[Anomaly]:
        """Return how unusual each text is, compared with the normal texts of `fit_anomaly`."""
        from textvae.uses.anomaly import ANOMALY_KIND, anomaly

        listed = require_texts(texts)
        folder = fitted_path(self.folder, ANOMALY_KIND, name)
        return answer_non_blank(
            listed,
            lambda rows: anomaly(self.bundle, _select(listed, rows), folder),
            lambda: cast(Anomaly, dict.fromkeys(Anomaly.__annotations__)),
        )

    # How good the model is

    def evaluate(
        self,
        file: str | None = None,
        *,
        samples: int = DEFAULT_IMPORTANCE_SAMPLES,
        limit: int | None = None,
        measures: Sequence[str] = ("standard",),
        settings: MeasureSettings = DEFAULT_MEASURE_SETTINGS,
    ) -> Evaluation:
        """Evaluate the run on its test split, or on a file; the keys are defined in docs/measures.md.

        Args:
            samples: importance samples per sentence, for the likelihood.
            limit: evaluate on the first `limit` sentences only.
            measures: names of measures, or of groups: `standard`, `samples`, `interpolation`, `quick`.

        Raises:
            ConfigError: the model was not loaded from a run, or a measure is unknown.
        """
        from textvae.evaluation.evaluate import evaluate_run

        if file is not None:
            file = str(require_path(file, "file"))
        size = {"samples": samples, "limit": limit}
        checked = validate_settings(EvaluateSettings, size, "evaluate")
        run = self._require_run("evaluate")
        record = evaluate_run(
            run, self.bundle, file, checked.samples, checked.limit, measures, settings
        )
        return cast(Evaluation, record)

    def doctor(self) -> Evaluation:
        """Judge the run on its validation split: `verdict`, `findings` and `advice`, with the measures.

        Raises:
            ConfigError: the model was not loaded from a run.
        """
        from textvae.evaluation.evaluate import evaluate_quick

        return cast(Evaluation, evaluate_quick(self._require_run("doctor"), self.bundle))

    def read_split(self, split: Split = "validation", *, limit: int | None = None) -> list[str]:
        """Return the sentences of a split of the run's corpus, as the model was given them.

        Args:
            split: `train`, `validation` or `test`; the model was not trained on the last two.
            limit: return the first `limit` sentences only.

        Raises:
            ConfigError: the model was not loaded from a run, or its corpus has no such split.
        """
        if split not in get_args(Split):
            raise ConfigError(
                f"split = {quote_value(split)}: expected {', '.join(get_args(Split))}."
            )
        count = None if limit is None else require_integer(limit, "limit")
        return read_split_texts(self.folder, split, count)

    def _require_run(self, verb: str) -> Run:
        """Return the run that the model was loaded from.

        Raises:
            ConfigError: it was not loaded from one.
        """
        if self.folder is None:
            raise ConfigError(
                f"{verb} needs the corpus of a run, and this model was not loaded from one: "
                "load it with TextVAE.from_pretrained(RUN)."
            )
        return Run(self.folder)

    # What is fitted on example texts

    def fit_prior(
        self,
        kind: PriorKind = "gaussian_mixture",
        texts: Sequence[str] | None = None,
        *,
        seed: int = 0,
        progress: bool = False,
    ) -> FittedPriorRecord:
        """Fit a prior to the latents of texts and save it in the run, for `generate(prior=kind)`.

        Args:
            kind: `gaussian_mixture`, `flow` or `diffusion`.
            texts: by default the run's training sentences; blank ones are left out.

        Raises:
            ConfigError: the model is conditional, or does not support this kind.
            DataError: there are too few texts.
        """
        from textvae.uses.fit_prior.fit import PRIOR_KIND, fit_prior

        settings = validate_settings(FitPriorSettings, {"kind": kind, "seed": seed}, "fit_prior")
        if self.labels:
            raise ConfigError(
                f"kind = {settings.kind!r}: a fitted prior does not depend on labels, but this "
                "model does; generate from the model's own prior, without fitting one."
            )
        chosen = read_training_texts(self.folder) if texts is None else _drop_blanks(texts)
        folder = fitted_path(self.folder, PRIOR_KIND, settings.kind)
        return fit_prior(self.bundle, chosen, settings.kind, folder, settings.seed, progress)

    def fit_attribute(
        self,
        texts: Sequence[str],
        labels: Sequence[object],
        name: str | None = None,
        *,
        towards: str | None = None,
    ) -> "Attribute | NumericAttribute":
        """Find the direction along which labelled texts differ; blank texts are left out.

        Args:
            labels: names of classes; or numbers, if there are more than two different ones, for
                the direction along which the number grows.
            name: saves the attribute with the run under this name, for `edit`.
            towards: the label that the direction leads to; by default, of two labels, the one that
                comes last in alphabetical order. With more than two labels it is required, unless
                they are numbers; with it, numbers are names of classes.
        """
        from textvae.uses.attribute import ATTRIBUTE_KIND, fit_attribute, save_attribute

        folder = None if name is None else fitted_path(self.folder, ATTRIBUTE_KIND, name)
        _, kept, classes = _drop_blanks_with_labels(texts, labels)
        attribute = fit_attribute(self.bundle, kept, classes, towards)
        if folder is not None:
            save_attribute(folder, self.bundle, attribute)
        return attribute

    def index(
        self,
        texts: Iterable[str],
        name: str = "default",
        *,
        factory: str = "Flat",
        vectors: IndexedVectors = "mean",
        progress: bool = False,
    ) -> int:
        """Index texts for `neighbors`, however many there are; return how many were indexed.

        Each text keeps its row, counted from 1; blank texts are left out.

        Args:
            factory: the kind of index in FAISS's notation, such as `HNSW32`; `Flat` is exact.
            vectors: what is compared: the posterior `mean`, or the encoder's `states`, which are
                wider and find more sentences on the same subject.
        """
        from textvae.uses import neighbors

        folder = fitted_path(self.folder, neighbors.INDEX_KIND, name)
        chosen = {"factory": factory, "vectors": vectors}
        settings = validate_settings(IndexSettings, chosen, "index")
        return neighbors.index(self.bundle, iterate_texts(texts), folder, settings, progress)

    def neighbors(
        self, texts: str | Sequence[str], k: int = 5, name: str = "default"
    ) -> list[list[Neighbor]]:
        """Return the `k` nearest indexed sentences of each text, nearest first; a blank text has none."""
        from textvae.uses import neighbors

        listed = require_texts(texts)
        count = validate_settings(NeighborsSettings, {"k": k}, "neighbors").k
        index = neighbors.NeighborIndex(
            self.bundle, fitted_path(self.folder, neighbors.INDEX_KIND, name)
        )
        return answer_non_blank(
            listed,
            lambda rows: index.neighbors(_select(listed, rows), count),
            list,
            "without neighbors",
        )

    def insight(
        self,
        texts: Sequence[str],
        columns: Mapping[str, Sequence[object]] | None = None,
        *,
        progress: bool = False,
    ) -> Insight:
        """Describe what each dimension of the latent encodes in these texts.

        Args:
            columns: properties of the texts by name, one value per text: numbers, or names of classes.
        """
        from textvae.uses.insight import insight

        listed = require_texts(texts)
        properties = {} if columns is None else require_columns(columns)
        for name, values in properties.items():
            if len(values) != len(listed):
                raise DataError(
                    f"column {name!r} has {len(values)} values for {len(listed)} texts; "
                    "give one value per text."
                )
        rows = find_texts(listed)
        kept = {name: [values[row] for row in rows] for name, values in properties.items()}
        return insight(self.bundle, _select(listed, rows), kept, progress)

    def augment(
        self,
        texts: Sequence[str],
        labels: Sequence[object],
        *,
        progress: bool = False,
        **options: Unpack[AugmentOptions],
    ) -> list[AugmentedText]:
        """Write up to `n` new texts with the label of each text; blank ones are left out."""
        from textvae.uses.augment import augment

        settings = validate_settings(AugmentSettings, dict(options), "augment")
        self._refuse_fixed_label("augment")
        rows, kept, classes = _drop_blanks_with_labels(texts, labels)
        records = augment(self.bundle, kept, classes, settings, progress)
        for record in records:
            record["sources"] = [rows[source] for source in record["sources"]]
        return records

    def _require_labels(self, labels: Sequence[str] | None, count: int) -> list[str] | None:
        """Return the labels of `count` texts as strings, or None.

        Raises:
            ConfigError: the model is unconditional, or a view with a label of its own.
            DataError: there is not one label per text, or a label is missing.
        """
        if labels is not None:
            self._refuse_fixed_label("labels")
        return require_label_per_text(self.bundle.labels, labels, count)

    def _refuse_fixed_label(self, what: str) -> None:
        """Refuse labels of texts if `with_label` has given all texts the same one.

        Raises:
            ConfigError: this is such a view.
        """
        label = self.bundle.fixed_label
        if label is not None:
            raise ConfigError(
                f"{what}: the texts have labels of their own, but this is the view "
                f"`with_label({label!r})`, in which all texts have that label; use the model itself."
            )

    # Saving

    def save_pretrained(self, folder: str | Path, *, merge: bool = False) -> None:
        """Save the model to a folder, with the records and fits of its run.

        Args:
            merge: save the weights of pretrained bases too, with all adapters merged, so that the
                folder needs nothing else. Otherwise loading it needs the bases again.

        Raises:
            OutputError: the folder holds files of the same names that belong to something else.
        """
        from textvae.runs.publishing import MergedBundle, save_with_records

        bundle = MergedBundle.from_bundle(self.bundle) if merge else self.bundle
        save_with_records(bundle, self.folder, require_path(folder, "folder"))

    def export(
        self,
        folder: str | Path,
        *,
        format: ExportFormat = "onnx",  # noqa: A002 - the name of the command's option
        int8: bool = False,
        overwrite: bool = False,
    ) -> Export:
        """Write files that encode and decode without torch; docs/export.md describes them.

        Args:
            format: `onnx`, two ONNX files with runners in Python and JavaScript, or `page`, a web
                page that any static host serves.
            int8: store the large matrices in 8 bits.
            overwrite: replace an earlier export in this folder.

        Raises:
            ConfigError: a part of the model cannot be exported, or a package is missing.
            OutputError: the folder is in use.
        """
        from textvae.export.export import export

        path = require_path(folder, "folder")
        values = {"format": format, "int8": int8, "overwrite": overwrite}
        return export(self.bundle, path, validate_settings(ExportSettings, values, "export"))

    def push_to_hub(
        self,
        repository: str,
        *,
        revision: str | None = None,
        private: bool = False,
        create_pr: bool = False,
        commit_message: str | None = None,
        token: str | bool | None = None,
        merge: bool = False,
        with_indices: bool = False,
        **card: Unpack[CardOptions],
    ) -> str:
        """Upload what `save_pretrained` saves to the Hugging Face Hub; return its address.

        The corpus and checkpoints are never uploaded, and local paths are removed.

        Args:
            repository: `owner/name`; it is created if it does not exist.
            revision: the branch, which is created if it does not exist; by default the main one.
            private: create the repository as a private one.
            create_pr: open a pull request in place of a commit.
            commit_message: what the commit says.
            token: a token of the hub; by default that of `hf auth login`, or HF_TOKEN.
            merge: upload the weights of pretrained bases too; see `save_pretrained`.
            with_indices: upload what `index` has saved too, which holds the sentences themselves.
            card: what the model card says; by default the settings `card` of the run.

        Raises:
            ConfigError: no repository can have this name, or the model needs a base that only
                this machine has.
            OutputError: the hub cannot be reached, or refuses the upload.
        """
        from textvae.runs.publishing import MergedBundle
        from textvae.runs.push_target import PushTarget
        from textvae.runs.pushing import push_to_hub

        target = PushTarget(repository, revision, private, create_pr, commit_message)
        target.check()
        for name, value in (("merge", merge), ("with_indices", with_indices)):
            if not isinstance(value, bool):
                raise ConfigError(f"{name} = {quote_value(value)}: expected True or False.")
        options = validate_settings(CardSettings, dict(card), "card")
        run = None if self.folder is None else Run(self.folder)
        texts = None
        if options.samples:
            from textvae.uses.card_texts import collect_card_texts

            texts = collect_card_texts(self.bundle, run)
        return push_to_hub(
            MergedBundle.from_bundle(self.bundle) if merge else self.bundle,
            run,
            target,
            card=options,
            texts=texts,
            with_indices=with_indices,
            hub=Hub(token=token),
        )


def _describe_part(settings: Mapping[str, object]) -> str:
    """Return the kind of an encoder or a decoder, with the architecture or the base if it has one."""
    kind = str(settings.get("kind"))
    which = settings.get("name") or settings.get("architecture")
    return f"{kind} ({which})" if which else kind


def _split_options(
    settings: type[_Settings], options: Mapping[str, object], verb: str
) -> tuple[_Settings, DecodingSettings]:
    """Return the settings of a verb and the decoding options, from options of both kinds.

    Raises:
        ConfigError: an option is unknown or does not fit.
    """
    own = {name: value for name, value in options.items() if name in settings.model_fields}
    decoding = {name: value for name, value in options.items() if name not in own}
    refuse_unsupported_options(decoding)
    unknown = [name for name in decoding if name not in DecodingSettings.model_fields]
    if unknown:
        known = [*settings.model_fields, *DecodingSettings.model_fields]
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(
            f"{verb}.{unknown[0]} is not a setting: {hint}Known keys: {', '.join(known)}."
        )
    return validate_settings(settings, own, verb), build_decoding_settings(**decoding)


def _require_one_sequence(settings: DecodingSettings, reason: str) -> None:
    """Refuse several texts per latent where the result has one.

    Raises:
        ConfigError: `num_return_sequences` is above 1.
    """
    if (settings.num_return_sequences or 1) > 1:
        raise ConfigError(
            f"decoding.num_return_sequences = {settings.num_return_sequences}: {reason}; "
            "leave it out."
        )


def _answer_sequences(
    texts: Sequence[str], answer: Callable[[list[int]], list[str]], settings: DecodingSettings
) -> list[str | None]:
    """Return the answers to each text, `num_return_sequences` of them, None for blank texts.

    Args:
        answer: returns the answers to the texts at these positions, those to one text next to
            each other.
    """
    count = settings.num_return_sequences or 1

    def answer_in_groups(rows: list[int]) -> list[list[str | None]]:
        answers: list[str | None] = [*answer(rows)]
        return [answers[start : start + count] for start in range(0, len(answers), count)]

    def make_blank() -> list[str | None]:
        return [None] * count

    groups = answer_non_blank(texts, answer_in_groups, make_blank)
    return [text for group in groups for text in group]


def _select(values: Sequence[str], rows: list[int]) -> list[str]:
    """Return the values at these positions."""
    return [values[row] for row in rows]


def _drop_blanks(texts: Sequence[str], name: str = "texts") -> list[str]:
    """Return the texts that are not blank, and print a note about the others."""
    listed = require_texts(texts, name)
    return _select(listed, find_texts(listed, name=name))


def _drop_blanks_with_labels(
    texts: Sequence[str], labels: Sequence[object]
) -> tuple[list[int], list[str], list[object]]:
    """Return the positions of the texts that are not blank, these texts, and their labels.

    Raises:
        DataError: there are not as many labels as texts.
    """
    listed = require_texts(texts)
    classes = require_labels(labels)
    if len(listed) != len(classes):
        raise DataError(
            f"got {len(listed)} texts and {len(classes)} labels; expected one label for each text."
        )
    rows = find_texts(listed)
    names = list_label_names(classes)
    for row in rows:
        if not names[row]:
            raise DataError(
                f"text {row} ({listed[row]!r}) has no label; add one or leave the text out."
            )
    return rows, _select(listed, rows), [classes[row] for row in rows]


def _report_blanks(vectors: Array, texts: Sequence[str]) -> Array:
    """Return vectors with NaN in the rows of blank texts, and print a note about these texts."""
    find_texts(texts, "NaN in the result")
    return set_blanks_to_nan(vectors, texts)
