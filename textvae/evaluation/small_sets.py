"""Which measures say little on a small set, and from which size on they can be quoted.

The limits follow from how the measures are computed:

- A share of N sentences (exact matches, and token accuracy nearly so) has a standard
  error of up to 50 / sqrt(N) percentage points: 29 for three sentences, 5 for a hundred.
- The variance of a Gaussian unit has a relative standard error of sqrt(2 / (N - 1)): 100 %
  for three sentences, 14 % for a hundred. The counts of active units rest on it.
- BLEU is a ratio of counts of n-grams. With few sentences, some counts are zero and are
  smoothed, so the smoothing decides the score.
- A standard error that is itself estimated from fewer than about thirty values is too
  uncertain for the usual two standard errors.
- Estimates in batches of 32 sentences need a full batch to be comparable with others.
- MAUVE quantizes both sets of texts into clusters, which need many members each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _SizeLimit:
    """From how many sentences, samples or pairs on some measures can be quoted.

    Attributes:
        title: the measures, as a warning names them.
        least: the smallest number with which they can be quoted.
        keys: the measures' keys in the record.
        size: the key of the number that counts.
        unit: what is counted.
    """

    title: str
    least: int
    keys: tuple[str, ...]
    size: str = "sentences"
    unit: str = "sentences"


_SINGULAR = {
    "sentences": "sentence",
    "samples of the prior": "sample of the prior",
    "pairs of sentences": "pair of sentences",
}

LIMITS = (
    _SizeLimit("the standard error of the IW-NLL", 30, ("iw_nll_stderr",)),
    _SizeLimit("the mutual information in batches of 32", 32, ("mi_batch32",)),
    _SizeLimit(
        "the active units and how information is spread over them",
        100,
        (
            "active_units",
            "active_units_strict",
            "active_units_curve",
            "effective_units",
            "beyond_ten_share",
            "information_by_dimension",
        ),
    ),
    _SizeLimit("the mutual information", 100, ("mi_full", "mi_lower", "mi_upper")),
    _SizeLimit(
        "the aggregate KL", 100, ("aggregate_kl", "aggregate_kl_lower", "aggregate_kl_upper")
    ),
    _SizeLimit("the cost of shuffled latents", 30, ("shuffled_latent_increase",)),
    _SizeLimit("token accuracy", 100, ("token_accuracy",)),
    _SizeLimit("BLEU and exact matches", 100, ("bleu", "exact_match")),
    _SizeLimit("the verdict", 100, ("verdict",)),
    _SizeLimit("the perplexities of real text", 100, ("forward_ppl_real", "reverse_ppl")),
    _SizeLimit("MAUVE", 1000, ("mauve",)),
    _SizeLimit(
        "distinct-n and the perplexities of samples",
        100,
        ("distinct_1", "distinct_2", "distinct_3", "distinct_4", "forward_ppl", "reverse_ppl"),
        "prior_samples",
        "samples of the prior",
    ),
    _SizeLimit("MAUVE", 1000, ("mauve",), "prior_samples", "samples of the prior"),
    _SizeLimit("self-BLEU", 100, ("self_bleu",), "self_bleu_samples", "samples of the prior"),
    _SizeLimit(
        "smoothness and the perplexity between the ends",
        30,
        ("smoothness", "smoothness_min", "smoothness_max", "path_ppl"),
        "path_pairs",
        "pairs of sentences",
    ),
)


def list_unreliable_measures(record: Mapping[str, Any]) -> list[str]:
    """Return the keys of a record whose set was too small for them, sorted."""
    keys = {key for limit in _find_exceeded(record) for key in limit.keys if key in record}
    return sorted(keys)


def list_size_warnings(record: Mapping[str, Any]) -> list[str]:
    """Return one warning for each kind of set that was too small for some measures."""
    by_unit: dict[str, list[_SizeLimit]] = {}
    for limit in _find_exceeded(record):
        by_unit.setdefault(limit.unit, []).append(limit)
    return [
        _format_warning(record[limits[0].size], unit, limits) for unit, limits in by_unit.items()
    ]


def _find_exceeded(record: Mapping[str, Any]) -> Iterator[_SizeLimit]:
    """Yield the limits that the sets of a record are below."""
    for limit in LIMITS:
        # A measure that is missing or undefined needs no warning.
        is_measured = any(record.get(key) is not None for key in limit.keys)
        if is_measured and limit.size in record and record[limit.size] < limit.least:
            yield limit


def _format_warning(count: int, unit: str, limits: Sequence[_SizeLimit]) -> str:
    """Return which measures a set of this size is too small for, and what to do."""
    names = "; ".join(f"{limit.title} (at least {limit.least:,})" for limit in limits)
    if count == 1:
        return f"1 {_SINGULAR[unit]} is too few for these measures: {names}; use more, or do not quote them."
    return (
        f"{count:,} {unit} are too few for these measures: {names}; use more, or do not quote them."
    )
