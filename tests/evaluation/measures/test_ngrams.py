"""The n-gram model against a slow one, and against what every distribution is."""

import math
from collections import Counter

import numpy as np
import pytest

from textvae.errors import DataError
from textvae.evaluation.measures.ngrams import FALLBACK_DISCOUNTS, NGramModel, compute_discounts

TEXT = [
    "a man rides a horse",
    "a man rides a wave",
    "two dogs run",
    "a dog runs",
    "two dogs run",
    "",
    "a man sees two",
]


def marked(sentence):
    return ["<s>", *sentence.split(), "</s>"]


class SlowNGrams:
    """The definition, one n-gram at a time."""

    def __init__(self, sentences, order):
        self.order = order
        rows = [marked(sentence) for sentence in sentences]
        self.words = {word for row in rows for word in row} - {"<s>"} | {"<unk>"}
        grams = {
            n: Counter(tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1))
            for n in range(1, order + 1)
        }
        self.counts = {order: dict(grams[order])}
        for n in range(1, order):
            before = {
                gram: len({longer[0] for longer in grams[n + 1] if longer[1:] == gram})
                for gram in grams[n]
            }
            self.counts[n] = {
                gram: grams[n][gram] if gram[0] == "<s>" else before[gram] for gram in grams[n]
            }
        self.counts[1].pop(("<s>",))
        self.taken = {
            n: compute_discounts(np.array(list(table.values()))) for n, table in self.counts.items()
        }

    def chance(self, word, context):
        """Return p(word | context), by recursion to shorter contexts."""
        if context is None:
            return 1 / len(self.words)
        n = len(context) + 1
        following = {
            gram[-1]: count for gram, count in self.counts[n].items() if gram[:-1] == context
        }
        shorter = self.chance(word, context[1:] if context else None)
        if not following:
            return shorter
        taken = {other: self.taken[n][min(count, 3) - 1] for other, count in following.items()}
        total = sum(following.values())
        kept = (following[word] - taken[word]) / total if word in following else 0
        return kept + sum(taken.values()) / total * shorter

    def log_probs(self, sentence):
        """Return log p of every word and the end."""
        row = [
            word if word in self.words or word == "<s>" else "<unk>" for word in marked(sentence)
        ]
        contexts = [tuple(row[max(0, i - self.order + 1) : i]) for i in range(len(row))]
        return [math.log(self.chance(row[i], contexts[i])) for i in range(1, len(row))]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_probability_equals_a_slow_recursion(order):
    """On sentences seen, unseen, blank, and with words that are unknown."""
    fast, slow = NGramModel(TEXT, order), SlowNGrams(TEXT, order)
    asked = [*TEXT, "a dog rides two horses", "nothing known here", "man man man man man man"]
    expected = [value for sentence in asked for value in slow.log_probs(sentence)]
    np.testing.assert_allclose(fast.log_probs(asked), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize(
    "context", ["", "a man", "a man rides a", "zzz a", "run two dogs", "a man rides a horse"]
)
def test_what_follows_any_context_sums_to_one(order, context):
    """Over the known words, one unknown, and the end."""
    model = NGramModel(TEXT, order)
    words = [*model.ids, "unheard"]
    place = len(context.split())
    chances = [np.exp(model.log_probs([f"{context} {word}"])[place]) for word in words]
    assert sum(chances) + np.exp(model.log_probs([context])[place]) == pytest.approx(1)
    assert min(chances) > 0


def test_unknown_words_get_mass_and_no_words_name_is_taken():
    """A text may hold <unk> and </s> as words; they are words."""
    model = NGramModel(["<unk> </s> <s>", "a b"])
    assert "<unk>" in model
    assert "c" not in model
    assert np.isfinite(model.log_probs(["c d", "<s> </s>"])).all()
    assert model.unknown_share(["c a", "b"]) == pytest.approx(1 / 3)


def test_the_perplexity_counts_ends_and_not_starts():
    """Of a text that is always the same, it is low; of n equally likely words, about n."""
    model = NGramModel(TEXT)
    logs = model.log_probs(TEXT)
    assert len(logs) == sum(len(text.split()) + 1 for text in TEXT)
    assert model.perplexity(TEXT) == pytest.approx(math.exp(-logs.mean()))
    random = np.random.default_rng(0)
    draws = [" ".join(map(str, random.integers(0, 10, 500))) for _ in range(20)]
    assert NGramModel(draws[:10], order=1).perplexity(draws[10:]) == pytest.approx(10, rel=0.05)


def test_discounts_follow_the_counts_of_counts_or_fall_back():
    """Chen & Goodman's formula; with too few counts, KenLM's constants."""
    counts = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4])
    share = 8 / 16
    assert compute_discounts(counts) == pytest.approx(
        [1 - 2 * share * 4 / 8, 2 - 3 * share * 2 / 4, 3 - 4 * share * 1 / 2]
    )
    assert compute_discounts(np.array([1, 1, 2])) == pytest.approx(FALLBACK_DISCOUNTS)


def test_a_text_of_blank_sentences_teaches_that_they_end():
    """A model that writes nothing still has a perplexity."""
    model = NGramModel(["", ""])
    assert np.exp(model.log_probs([""])[0]) > 0.5
    assert np.exp(model.log_probs([""])).sum() + np.exp(
        model.log_probs(["zzz"])[0]
    ) == pytest.approx(1)


def test_no_text_is_refused():
    """There is nothing to learn from."""
    with pytest.raises(DataError, match="there is no sentence to learn n-grams from"):
        NGramModel([])
