"""The records that the methods of `TextVAE` return: typed dictionaries, ready for JSON.

A method that returns one record per text returns, for a blank text, a record with
None in every field, so that record i always belongs to text i.
"""

from typing import Literal, NotRequired, TypeAlias, TypedDict

from textvae.uses.settings import AnomalyScore, ExportFormat, PriorKind

# A measure is a number, a text or a list of these; None if it is not defined for the model.
MeasureValue: TypeAlias = float | int | str | bool | list[float] | list[str] | None

# What `evaluate` and `doctor` return; docs/measures.md defines the keys.
Evaluation: TypeAlias = dict[str, MeasureValue]


class Score(TypedDict):
    """The bounds on the log-likelihood of one text, and their terms, in nats per sentence.

    All are averages over the same posterior samples. Without a posterior density, `elbo`, `kl`,
    `elbo_stderr`, and all keys with `iw_` are None.

    Attributes:
        elbo: the evidence lower bound, a negative number: -(reconstruction + kl).
        elbo_stderr: the Monte Carlo standard error of `elbo`.
        reconstruction: -log p(x | z).
        kl: KL(q(z | x) || p(z)).
        iw_nll: the importance-weighted negative log-likelihood, in expectation an upper bound of
            -log p(x).
        iw_nll_stderr: the Monte Carlo standard error of `iw_nll`.
        iw_ess: the effective sample size of the importance weights. If it is only a few, `iw_nll`
            is too high, and `iw_nll_stderr` too small.
        surprisal: one number per token, the end token included; they sum to `reconstruction`.
        words: how many words were scored; the end of the sentence counts as one.
        tokens: how many tokens were scored; the end token counts as one.
        is_cut: whether the text is longer than the model can read, so that only its beginning was
            scored.
    """

    elbo: float | None
    elbo_stderr: float | None
    reconstruction: float | None
    kl: float | None
    iw_nll: float | None
    iw_nll_stderr: float | None
    iw_ess: float | None
    surprisal: list[float] | None
    words: int | None
    tokens: int | None
    is_cut: bool | None


class Anomaly(TypedDict):
    """How unusual one text is.

    Attributes:
        score: nats per token, the end token included; higher is more anomalous.
        p_value: the conformal p-value, the share of normal texts that are at least as anomalous.
        is_cut: whether the text is longer than the model can read, so that only its beginning was
            scored.
    """

    score: float | None
    p_value: float | None
    is_cut: bool | None


class Uncertainty(TypedDict):
    """How certain the model is of the latent of one text.

    Attributes:
        nats_per_token: what the text costs when it is decoded from its posterior mean. It predicts
            the error best.
        spread: the entropy of q(z | x) in nats per dimension; None if it has no density.
        disagreement: the share of words in which texts decoded from two samples of z differ, 0 to 1,
            averaged over pairs of samples.
        reconstruction: the text decoded from the posterior mean.
        error: the share of words in which the text and its reconstruction differ, 0 to 1.
        is_cut: whether the text is longer than the model can read, so that all of this is about
            its beginning alone.
    """

    nats_per_token: float | None
    spread: float | None
    disagreement: float | None
    reconstruction: str | None
    error: float | None
    is_cut: bool | None


class Neighbor(TypedDict):
    """An indexed sentence that is near to a text.

    Attributes:
        row: its position among the indexed texts, counted from 1.
        text: the sentence.
        similarity: the cosine between the vectors of the two, -1 to 1.
    """

    row: int
    text: str
    similarity: float


class Infill(TypedDict):
    """A sentence in which every blank has been filled.

    Attributes:
        text: the whole sentence.
        fills: the text of each blank, in order.
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
        text: the text decoded after the move.
    """

    value: float
    coordinate: float
    text: str


class Variation(TypedDict):
    """A sentence near another one.

    Attributes:
        text: the new sentence.
        distance: the Euclidean distance between the posterior means of the two sentences.
        log_likelihood: log p(x) of the new sentence in nats, importance-weighted as by `score`;
            None if the model's posterior has no density.
    """

    text: str
    distance: float
    log_likelihood: float | None


class AugmentedText(TypedDict):
    """A new text with the label of the texts it was made from.

    Attributes:
        text: the new text.
        label: the label, as it was passed.
        method: `sample` or `interpolation`.
        sources: the positions of the texts it was made from, counted from 0.
    """

    text: str
    label: object
    method: Literal["sample", "interpolation"]
    sources: list[int]


class Association(TypedDict):
    """How one dimension of the latent is associated with one property of the texts.

    Attributes:
        column: the name of the property.
        measure: `spearman` for numbers, `eta` (of ranks) for classes.
        value: the strength: -1 to 1 for `spearman`, 0 to 1 for `eta`.
        p_value: corrected for the number of associations (Bonferroni).
        low: the class with the lowest mean rank; only with classes.
        high: the class with the highest mean rank; only with classes.
    """

    column: str
    measure: Literal["spearman", "eta"]
    value: float
    p_value: float
    low: NotRequired[str]
    high: NotRequired[str]


class DimensionInsight(TypedDict):
    """What one dimension of the latent encodes.

    Attributes:
        dimension: its number, counted from 0.
        kl: nats per text; None if the KL is not a sum over dimensions.
        kl_share: the dimension's share of the KL; None where `kl` is None.
        variance: the variance of the posterior mean over the texts.
        is_active: whether this variance is at least 0.01.
        associations: with the length and each column, strongest first.
        low, high: the words most correlated with its low and its high end, each with its
            correlation, strongest first.
    """

    dimension: int
    kl: float | None
    kl_share: float | None
    variance: float
    is_active: bool
    associations: list[Association]
    low: dict[str, float]
    high: dict[str, float]


class FactorScore(TypedDict, total=False):
    """How disentangled the latent is with respect to one column, or the means over all columns.

    The definitions are in `textvae.uses.insight.disentanglement`.

    Attributes:
        factor: the name of the column; `all` for the means.
        best_dimension: the dimension that predicts the column best; not in `all`.
        best: how well it does, 0 to 1; not in `all`.
        mig: the mutual information gap.
        sap: the separated attribute predictability.
        completeness: whether few dimensions encode the column, 0 to 1.
        informativeness: how well all dimensions together predict the column, 0 to 1.
        disentanglement: whether each dimension encodes one column, 0 to 1; only in `all`.
    """

    factor: str
    best_dimension: int
    best: float
    mig: float
    sap: float
    completeness: float
    informativeness: float
    disentanglement: float


class Insight(TypedDict):
    """What each dimension of the latent encodes.

    Attributes:
        dimensions: one record per dimension, in order.
        scores: measures of disentanglement, one record per column and one named `all` for their
            means; empty without columns. The keys are defined in `textvae.uses.insight.disentanglement`.
    """

    dimensions: list[DimensionInsight]
    scores: list[FactorScore]


class FittedPriorRecord(TypedDict):
    """A prior that was fitted to a model's latents.

    Attributes:
        prior: `gaussian_mixture`, `flow` or `diffusion`.
        texts: how many texts it was fitted on.
        sizes: the arguments to build it again before its tensors are loaded.
    """

    prior: PriorKind
    texts: int
    sizes: dict[str, int]


class AnomalyCalibration(TypedDict):
    """The settings of a calibration by `fit_anomaly`, and the number of its texts.

    Attributes:
        score: the name of the score.
        draws: samples of z per sentence.
        seed: the seed of these samples.
        texts: how many normal texts were scored.
        label: the label that a conditional model scored them with, or None.
    """

    score: AnomalyScore
    draws: int
    seed: int
    texts: int
    label: str | None


class Export(TypedDict):
    """What `export` has written.

    Attributes:
        folder: where it is.
        model_bytes: size of the two ONNX files.
        total_bytes: size of all files.
        notes: what of the run was not exported.
    """

    folder: str
    format: ExportFormat
    model_bytes: int
    total_bytes: int
    notes: list[str]


class StandardMeasures(TypedDict, total=False):
    """The measures of the group `standard`, which docs/measures.md defines.

    Costs are in nats per sentence. A language model has no measure of the latent; a measure that
    the model does not define is missing or None.

    Attributes:
        sentences, words_per_sentence, tokens_per_sentence: the size of the split.
        elbo, reconstruction, kl: the evidence lower bound, a negative number, and its terms.
        kl_by_dimension: the mean KL of each latent dimension; missing if the KL is not a sum.
        iw_nll: the importance-weighted negative log-likelihood.
        iw_samples: importance samples per sentence.
        iw_nll_stderr: the standard error of `iw_nll` over sentences.
        iw_mc_stderr: the Monte Carlo standard error of `iw_nll`.
        iw_looseness, iw_looseness_stderr: an estimate of how far `iw_nll` is above -log p(x), and
            its standard error; None for fewer than 8 samples.
        iw_ess, iw_ess_median: the effective sample size, mean and median over sentences.
        iw_width: the mean factor of the proposal's fitted width; 1 if it was not fitted.
        ppl_word, ppl_token: perplexities per word and per token.
        bits_per_byte: bits per UTF-8 byte of the text.
        mi_full, mi_full_cap: the mutual information over the whole split, and its upper limit.
        mi_batch32, mi_batch32_cap: the same in batches of 32 sentences.
        aggregate_kl, aggregate_kl_stderr: KL(q(z) || p(z)) of the aggregate posterior, and its
            standard error.
        kl_sampled: the KL on the samples of `aggregate_kl`.
        aggregate_kl_lower, aggregate_kl_upper: a bracket of the aggregate KL, also where the
            mutual information is at its upper limit.
        aggregate_sentences: the number of sentences in q(z) for the bracket.
        mi_lower, mi_upper: the bracket of the mutual information.
        active_units, latent_dim: the number of active latent dimensions, and of all of them.
        active_units_strict: the number of those whose posterior mean has a variance of at least
            0.1, which is ten times the usual threshold.
        active_units_thresholds, active_units_curve: thresholds, and the active units at each.
        effective_units: how many equally informative units would be spread as these are;
            missing, as the next two, if the information of a unit is not defined.
        beyond_ten_share: the share of the information in all units but the best ten, 0 to 1.
        information_by_dimension: the information of each unit in nats.
        shuffled_latent_increase: the rise of the reconstruction term with another sentence's z.
        token_accuracy: the share of tokens that are the decoder's first choice, 0 to 1.
        bleu, bleu_signature: BLEU of greedy reconstructions, 0 to 100, and sacrebleu's signature.
        exact_match: the share of reconstructions without any error, 0 to 1.
        empty_reconstructions, empty_samples: the shares of empty texts, 0 to 1.
        identical_reconstructions, identical_samples, identical_originals: the shares of texts that
            equal the most frequent one, 0 to 1.
        repetitive_reconstructions, repetitive_samples, repetitive_originals: the shares of texts
            that repeat the same tokens.
        endless_reconstructions, endless_samples: the shares of texts that do not end before the
            longest sentence would.
        training_sentences, left_out_share, cut_share, unknown_share, copied_share,
            most_copied_share, shared_share, retokenized_share: what the corpus was like; missing,
            as the next ones, where the model is not that of a run.
        sample_token_nll, real_token_nll: the cost of a token of samples and of real sentences
            under a trigram model.
        training_cost, held_out_cost: the cost of a sentence of either split, for overfitting.
        elbo_fall: how far the validation ELBO has fallen from its best, in nats.
        prior_gap: a lower bound on the aggregate KL.
        trigram_nll, model_nll, model_nll_stderr: the cost of a sentence under a trigram model and
            under the model, on the same sentences, and the standard error of the difference.
        kl_target: the KL that training aimed at; None without a target.
        kl_weight: the factor by which the KL counted in the loss at the end of training, before
            a refit of the posterior; None if there was no such factor. `kl` and `elbo` have the
            weight 1.
        kl_before_refit: the KL on validation sentences before the posterior was refitted at the
            end of training; None if it was not.
        verdict: the doctor's verdict: healthy, weak, collapsed or language model.
        findings: the reasons for the verdict.
        advice: what to change.
        warnings: what is doubtful about the likelihood, and how to improve it.
        unreliable: the keys of the measures that the set is too small for.
        size_warnings: the same for people: which measures, and how many sentences they need.
    """

    sentences: int
    words_per_sentence: float
    tokens_per_sentence: float
    elbo: float | None
    reconstruction: float
    kl: float | None
    kl_by_dimension: list[float]
    iw_nll: float | None
    iw_samples: int | float | None
    iw_nll_stderr: float | None
    iw_mc_stderr: float | None
    iw_looseness: float | None
    iw_looseness_stderr: float | None
    iw_ess: float | None
    iw_ess_median: float | None
    iw_width: float | None
    ppl_word: float | None
    ppl_token: float | None
    bits_per_byte: float | None
    mi_full: float | None
    mi_full_cap: float | None
    mi_batch32: float | None
    mi_batch32_cap: float | None
    aggregate_kl: float | None
    aggregate_kl_stderr: float | None
    kl_sampled: float | None
    aggregate_kl_lower: float | None
    aggregate_kl_upper: float | None
    aggregate_sentences: int | None
    mi_lower: float | None
    mi_upper: float | None
    active_units: int
    active_units_strict: int
    latent_dim: int
    active_units_thresholds: list[float]
    active_units_curve: list[int]
    effective_units: float
    beyond_ten_share: float
    information_by_dimension: list[float]
    shuffled_latent_increase: float
    token_accuracy: float
    bleu: float
    bleu_signature: str
    exact_match: float
    empty_reconstructions: float
    empty_samples: float
    identical_reconstructions: float
    identical_samples: float
    identical_originals: float
    repetitive_reconstructions: float
    repetitive_samples: float
    repetitive_originals: float
    endless_reconstructions: float
    endless_samples: float
    training_sentences: int
    left_out_share: float
    cut_share: float
    unknown_share: float
    copied_share: float
    most_copied_share: float
    shared_share: float
    retokenized_share: float
    sample_token_nll: float
    real_token_nll: float
    training_cost: float
    held_out_cost: float
    elbo_fall: float
    prior_gap: float
    trigram_nll: float
    model_nll: float
    model_nll_stderr: float
    kl_target: float | None
    kl_weight: float | None
    kl_before_refit: float | None
    verdict: str
    findings: list[str]
    advice: list[str]
    warnings: list[str]
    unreliable: list[str]
    size_warnings: list[str]


class ComparedRun(StandardMeasures):
    """One run of a comparison: how it was trained, and its standard measures unless it failed.

    Attributes:
        config: the row of the table: the config's name, and the corpus's if corpora are compared.
        corpus: the corpus it was trained on.
        seed: the seed of the run.
        run: the run folder.
        reason: why the run failed; None if it did not.
        minutes: how long its training took; missing if it failed.
        steps: how many steps it was trained for; missing if it failed.
        best_step: the step that was best on the validation split; missing if it failed, None if
            no step could become the best one.
        kept_step: the step whose model was kept; missing if it failed.
        kept_learning_rate: the learning rate at that step, as a share of the full one; missing if
            it failed, None if it was not logged.
    """

    config: str
    corpus: str
    seed: int
    run: str
    reason: str | None
    minutes: NotRequired[float]
    steps: NotRequired[int | None]
    best_step: NotRequired[int | None]
    kept_step: NotRequired[int | None]
    kept_learning_rate: NotRequired[float | None]


class BulkRecord(TypedDict):
    """A finished bulk job.

    Attributes:
        output: the folder of the shards.
        verb: `encode`, `score` or `generate`.
        rows: how many rows were read or generated, blank ones included.
        shards: how many shards the folder holds.
        written_now: how many of them this call wrote.
        seconds: how long this call took.
        blank: how many rows are blank and in no shard; missing for `generate`.
        cut: how many rows are longer than the model can read; missing for `generate`.
    """

    output: str
    verb: str
    rows: int
    shards: int
    written_now: int
    seconds: float
    blank: NotRequired[int]
    cut: NotRequired[int]
