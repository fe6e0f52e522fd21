"""A scikit-learn transformer from sentences to features, for pipelines and parameter searches.

    make_pipeline(TextVAETransformer("runs/demo"), LogisticRegression())

Without a run, `fit` trains one on its texts. Labels are not used.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textvae.data.row_report import LEAVE_OUT, RowNumbers
from textvae.data.texts import require_texts
from textvae.errors import ConfigError, DataError
from textvae.runtime.extras import check_installed
from textvae.schema import choose, require_integer
from textvae.terminal import quote_value

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    # Raises an error that says what to install, if the package is missing altogether.
    check_installed("insight", "scikit-learn's transformers", "sklearn")
    raise

if TYPE_CHECKING:
    from textvae.settings.run import SettingsSections
    from textvae.vae import TextVAE


class TextVAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns each text into features of a text VAE.

    Args:
        run: the folder of a trained run, or its name on the Hugging Face Hub; without it, `fit`
            trains a run on its texts.
        settings: the settings of that training by section, such as
            {"training": {"epochs": 5}}; those of `textvae.train`.
        output: the folder to save that run in; without it, the run is not saved.
        features: `states` (of the encoder), `mean` (of the posterior) or `gaussian` (mean and
            log-variance); see `textvae.uses.features`.
        batch_size: number of texts encoded together.
        device: cpu, cuda or mps; by default a GPU if one is available.
    """

    # scikit-learn clones an estimator from its attributes: they must equal the arguments.
    def __init__(
        self,
        run: str | Path | None = None,
        settings: Mapping[str, object] | None = None,
        output: str | Path | None = None,
        features: str = "states",
        batch_size: int = 256,
        device: str | None = None,
    ) -> None:
        self.run = run
        self.settings = settings
        self.output = output
        self.features = features
        self.batch_size = batch_size
        self.device = device

    def fit(self, texts: Iterable[str], y: object = None) -> "TextVAETransformer":
        """Load the run, or train one on the texts; the labels `y` are not used.

        Raises:
            ConfigError: an argument of the transformer does not fit, or there is a run, and also
                settings or an output for training one.
            DataError: there are no texts, or one is blank or not a string.
        """
        # Imported here and not above, because importing torch takes seconds.
        from textvae.uses.features import FEATURES, compute_feature_width
        from textvae.vae import TextVAE

        listed = _require_filled_texts(texts)
        # Checked before a training, which may take hours. The batch size is checked again where it
        # is used, because `set_params` may change it.
        require_integer(self.batch_size, "batch_size")
        choose(FEATURES, self.features, "features")
        if self.run is None:
            self.vae_ = self._train(listed)
        elif self.settings is not None or self.output is not None:
            raise ConfigError(
                "run is set, so nothing is trained, and settings and output would have no effect: "
                "leave out settings and output, or the run."
            )
        else:
            self.vae_ = TextVAE.from_pretrained(self.run, self.device)
        # The kind and the width must agree, so `set_params(features=...)` only counts at the next
        # `fit`. `get_feature_names_out` has as many names as the width.
        self.features_ = self.features
        self._n_features_out = compute_feature_width(self.vae_.bundle, self.features_)
        return self

    def fit_transform(
        self, texts: Iterable[str], y: object = None, **options: Any
    ) -> NDArray[np.float32]:
        """Return the features of the texts after `fit`; the texts may be an iterator."""
        if isinstance(texts, Iterator):
            texts = list(texts)  # it can be read only once
        features: NDArray[np.float32] = super().fit_transform(texts, y, **options)
        return features

    def transform(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Return the features of each text, (n, width).

        Raises:
            NotFittedError: `fit` was not called.
            ConfigError: `batch_size` is not a whole number, 1 or more.
            DataError: there are no texts, or one is blank or not a string.
        """
        from textvae.uses.features import features

        check_is_fitted(self, "vae_")
        listed = _require_filled_texts(texts)
        batch_size = require_integer(self.batch_size, "batch_size")
        return features(self.vae_.bundle, listed, self.features_, batch_size)

    def inverse_transform(self, vectors: ArrayLike) -> NDArray[np.object_]:
        """Return a text for each row of features, (n,), decoded greedily.

        The posterior mean is computed from the features, so that the texts of features of given
        texts are their reconstructions.

        Args:
            vectors: (n, width), an array or a data frame, such as `transform` returns, or points
                between such rows; or a single vector, (width,).

        Raises:
            NotFittedError: `fit` was not called.
            ConfigError: `batch_size` is not a whole number, 1 or more.
            ShapeError: the vectors have another width.
            DataError: the vectors are not an array of numbers, or one of them is not finite.
        """
        from textvae.uses.features import recover_latents

        check_is_fitted(self, "vae_")
        z = recover_latents(self.vae_.bundle, vectors, self.features_)
        return np.array(self.vae_.decode(z, batch_size=self.batch_size), dtype=object)

    def _train(self, texts: list[str]) -> "TextVAE":
        """Return a `TextVAE` trained on the texts."""
        from textvae.training.train import train

        settings = _require_sections(self.settings)
        if self.output is not None:
            return train(texts, output=self.output, device=self.device, **settings)
        with TemporaryDirectory() as folder:
            return train(texts, output=Path(folder) / "run", device=self.device, **settings)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: the input is one-dimensional, one text per row."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _require_sections(settings: object) -> "SettingsSections":
    """Return the settings of a training by section; None means no settings.

    Raises:
        ConfigError: they are not a mapping, or have something else than sections.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        raise ConfigError(
            f"settings = {quote_value(settings)}: expected a mapping from sections to their "
            'settings, such as {"training": {"epochs": 5}}.'
        )
    for name in ("corpus", "output", "device"):
        if name in settings:
            raise ConfigError(
                f"settings has {name!r}, which is not a section: leave it out. `output` and "
                "`device` are arguments of the transformer, and `fit` takes the corpus."
            )
    # Unknown sections are refused when the values are validated.
    return cast("SettingsSections", settings)


def _require_filled_texts(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        DataError: `texts` is one string, or is empty, or has an element that is blank or not
            a string.
    """
    if isinstance(texts, str):
        raise DataError(
            "expected a list of strings, as scikit-learn's text transformers take, got one string."
        )
    if isinstance(texts, np.ndarray) and texts.ndim == 2 and texts.shape[1] == 1:
        texts = texts[:, 0]  # one column, as other transformers return it
    listed = require_texts(texts)
    if not listed:
        raise DataError("there are no texts; pass at least one.")
    blank = RowNumbers()
    for row, text in enumerate(listed, start=1):
        if not text.strip():
            blank.add(row)
    if blank.count:
        raise DataError(
            f"{blank.count:,} of {len(listed):,} texts are blank ({blank}) and have no features; "
            f"{LEAVE_OUT}"
        )
    return listed
