"""What is wrong with the texts that a model writes: empty, all alike, repeating, or endless.

A few texts of both kinds are enough: greedy reconstructions from the posterior means,
and samples from the prior.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import dropwhile, pairwise

from transformers import PreTrainedTokenizerBase

from textvae.data.tokenization import decode_batch
from textvae.evaluation.measures.inputs import FEW_TEXTS, EvaluationInput
from textvae.inference.decoding import decode_to_tokens
from textvae.inference.settings import DecodingSettings

_MIN_REPEATING_TOKENS = 6  # shorter texts cannot be called repetitive
_MAX_REPEATED_PAIRS = 0.6  # of a text's pairs of adjacent tokens, those that occurred before


def check_written_texts(inputs: EvaluationInput) -> dict[str, float]:
    """Return the shares of a few reconstructions and samples that are useless by themselves.

    The keys, each for `reconstructions` and for `samples`: `empty_*`, texts without a word;
    `identical_*`, texts that equal the most frequent one; `repetitive_*`, texts that repeat
    themselves; `endless_*`, texts without an end. `identical_originals` and
    `repetitive_originals` are those of the evaluated sentences.
    """
    rows = inputs.dataset[:FEW_TEXTS]["input_ids"]
    label_ids = inputs.label_ids
    if label_ids is not None:
        label_ids = label_ids[:FEW_TEXTS]
    reconstructed = decode_to_tokens(
        inputs.bundle,
        inputs.outputs.mean[:FEW_TEXTS],
        DecodingSettings(),
        samples_by_default=False,
        label_ids=label_ids,
    )
    return {
        **_check_texts(inputs.bundle.tokenizer, reconstructed, "reconstructions"),
        **_check_texts(inputs.bundle.tokenizer, inputs.texts.few_samples, "samples"),
        "identical_originals": _most_frequent_share(map(tuple, rows)),
        "repetitive_originals": _repetitive_share(rows),
    }


def strip_special_tokens(
    tokenizer: PreTrainedTokenizerBase, row: Sequence[int]
) -> tuple[list[int], bool]:
    """Return the tokens of a text without start, end and padding, and whether it has an end."""
    framing = {tokenizer.bos_token_id, tokenizer.pad_token_id}
    ids = list(dropwhile(framing.__contains__, row))
    if tokenizer.eos_token_id not in ids:
        return ids, False
    return ids[: ids.index(tokenizer.eos_token_id)], True


def _check_texts(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]], kind: str
) -> dict[str, float]:
    """Return the shares of texts of one kind, given as token ids."""
    texts = decode_batch(tokenizer, rows)
    stripped = [strip_special_tokens(tokenizer, row) for row in rows]
    return {
        f"empty_{kind}": sum(not text.strip() for text in texts) / len(texts),
        f"identical_{kind}": _most_frequent_share(texts),
        f"repetitive_{kind}": _repetitive_share([ids for ids, _ in stripped]),
        f"endless_{kind}": sum(not has_end for _, has_end in stripped) / len(rows),
    }


def _most_frequent_share(texts: Iterable[object]) -> float:
    """Return the share of texts that equal the most frequent one; 0 for a single text."""
    counts = Counter(texts)
    total = counts.total()
    return max(counts.values()) / total if total > 1 else 0.0


def _repetitive_share(rows: Sequence[Sequence[int]]) -> float:
    """Return the share of texts that consist mostly of pairs of tokens that they had before."""
    return sum(map(_is_repetitive, rows)) / len(rows)


def _is_repetitive(ids: Sequence[int]) -> bool:
    """Return whether most pairs of adjacent tokens of a text have occurred in it before."""
    if len(ids) < _MIN_REPEATING_TOKENS:
        return False
    pairs = list(pairwise(ids))
    return 1 - len(set(pairs)) / len(pairs) > _MAX_REPEATED_PAIRS
