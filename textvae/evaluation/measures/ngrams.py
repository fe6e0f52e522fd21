"""A word n-gram model: interpolated modified Kneser-Ney (Chen & Goodman 1999, section 3.2).

Words are separated by white space, and letter case matters. The end of a sentence is
predicted, its start is not; contexts stop at the start. All words that the training
text lacks share one class, the unknown word. The lowest order is interpolated with the
uniform distribution over the known words, the unknown word and the end; the
probabilities of these outcomes sum to one in every context. Where the counts of counts
give no valid discounts, they are 0.5, 1 and 1.5, the fallback of KenLM (Heafield et
al. 2013).

Perplexities of two models can be compared only if both predict the same outcomes. Models
that learn from different texts therefore need one fixed vocabulary. The probability of
the unknown word is then shared evenly among the words of the vocabulary that the
training text lacks, and one outcome for all words outside the vocabulary. Without it,
one sentence repeated a thousand times would make a better model than real text: to such
a model almost every word is the same outcome, the unknown word, and a cheap one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError

NGRAM_ORDER = 5

UNKNOWN_ID = 0
END_ID = 1
START_ID = 2
FIRST_WORD_ID = 3  # the ids of the words start here

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

_IntArray = NDArray[np.int64]
_Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class _NGramOrder:
    """The n-grams of one length n, numbered in the order of their keys.

    The context of an n-gram is its first n - 1 words, which are an n-gram of length n - 1.
    A context is represented by the number of that n-gram; the empty context has the number 0.

    Shapes:
        keys: (n-grams,), sorted; a key is the context's number times `NGramModel.base`, plus the
            id of the last word
        retained_mass: (n-grams,), the probability in its context that remains after discounting
        backoff_mass: (contexts,), the probability that goes to the shorter context; 1 for a
            context that nothing follows
    """

    keys: _IntArray
    retained_mass: _Float64Array
    backoff_mass: _Float64Array


@dataclass(frozen=True)
class _NumberedNGrams:
    """The n-grams of one length that occur in a text, before they are counted.

    Shapes:
        keys: (n-grams,), sorted, as in `_NGramOrder`
        numbers: (tokens,), the number of the n-gram that ends at each token; -1 if none does
    """

    keys: _IntArray
    numbers: _IntArray


class NGramModel:
    """An n-gram model of sentences.

    Args:
        vocabulary: all words to tell apart, whether the sentences have them or not; by default
            the words of the sentences. Words outside it are unknown even if the sentences have
            them.

    Raises:
        DataError: there is no sentence to learn from.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        order: int = NGRAM_ORDER,
        vocabulary: Iterable[str] | None = None,
    ) -> None:
        if len(sentences) == 0:
            raise DataError("there is no sentence to learn n-grams from; pass the training text.")
        words = dict.fromkeys(_iterate_words(sentences))  # different words, in a fixed order
        self.unknown_outcomes = 1
        if vocabulary is not None:
            known = set(vocabulary)
            words = {word: None for word in words if word in known}
            self.unknown_outcomes += len(known) - len(words)
        self.word_ids = {word: number for number, word in enumerate(words, start=FIRST_WORD_ID)}
        self.base = len(words) + FIRST_WORD_ID  # one more than the largest id
        self.orders = self.count_orders(*self.flatten(sentences), order)

    def __contains__(self, word: str) -> bool:
        """Return whether the word is in the training text, and in the vocabulary if there is one."""
        return word in self.word_ids

    def log_probs(self, sentences: Sequence[str]) -> _Float64Array:
        """Return log p of every word and end, in nats, in the order of the sentences."""
        tokens, positions = self.flatten(sentences)
        # Start from the uniform distribution, which leaves out the start: it is never an
        # outcome. Each order then mixes its own estimate with that of the order below.
        probability = np.full(len(tokens), 1 / (self.base - 1))
        context = np.zeros_like(tokens)
        for order in self.orders:
            key = np.where(context >= 0, context * self.base + tokens, -1)
            index = np.minimum(np.searchsorted(order.keys, key), len(order.keys) - 1)
            is_known = order.keys[index] == key
            backoff = np.where(context >= 0, order.backoff_mass[context], 1.0)
            retained = np.where(is_known, order.retained_mass[index], 0.0)
            probability = retained + backoff * probability
            # The n-gram that ends at a token is the next order's context for the next token.
            context = np.concatenate([[-1], np.where(is_known, index, -1)[:-1]])
        probability[tokens == UNKNOWN_ID] /= self.unknown_outcomes
        logs: _Float64Array = np.log(probability[positions > 0])
        return logs

    def perplexity(self, sentences: Sequence[str]) -> float:
        """Return the perplexity per word, the ends counted as words."""
        return float(np.exp(-self.log_probs(sentences).mean()))

    def unknown_share(self, sentences: Sequence[str]) -> float:
        """Return the share of words that the training text lacks; ends do not count."""
        words = list(_iterate_words(sentences))
        return sum(word not in self for word in words) / max(1, len(words))

    def flatten(self, sentences: Sequence[str]) -> tuple[_IntArray, _IntArray]:
        """Return all tokens, starts and ends included, and the position of each in its sentence."""
        rows = []
        for sentence in sentences:
            ids = [self.word_ids.get(word, UNKNOWN_ID) for word in sentence.split()]
            rows.append(np.array([START_ID, *ids, END_ID]))
        positions = [np.arange(len(row)) for row in rows]
        return np.concatenate(rows), np.concatenate(positions)

    def count_orders(
        self, tokens: _IntArray, positions: _IntArray, order: int
    ) -> list[_NGramOrder]:
        """Return the n-gram tables from length 1 up to `order`.

        It stops early if no sentence is long enough for the next length.
        """
        numbered: list[_NumberedNGrams] = []
        context = np.zeros_like(tokens)
        for n in range(1, order + 1):
            is_long_enough = positions >= n - 1  # an n-gram must not reach into the sentence before
            if not is_long_enough.any():
                break
            pairs = context[is_long_enough] * self.base + tokens[is_long_enough]
            keys, inverse = np.unique(pairs, return_inverse=True)
            numbers = np.full_like(tokens, -1)
            numbers[is_long_enough] = inverse
            numbered.append(_NumberedNGrams(keys, numbers))
            context = np.concatenate([[-1], numbers[:-1]])
        return [self.discount_order(numbered, positions, n) for n in range(1, len(numbered) + 1)]

    def discount_order(
        self, numbered: list[_NumberedNGrams], positions: _IntArray, n: int
    ) -> _NGramOrder:
        """Return the table of the n-grams of length n, with discounted probabilities."""
        keys = numbered[n - 1].keys
        counts = self.count_ngrams(numbered, positions, n)
        last_words = keys % self.base
        counts[last_words == START_ID] = 0  # the start is never predicted
        # With a vocabulary, sentences may have unknown words. If their frequency were learned, a
        # text of invented words would predict every rare word well.
        counts[last_words == UNKNOWN_ID] = 0
        context_count = len(numbered[n - 2].keys) if n > 1 else 1
        context = keys // self.base
        discount = np.concatenate([[0.0], compute_discounts(counts)])[np.minimum(counts, 3)]
        context_totals = np.bincount(context, counts, context_count)
        total = np.maximum(context_totals, 1)
        backoff = np.bincount(context, discount, context_count) / total
        return _NGramOrder(
            keys=keys,
            retained_mass=(counts - discount) / total[context],
            backoff_mass=np.where(context_totals > 0, backoff, 1.0),
        )

    def count_ngrams(
        self, numbered: list[_NumberedNGrams], positions: _IntArray, n: int
    ) -> _IntArray:
        """Return the count of each n-gram of length n.

        For the highest order it is the number of occurrences. For lower orders it is
        the number of different words before the n-gram, as Kneser-Ney demands.
        """
        keys = numbered[n - 1].keys
        numbers = numbered[n - 1].numbers
        if n == len(numbered):
            return np.bincount(numbers[numbers >= 0], minlength=len(keys))
        longer = numbered[n].numbers
        # One token for each different longer n-gram; the value -1 also has one, and is dropped.
        _, first = np.unique(longer, return_index=True)
        extended = numbers[first[longer[first] >= 0]]
        # No word can come before an n-gram at the start of a sentence: count its occurrences.
        at_start = numbers[positions == n - 1]
        extended_counts = np.bincount(extended, minlength=len(keys))
        return extended_counts + np.bincount(at_start, minlength=len(keys))


def compute_discounts(counts: _IntArray) -> _Float64Array:
    """Return the discounts of counts of 1, of 2, and of 3 or more."""
    one, two, three, four = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not (one and two and three and four):
        return np.array(FALLBACK_DISCOUNTS)
    share = one / (one + 2 * two)  # Y in the paper
    discounts = np.array(
        [1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three]
    )
    return discounts if (discounts > 0).all() else np.array(FALLBACK_DISCOUNTS)


def _iterate_words(sentences: Sequence[str]) -> Iterator[str]:
    """Yield the words of all sentences."""
    for sentence in sentences:
        yield from sentence.split()
