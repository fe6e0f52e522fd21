"""What the verbs return: one typed record per text, ready for JSON.

Every record is a plain dictionary. Numbers are in nats unless a field says
otherwise. For a blank text, `score`, `anomaly` and `uncertainty` return a record
with None in every field, so that results line up with the texts.
"""

from typing import Any, NotRequired, TypedDict


class Score(TypedDict):
    """How well a model predicts one text, in nats per sentence.

    Attributes:
        elbo: the evidence lower bound, negative; None if the posterior has no density.
        reconstruction: -log p(x | z) with one posterior sample.
        kl: the divergence of q(z | x) from the prior; None if the posterior has no density.
        iw_nll: the importance-weighted negative log-likelihood, an upper bound of -log p(x).
        iw_nll_stderr: the Monte Carlo standard error of `iw_nll`.
        surprisal: one number per token, the end included; they sum to `reconstruction`.
        words: the words of the text, the end counted.
        tokens: its tokens, the end counted.
        is_cut: whether the text was longer than the model reads, so that only its beginning was scored.
    """

    elbo: float | None
    reconstruction: float | None
    kl: float | None
    iw_nll: float | None
    iw_nll_stderr: float | None
    surprisal: list[float] | None
    words: int | None
    tokens: int | None
    is_cut: bool | None


class Anomaly(TypedDict):
    """How unusual one text is.

    Attributes:
        score: nats per token, the end counted; higher is more anomalous.
        p_value: the conformal p-value, the share of normal texts that are at least as anomalous.
        is_cut: whether only the beginning of the text was read.
    """

    score: float | None
    p_value: float | None
    is_cut: bool | None


class Uncertainty(TypedDict):
    """How certain a model is of one text.

    Attributes:
        spread: the entropy of q(z | x), in nats per dimension; None if the posterior has no density.
        disagreement: one minus the share of words that decodes of several z have in common, 0 to 1.
        reconstruction: the text decoded from the posterior mean.
        error: one minus the share of words that text and reconstruction have in common, 0 to 1.
    """

    spread: float | None
    disagreement: float | None
    reconstruction: str | None
    error: float | None


class Neighbor(TypedDict):
    """An indexed sentence that is near to a text.

    Attributes:
        row: its row in what was indexed, counted from 1.
        text: the sentence.
        similarity: the cosine between the two posterior means, -1 to 1.
    """

    row: int
    text: str
    similarity: float


class Infill(TypedDict):
    """A sentence in which every blank has been filled.

    Attributes:
        text: the whole sentence.
        fills: what was written into each blank, in order.
        score: log p(x) of the sentence, in nats.
    """

    text: str
    fills: list[str]
    score: float


class TraversalStep(TypedDict):
    """A text decoded after one coordinate of its latent was moved.

    Attributes:
        value: how far the coordinate was moved, in standard deviations.
        coordinate: its value after the move.
        text: the text that is decoded there.
    """

    value: float
    coordinate: float
    text: str


class AugmentedText(TypedDict):
    """A new text with the label of those it was made from.

    Attributes:
        text: the new text.
        label: the label, as it was passed.
        method: `sample` or `interpolation`.
        sources: the positions of the texts it was made from, counted from 0.
    """

    text: str
    label: Any
    method: str
    sources: list[int]


class Association(TypedDict):
    """How one dimension of the latent goes with one property of the texts.

    Attributes:
        column: the property.
        measure: `spearman` for numbers, `eta` (of ranks) for classes.
        value: the strength, -1 to 1 or 0 to 1.
        p_value: corrected for the number of associations (Bonferroni).
        low: the class with the lowest mean rank; only with classes.
        high: the class with the highest mean rank; only with classes.
    """

    column: str
    measure: str
    value: float
    p_value: float
    low: NotRequired[str]
    high: NotRequired[str]


class DimensionInsight(TypedDict):
    """What one dimension of the latent does.

    Attributes:
        dimension: its number, counted from 0.
        kl: nats per text; None if the KL is no sum over dimensions.
        kl_share: its share of the whole KL.
        variance: of the posterior mean over the texts.
        is_active: whether that variance is at least 0.01.
        associations: with the length and each column, strongest first.
        low: the words that go with its low end, with their correlations, strongest first.
        high: the words that go with its high end, with their correlations, strongest first.
    """

    dimension: int
    kl: float | None
    kl_share: float | None
    variance: float
    is_active: bool
    associations: list[Association]
    low: dict[str, float]
    high: dict[str, float]


class Insight(TypedDict):
    """What the dimensions of a latent do.

    Attributes:
        dimensions: one record per dimension, in order.
        scores: measures of disentanglement, one record per column and one for `all`; empty without columns.
            The keys are defined in `textvae.uses.insight.disentanglement`.
    """

    dimensions: list[DimensionInsight]
    scores: list[dict[str, Any]]


class FittedPriorRecord(TypedDict):
    """A prior that was fitted to a model's latents.

    Attributes:
        prior: its kind.
        texts: how many texts it was fitted on.
        sizes: its own sizes, for example the number of Gaussians.
    """

    prior: str
    texts: int
    sizes: dict[str, Any]


class AnomalyCalibration(TypedDict):
    """What `fit_anomaly` keeps.

    Attributes:
        score: the name of the score.
        draws: samples of z per sentence.
        seed: the seed of these samples.
        texts: how many normal texts were scored.
    """

    score: str
    draws: int
    seed: int
    texts: int
