"""The measures of samples, on texts whose values are known."""

import gzip
import math
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tiny import SENTENCES, tiny_dataset, tiny_vae
from textvae.data import BUNDLED_CORPORA
from textvae.errors import ConfigError, DataError
from textvae.evaluation.measures import MEASURES, EvaluationInput, MeasureSettings, run_model
from textvae.evaluation.measures.inputs import EvaluationTexts
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.samples import compute_self_bleu, distinct_share
from textvae.inference.encode import encode
from textvae.runtime.spacing import take_evenly

TRAINING = [
    "a man rides a horse .",
    "two dogs run in the park .",
    "a child sings",
    "two dogs run in the snow .",
]


@pytest.fixture(scope="module")
def base():
    bundle = tiny_vae().bundle
    dataset = tiny_dataset(bundle)
    return EvaluationInput(
        bundle, dataset, run_model(bundle, dataset), 1, 0, progress=False, training=TRAINING
    )


@pytest.fixture
def writing(base, monkeypatch):
    """Return a function that makes the inputs of a model whose samples are the given texts."""

    def make_inputs(texts, **settings):
        monkeypatch.setattr(EvaluationTexts, "prior_samples", texts)
        return replace(base, settings=MeasureSettings(**settings))

    return make_inputs


def test_distinct_is_the_share_of_different_ngrams(writing):
    """N-grams do not cross sentences, and a text that is too short has none."""
    record = MEASURES["diversity"](writing(["a b a b", "a b", "c"]))
    assert record["distinct_1"] == pytest.approx(3 / 7)
    assert record["distinct_2"] == pytest.approx(2 / 4)
    assert record["distinct_3"] == pytest.approx(2 / 2)
    assert record["prior_words_per_sentence"] == pytest.approx((5 + 3 + 2) / 3)
    assert distinct_share(["", "a"], 2) == 0


def test_samples_that_are_all_the_same_have_a_self_bleu_of_a_hundred(writing):
    """It is 0 without common words, and higher when two samples are more similar."""

    def self_bleu(*texts):
        return MEASURES["self_bleu"](writing(list(texts)))["self_bleu"]

    assert self_bleu(*["a red dog runs home"] * 3) == pytest.approx(100)
    assert self_bleu("a b c d", "e f g h", "i j k l") == pytest.approx(0, abs=1e-9)
    far = self_bleu("a man rides a horse", "two dogs run in snow", "a man sees a horse")
    near = self_bleu("a man rides a horse", "a man rides a dog", "a man sees a horse")
    assert far < near


def test_self_bleu_is_of_no_more_samples_than_asked_for(writing):
    """The record has their number."""
    inputs = writing(["a b c d"] * 3 + ["zzz"] * 9, self_bleu_samples=3)
    record = MEASURES["self_bleu"](inputs)
    assert record["self_bleu"] == pytest.approx(100)
    assert record["self_bleu_samples"] == 3


def test_forward_and_reverse_are_the_perplexities_of_the_two_models(writing):
    """Each model learns from one text and predicts the other; real text is for comparison."""
    samples = ["two dogs sing", "a man", ""]
    record = MEASURES["forward_reverse"](writing(samples))
    assert record["forward_ppl"] == NGramModel(TRAINING).perplexity(samples)
    assert record["forward_ppl_real"] == NGramModel(TRAINING).perplexity(SENTENCES)
    words = {word for text in TRAINING for word in text.split()}
    reverse = NGramModel(samples, vocabulary=words)
    assert record["reverse_ppl"] == reverse.perplexity(SENTENCES)
    reverse_real = NGramModel(take_evenly(TRAINING, 3), vocabulary=words)
    assert record["reverse_ppl_real"] == reverse_real.perplexity(SENTENCES)
    assert record["forward_unknown"] == pytest.approx(1 / 5)  # "sing"


def test_samples_copied_from_the_training_text_are_fluent_and_not_novel(writing):
    """Their forward perplexity is below that of real text; the reverse one is the same."""
    inputs = writing(TRAINING)
    record = {**MEASURES["forward_reverse"](inputs), **MEASURES["novelty"](inputs)}
    assert record["forward_ppl"] < record["forward_ppl_real"]
    assert record["reverse_ppl"] == pytest.approx(record["reverse_ppl_real"])
    assert record["novel"] == 0
    assert record["seen_4grams"] == 1


@cache
def read_captions():
    """Return real sentences in a random order: validation captions of the bundled corpus."""
    file = Path(BUNDLED_CORPORA["captions"]) / "validation.txt.gz"
    captions = gzip.decompress(file.read_bytes()).decode().splitlines()
    order = np.random.default_rng(0).permutation(len(captions))
    return [captions[index] for index in order]


def repeat_a_sentence(texts):
    """Return the first of the texts, as often as there are texts."""
    return texts[:1] * len(texts)


def write_ten_words(texts):
    """Return texts of the same lengths from their ten most frequent words."""
    words = Counter(word for text in texts for word in text.split())
    ten = [word for word, _ in words.most_common(10)]
    random = np.random.default_rng(0)
    return [" ".join(random.choice(ten, len(text.split()))) for text in texts]


# Each measure of coverage: the measure of the package, its key, and 1 if higher is better, else -1.
COVERAGE = [
    ("forward_reverse", "reverse_ppl", -1),
    ("forward_reverse", "reverse_unknown", -1),
    ("self_bleu", "self_bleu", -1),
    *(("diversity", f"distinct_{n}", 1) for n in (1, 2, 3, 4)),
    ("mauve", "mauve", 1),
]


@pytest.mark.parametrize("narrow", [repeat_a_sentence, write_ten_words])
@pytest.mark.parametrize(("measure", "key", "sign"), COVERAGE)
def test_samples_that_cover_little_are_worse_than_real_text(
    measure, key, sign, narrow, writing, monkeypatch
):
    """Neither one sentence repeated nor a vocabulary of ten words beats fresh real text."""
    if measure == "mauve":
        pytest.importorskip("mauve")
    captions = read_captions()
    monkeypatch.setattr(EvaluationTexts, "originals", captions[:300])

    def measure_coverage(samples):
        inputs = writing(samples, self_bleu_samples=60, features=count_frequent_words)
        return sign * MEASURES[measure](replace(inputs, training=captions[300:1000]))[key]

    real = captions[1000:1300]
    assert measure_coverage(narrow(real)) < measure_coverage(real)


def count_frequent_words(texts):
    """Return features of texts for MAUVE: how often each of fifty words occurs."""
    words = Counter(word for text in read_captions() for word in text.split()).most_common(50)
    return [[float(text.split().count(word)) for word, _ in words] for text in texts]


def test_the_measures_of_coverage_say_what_real_text_has(writing, monkeypatch):
    """Real text is as many evaluated sentences; without as many, its numbers are left out."""
    real = read_captions()[:40]
    monkeypatch.setattr(EvaluationTexts, "originals", real)
    inputs = writing(["a b c d"] * 20)
    record = {**MEASURES["diversity"](inputs), **MEASURES["self_bleu"](inputs)}
    assert record["distinct_2_real"] == distinct_share(take_evenly(real, 20), 2)
    assert record["self_bleu_real"] == compute_self_bleu(take_evenly(real, 20))
    many = writing(["a b c d"] * 41)
    record = {**MEASURES["diversity"](many), **MEASURES["self_bleu"](many)}
    assert not [key for key in record if key.endswith("_real")]


def list_4grams(text):
    words = text.split()
    return [tuple(words[i : i + 4]) for i in range(len(words) - 3)]


def test_novelty_equals_a_slow_count(writing):
    """Sentences are compared letter by letter; texts without a 4-gram do not count."""
    samples = [
        "a child sings",
        "A child sings",
        "two dogs run in a park .",
        "a man rides a horse .",
    ]
    record = MEASURES["novelty"](writing(samples))
    seen = set()
    for text in TRAINING:
        seen.update(list_4grams(text))
    shares = []
    for text in samples:
        grams = list_4grams(text)
        if grams:
            shares.append(sum(gram in seen for gram in grams) / len(grams))
    assert record["novel"] == 2 / 4
    assert record["seen_4grams"] == pytest.approx(sum(shares) / len(shares))


def test_texts_are_taken_evenly():
    """All texts are taken if there are no more than the maximum."""
    assert take_evenly(TRAINING, 99) == TRAINING
    assert take_evenly(list("abcdefgh"), 3) == ["a", "c", "f"]


def test_mauve_compares_posterior_means_or_the_users_features(writing, monkeypatch):
    """The package gets one row per text, and features of another shape are refused."""
    arguments = {}

    def compute_mauve(**options):
        arguments.update(options)
        return SimpleNamespace(mauve=np.float64(0.25))

    monkeypatch.setitem(sys.modules, "mauve", SimpleNamespace(compute_mauve=compute_mauve))
    inputs = writing(["two dogs run .", ""])
    record = MEASURES["mauve"](inputs)
    assert (record["mauve"], record["mauve_features"]) == (0.25, "posterior means")
    np.testing.assert_allclose(arguments["p_features"], encode(inputs.bundle, SENTENCES))
    assert arguments["q_features"].shape == (2, inputs.outputs.mean.shape[1])
    inputs = writing(["two dogs run .", ""], features=lambda texts: [[len(text)] for text in texts])
    assert MEASURES["mauve"](inputs)["mauve_features"] == "given"
    assert arguments["q_features"].tolist() == [[14], [0]]
    inputs = writing(["a", "b"], features=lambda texts: [math.nan for _ in texts])
    words = r"features of 6 texts have shape \(6,\); expected one row of finite numbers per text"
    with pytest.raises(DataError, match=words):
        MEASURES["mauve"](inputs)


def test_a_missing_package_gives_the_command_that_installs_it(writing, monkeypatch):
    """Only this measure imports the package."""
    monkeypatch.setitem(sys.modules, "mauve", None)
    with pytest.raises(ConfigError, match=r"pip install 'textvae\[mauve\]'"):
        MEASURES["mauve"](writing(["a", "b"]))


def test_prior_samples_are_sampled_unless_greedy_is_set(base):
    """The seed determines them; greedy ones differ by their latents alone."""
    few = replace(base, settings=MeasureSettings(prior_samples=6))
    assert few.texts.prior_samples == replace(few).texts.prior_samples
    assert few.texts.prior_samples != replace(few, seed=1).texts.prior_samples
    greedy = replace(few, settings=MeasureSettings(prior_samples=6, greedy=True))
    assert greedy.texts.prior_samples != few.texts.prior_samples
    assert MEASURES["diversity"](greedy)["prior_decoding"] == "greedy"
