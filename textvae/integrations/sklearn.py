"""A scikit-learn transformer: sentences in, features out, in pipelines and searches as any other.

    make_pipeline(TextVAETransformer("runs/demo"), LogisticRegression())

Without a run it trains one when it is fitted, without looking at the labels.
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from textvae.data.row_report import LEAVE_OUT, RowNumbers
from textvae.data.texts import require_texts
from textvae.errors import ConfigError, DataError
from textvae.runtime.extras import check_installed

check_installed("uses", "scikit-learn's transformers", "sklearn")


class TextVAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns each text into the features of a text VAE.

    Args:
        run: the folder of a trained run; without it `fit` trains one on the texts it is given.
        settings: of that training, as `textvae.train` takes them.
        output: where that training's run is kept; it is not kept without.
        features: `states` (the encoder's), `mean` (the posterior's) or `gaussian`; see `textvae.uses.features`.
        batch_size: texts encoded together.
        device: cpu or cuda; by default a GPU if there is one.
    """

    def __init__(
        self,
        run: str | Path | None = None,
        settings: dict[str, Any] | None = None,
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

    def fit(self, texts: Iterable[str], y: Any = None) -> "TextVAETransformer":
        """Load the run, or train one on the texts; labels are not looked at.

        Raises:
            ConfigError: a run is named and so are settings of a training.
            DataError: there is no text, or one is not a string.
        """
        from textvae.vae import TextVAE

        listed = _as_texts(texts)
        if self.run is None:
            self.vae_ = self._trained(listed)
        elif self.settings is not None or self.output is not None:
            raise ConfigError(
                "a run is named, so nothing is trained: leave out settings and output, or the run."
            )
        else:
            self.vae_ = TextVAE.from_pretrained(self.run, self.device)
        self._n_features_out = self.transform(listed[:1]).shape[
            1
        ]  # refuses unknown features as well
        return self

    def transform(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Return the features of each text, (n, width).

        Raises:
            DataError: there is no text, or one is not a string.
        """
        from textvae.uses.features import features

        check_is_fitted(self, "vae_")
        return features(self.vae_.bundle, _as_texts(texts), self.features, self.batch_size)

    def _trained(self, texts: list[str]) -> Any:
        """Return a VAE trained on the texts."""
        from textvae.training.train import train

        settings = self.settings or {}
        if self.output is not None:
            return train(texts, output=self.output, device=self.device, **settings)
        with TemporaryDirectory() as folder:
            return train(texts, output=Path(folder) / "run", device=self.device, **settings)

    def __sklearn_tags__(self) -> Any:
        """Say that the input is text, one a row."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array, tags.input_tags.one_d_array = (
            True,
            False,
            True,
        )
        tags.transformer_tags.preserves_dtype = []
        return tags


def _as_texts(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        DataError: it is one string, or empty, or holds something that is not text, or is blank.
    """
    if isinstance(texts, str):
        raise DataError(
            "one string came; wanted is a list of them, as scikit-learn's text transformers take."
        )
    listed = require_texts(texts)
    if not listed:
        raise DataError("there is no text; give at least one.")
    blank = RowNumbers()
    for row, text in enumerate(listed, start=1):
        if not text.strip():
            blank.add(row)
    if blank.count:
        raise DataError(
            f"{blank.count:,} of {len(listed):,} texts are blank ({blank}) and have no features; {LEAVE_OUT}"
        )
    return listed
