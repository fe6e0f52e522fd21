"""A word n-gram model: interpolated modified Kneser-Ney (Chen & Goodman 1999, section 3.2).

Words are what stands between white space, case kept. The end of a sentence is predicted, its start is not; contexts
stop at the start. All words the training text lacks share one class, the unknown word. The lowest order is
interpolated with the uniform distribution over the known words, the unknown one and the end, over which the
probabilities of every context sum to one. Where the counts of counts give no discounts between 0 and the count, they
are 0.5, 1 and 1.5, the fallback of KenLM (Heafield et al. 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError

NGRAM_ORDER = 5


UNKNOWN_ID, END_ID, START_ID, FIRST_WORD_ID = 0, 1, 2, 3  # FIRST: the ids of words begin there


FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


_IntArray = NDArray[np.int64]


_Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class _NGramOrder:
    """The n-grams of one length; a context is the number of an n-gram one shorter.

    Shapes:
        keys: (n-grams,), sorted: context times the base, plus the word
        kept: (n-grams,), the share of the context's mass that stays after discounting
        passed: (contexts,), the share that goes to the shorter context; 1 where nothing follows
    """

    keys: _IntArray
    kept: _Float64Array
    passed: _Float64Array


class NGramModel:
    """An n-gram model of sentences.

    Raises:
        DataError: there is no sentence to learn from.
    """

    def __init__(self, sentences: Sequence[str], order: int = NGRAM_ORDER) -> None:
        if len(sentences) == 0:
            raise DataError("there is no sentence to learn n-grams from; give the training text.")
        words = dict.fromkeys(word for sentence in sentences for word in sentence.split())
        self.ids = {word: number for number, word in enumerate(words, start=FIRST_WORD_ID)}
        self.base = len(words) + FIRST_WORD_ID  # one more than the largest id
        self.orders = self.count(*self.flat(sentences), order)

    def __contains__(self, word: str) -> bool:
        """Return whether the training text has the word."""
        return word in self.ids

    def flat(self, sentences: Sequence[str]) -> tuple[_IntArray, _IntArray]:
        """Return all tokens, starts and ends included, and the place of each in its sentence."""
        rows = [
            [START_ID, *(self.ids.get(word, UNKNOWN_ID) for word in text.split()), END_ID]
            for text in sentences
        ]
        places = [np.arange(len(row)) for row in rows]
        return np.concatenate([np.array(row) for row in rows]), np.concatenate(places)

    def count(self, tokens: _IntArray, places: _IntArray, order: int) -> list[_NGramOrder]:
        """Return the orders from 1 up; below the highest, a count is that of the different words before an n-gram."""
        numbered = []  # of each order: its sorted keys, the number of the n-gram that ends at each token, places it has
        context = np.zeros_like(tokens)
        for n in range(1, order + 1):
            there = places >= n - 1
            if not there.any():
                break
            keys, inverse = np.unique(
                context[there] * self.base + tokens[there], return_inverse=True
            )
            number = np.full_like(tokens, -1)
            number[there] = inverse
            numbered.append((keys, number))
            context = np.concatenate([[-1], number[:-1]])
        return [self.discounted(numbered, places, n) for n in range(1, len(numbered) + 1)]

    def discounted(
        self, numbered: list[tuple[_IntArray, _IntArray]], places: _IntArray, n: int
    ) -> _NGramOrder:
        """Return one order from the n-grams of all."""
        keys = numbered[n - 1][0]
        counts = self.counts(numbered, places, n)
        counts[keys % self.base == START_ID] = 0  # the start is never predicted
        contexts, context = len(numbered[n - 2][0]) if n > 1 else 1, keys // self.base
        discount = np.concatenate([[0.0], compute_discounts(counts)])[np.minimum(counts, 3)]
        total = np.maximum(np.bincount(context, counts, contexts), 1)
        passed = np.bincount(context, discount, contexts) / total
        has_any = np.bincount(context, counts, contexts) > 0
        return _NGramOrder(
            keys, (counts - discount) / total[context], np.where(has_any, passed, 1.0)
        )

    def counts(
        self, numbered: list[tuple[_IntArray, _IntArray]], places: _IntArray, n: int
    ) -> _IntArray:
        """Return the count of each n-gram: how often it stands there, or after how many words it does."""
        keys, number = numbered[n - 1]
        if n == len(numbered):
            return np.bincount(number[number >= 0], minlength=len(keys))
        longer = numbered[n][1]
        _, first = np.unique(
            longer, return_index=True
        )  # one place for each longer n-gram, and one for their absence
        after = number[first[longer[first] >= 0]]
        at_start = number[places == n - 1]  # nothing can stand before these
        return np.bincount(after, minlength=len(keys)) + np.bincount(at_start, minlength=len(keys))

    def log_probs(self, sentences: Sequence[str]) -> _Float64Array:
        """Return log p of every word and end, sentence after sentence, in nats."""
        tokens, places = self.flat(sentences)
        chance = np.full(len(tokens), 1 / (self.base - 1))  # the start is no outcome
        context = np.zeros_like(tokens)
        for order in self.orders:
            key = np.where(context >= 0, context * self.base + tokens, -1)
            at = np.minimum(np.searchsorted(order.keys, key), len(order.keys) - 1)
            is_known = order.keys[at] == key
            passed = np.where(context >= 0, order.passed[context], 1.0)
            chance = np.where(is_known, order.kept[at], 0.0) + passed * chance
            number = np.where(is_known, at, -1)
            context = np.concatenate([[-1], number[:-1]])
        logs: _Float64Array = np.log(chance[places > 0])
        return logs

    def perplexity(self, sentences: Sequence[str]) -> float:
        """Return exp of the mean of -log p over words and ends."""
        return float(np.exp(-self.log_probs(sentences).mean()))

    def unknown_share(self, sentences: Sequence[str]) -> float:
        """Return the share of words the training text lacks; ends are not counted."""
        words = [word for sentence in sentences for word in sentence.split()]
        return sum(word not in self for word in words) / max(1, len(words))


def compute_discounts(counts: _IntArray) -> _Float64Array:
    """Return what is taken from counts of 1, of 2, and of 3 or more."""
    one, two, three, four = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not (one and two and three and four):
        return np.array(FALLBACK_DISCOUNTS)
    share = one / (one + 2 * two)
    found = np.array(
        [1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three]
    )
    return found if (found > 0).all() else np.array(FALLBACK_DISCOUNTS)
