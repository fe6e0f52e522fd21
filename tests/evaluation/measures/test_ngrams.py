"""The n-gram model against a slow one, and as a probability distribution."""

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


def add_ends(sentence):
    """Return the words of a sentence with its start and its end."""
    return ["<s>", *sentence.split(), "</s>"]


def list_ngrams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


class SlowNGrams:
    """The definition of the model, one n-gram at a time."""

    def __init__(self, sentences, order, vocabulary=None):
        self.order = order
        rows = [add_ends(sentence) for sentence in sentences]
        self.unknown_outcomes = 1
        if vocabulary is not None:
            known = {*vocabulary, "<s>", "</s>"}
            rows = [[word if word in known else "<unk>" for word in row] for row in rows]
            self.unknown_outcomes += len(set(vocabulary) - set().union(*rows))
        self.words = set().union(*rows) - {"<s>"} | {"<unk>"}
        occurrences: dict[int, Counter[tuple[str, ...]]] = {
            n: Counter() for n in range(1, order + 1)
        }
        for n in occurrences:
            for row in rows:
                occurrences[n].update(list_ngrams(row, n))
        self.counts = {order: dict(occurrences[order])}
        for n in range(1, order):
            self.counts[n] = self.count_words_before(occurrences, n)
        self.counts[1].pop(("<s>",))
        for n, table in self.counts.items():
            self.counts[n] = {key: count for key, count in table.items() if key[-1] != "<unk>"}
        self.discounts = {
            n: compute_discounts(np.array(list(table.values()))) for n, table in self.counts.items()
        }

    def count_words_before(self, occurrences, n):
        """Return the number of different words before each n-gram, as Kneser-Ney counts."""
        counts = {}
        for ngram, count in occurrences[n].items():
            before = {longer[0] for longer in occurrences[n + 1] if longer[1:] == ngram}
            counts[ngram] = count if ngram[0] == "<s>" else len(before)
        return counts

    def probability(self, word, context):
        """Return p(word | context), by recursion to shorter contexts."""
        if context is None:
            share = self.unknown_outcomes if word == "<unk>" else 1
            return 1 / len(self.words) / share
        n = len(context) + 1
        following = {}
        for ngram, count in self.counts[n].items():
            if ngram[:-1] == context:
                following[ngram[-1]] = count
        shorter = self.probability(word, context[1:] if context else None)
        if not following:
            return shorter
        discount = {
            other: self.discounts[n][min(count, 3) - 1] for other, count in following.items()
        }
        total = sum(following.values())
        retained = (following[word] - discount[word]) / total if word in following else 0
        return retained + sum(discount.values()) / total * shorter

    def log_probs(self, sentence):
        """Return log p of every word and the end."""
        known = self.words | {"<s>"}
        row = [word if word in known else "<unk>" for word in add_ends(sentence)]
        contexts = [tuple(row[max(0, i - self.order + 1) : i]) for i in range(len(row))]
        return [math.log(self.probability(row[i], contexts[i])) for i in range(1, len(row))]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_probability_equals_a_slow_recursion(order):
    """The sentences are seen ones, unseen ones, a blank one, and some with unknown words."""
    fast = NGramModel(TEXT, order)
    slow = SlowNGrams(TEXT, order)
    sentences = [*TEXT, "a dog rides two horses", "nothing known here", "man man man man man man"]
    expected = np.concatenate([slow.log_probs(sentence) for sentence in sentences])
    np.testing.assert_allclose(fast.log_probs(sentences), expected, rtol=1e-12)


VOCABULARY = ["a", "man", "rides", "two", "dogs", "run", "cat", "sings", "wave"]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_with_a_vocabulary_too_every_probability_equals_a_slow_recursion(order):
    """The text lacks two of its words, and has words that it lacks."""
    fast = NGramModel(TEXT, order, VOCABULARY)
    slow = SlowNGrams(TEXT, order, VOCABULARY)
    sentences = [*TEXT, "a cat rides two horses", "a horse sings a dog", ""]
    expected = np.concatenate([slow.log_probs(sentence) for sentence in sentences])
    np.testing.assert_allclose(fast.log_probs(sentences), expected, rtol=1e-12)


@pytest.mark.parametrize("context", ["", "a man", "zzz a", "a man rides a horse"])
def test_the_words_of_a_vocabulary_have_probabilities_that_sum_to_one(context):
    """They do together with one outcome for all other words, whatever text was learned."""
    for text in (TEXT, ["a man"] * 9, ["zzz", ""]):
        model = NGramModel(text, vocabulary=VOCABULARY)
        words = [*VOCABULARY, "unheard"]
        position = len(context.split())
        probabilities = [np.exp(model.log_probs([f"{context} {word}"])[position]) for word in words]
        end = np.exp(model.log_probs([context])[position])
        assert sum(probabilities) + end == pytest.approx(1)
        assert min(probabilities) > 0


def test_words_outside_the_vocabulary_are_not_learned():
    """After a text of invented words, they are as unlikely as a known word that it lacks."""
    model = NGramModel(["qqq www", "a qqq"] * 50, vocabulary=VOCABULARY)
    assert "qqq" not in model
    for context in ("", "a "):
        position = len(context.split())
        texts = [f"{context}{word}" for word in ("qqq", "rare", "cat")]
        invented, rare, lacking = (model.log_probs([text])[position] for text in texts)
        assert invented == rare == lacking


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize(
    "context", ["", "a man", "a man rides a", "zzz a", "run two dogs", "a man rides a horse"]
)
def test_the_probabilities_after_any_context_sum_to_one(order, context):
    """The outcomes are the known words, the unknown word, and the end."""
    model = NGramModel(TEXT, order)
    words = [*model.word_ids, "unheard"]
    position = len(context.split())
    probabilities = [np.exp(model.log_probs([f"{context} {word}"])[position]) for word in words]
    end = np.exp(model.log_probs([context])[position])
    assert sum(probabilities) + end == pytest.approx(1)
    assert min(probabilities) > 0


def test_unknown_words_have_a_probability_and_no_word_is_reserved():
    """If a text has <unk> or </s> as words, they are ordinary words."""
    model = NGramModel(["<unk> </s> <s>", "a b"])
    assert "<unk>" in model
    assert "c" not in model
    assert np.isfinite(model.log_probs(["c d", "<s> </s>"])).all()
    assert model.unknown_share(["c a", "b"]) == pytest.approx(1 / 3)


def test_the_perplexity_counts_ends_and_not_starts():
    """For 10 equally likely words, the perplexity is about 10."""
    model = NGramModel(TEXT)
    logs = model.log_probs(TEXT)
    assert len(logs) == sum(len(text.split()) + 1 for text in TEXT)
    assert model.perplexity(TEXT) == pytest.approx(math.exp(-logs.mean()))
    random = np.random.default_rng(0)
    draws = [" ".join(map(str, random.integers(0, 10, 500))) for _ in range(20)]
    assert NGramModel(draws[:10], order=1).perplexity(draws[10:]) == pytest.approx(10, rel=0.05)


def test_discounts_follow_the_counts_of_counts_or_fall_back():
    """They follow Chen & Goodman's formula, or with too few counts are KenLM's constants."""
    counts = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4])
    share = 8 / 16
    assert compute_discounts(counts) == pytest.approx(
        [1 - 2 * share * 4 / 8, 2 - 3 * share * 2 / 4, 3 - 4 * share * 1 / 2]
    )
    assert compute_discounts(np.array([1, 1, 2])) == pytest.approx(FALLBACK_DISCOUNTS)


def test_a_text_of_blank_sentences_makes_the_end_likely():
    """The samples of a model that writes nothing still have a perplexity."""
    model = NGramModel(["", ""])
    end = np.exp(model.log_probs([""])[0])
    unknown = np.exp(model.log_probs(["zzz"])[0])
    assert end > 0.5
    assert end + unknown == pytest.approx(1)


def test_no_text_is_refused():
    """There is nothing to learn from."""
    with pytest.raises(DataError, match="there is no sentence to learn n-grams from"):
        NGramModel([])
