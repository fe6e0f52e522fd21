"""Compare ways to train a classifier with few labels: augmentation, self-training, and both.

    python experiments/augment.py CORPUS RUN --cache FOLDER [--language-model LM_RUN]

CORPUS is a folder with SPLIT.txt and SPLIT.labels. RUN, a text VAE, and LM_RUN, a
language model, were trained on the sentences of its train.txt, without labels. The
classifier is a logistic regression on TF-IDF of single words and pairs of words. In
the rows with *states*, its probabilities are averaged with those of a second one, on
the states of the VAE's encoder.

The additional texts come from

- random edits: one word of a labeled text is deleted, repeated elsewhere, or swapped
  with another (Wei & Zou 2019, arXiv:1901.11196, without synonyms);
- the language model, which continues the first half of a labeled text. A text is
  kept if the classifier of the labeled texts gives it the same label;
- `augment`;
- self-training: the unlabeled sentences, with the labels that the classifier gives
  them. In round r of R, the share r / R of each predicted class that it is most sure
  of is added, and the classifier is trained again.

Accuracies are in percent: the mean over draws of labeled texts ± the standard
deviation over draws. In parentheses is the mean gain over self-training, draw by
draw, ± its standard error. Accuracies are measured on the test split, or on the
validation split with --validation, by which the weights and the number of rounds
were chosen. The two splits are measured with different draws.

With --cache, written texts are stored, so an interrupted measurement continues.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np
from labeled import Split, draw_indices, read_corpus
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from textvae.uses.options import AugmentOptions
from textvae.vae import TextVAE

PENALTY = 10.0  # scikit-learn's C, the inverse of the penalty
VALIDATION_SEED = 0  # of the first draw of labeled texts; the next draws count up from it
TEST_SEED = 100  # far enough from the other that no draw is used in both tables
TEMPERATURE = 0.7  # of the language model's tokens, as the default of `augment`


@dataclass(frozen=True)
class Examples:
    """Texts to learn from, with their labels and weights, (n,)."""

    texts: list[str]
    labels: NDArray[np.str_]
    weights: NDArray[np.float64]

    def add(self, texts: Sequence[str], labels: Sequence[Any], weight: float) -> "Examples":
        """Return these examples and further ones of a common weight."""
        return Examples(
            [*self.texts, *texts],
            np.concatenate([self.labels, np.asarray(labels, dtype=str)]),
            np.concatenate([self.weights, np.full(len(texts), weight)]),
        )


class StateReader:
    """Computes the encoder's states of texts, centered and of length one, each text once."""

    def __init__(self, vae: TextVAE, texts: Sequence[str]) -> None:
        self.vae = vae
        states = vae.features(list(texts))
        self.center = states.mean(0)
        self.known = dict(zip(texts, normalize(states - self.center), strict=True))

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the states of texts, (n, width)."""
        new = sorted(set(texts) - self.known.keys())
        if new:
            rows = normalize(self.vae.features(new) - self.center)
            self.known |= dict(zip(new, rows, strict=True))
        return np.stack([self.known[text] for text in texts])


class Classifier:
    """Logistic regression on TF-IDF; with states, averaged with one on these.

    Attributes:
        classes: the labels, sorted, in the order of the columns of `predict`.
    """

    def __init__(self, examples: Examples, states: StateReader | None) -> None:
        self.words = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"
        ).fit(examples.texts)
        self.states = states
        self.models = [
            LogisticRegression(C=PENALTY, max_iter=100, tol=1e-3).fit(
                rows, examples.labels, sample_weight=examples.weights
            )
            for rows in self._compute_features(examples.texts)
        ]
        self.classes = self.models[0].classes_

    def _compute_features(self, texts: Sequence[str]) -> list[Any]:
        """Return the features of texts for each of the models."""
        features: list[Any] = [self.words.transform(texts)]
        if self.states is not None:
            features.append(self.states.read(texts))
        return features

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability of each class, (n, classes)."""
        pairs = zip(self.models, self._compute_features(texts), strict=True)
        probabilities = [model.predict_proba(rows) for model, rows in pairs]
        return np.asarray(np.mean(probabilities, axis=0))

    def measure_accuracy(self, split: Split) -> float:
        """Return the accuracy in percent."""
        predicted = self.classes[self.predict(split.texts).argmax(1)]
        return 100 * float((predicted == split.labels).mean())


def train_on_own_labels(
    examples: Examples,
    unlabeled: Sequence[str],
    states: StateReader | None,
    rounds: int,
    weight: float,
) -> Classifier:
    """Return a classifier that also learned from unlabeled texts, with its own labels of them."""
    classifier = Classifier(examples, states)
    for round_number in range(1, rounds + 1):
        probabilities = classifier.predict(unlabeled)
        best = probabilities.argmax(1)
        chosen: list[int] = []
        for label in range(len(classifier.classes)):
            members = np.flatnonzero(best == label)
            order = members[np.argsort(-probabilities[members, label], kind="stable")]
            chosen += order[: math.ceil(len(order) * round_number / rounds)].tolist()
        texts = [unlabeled[index] for index in chosen]
        labels = classifier.classes[best[chosen]]
        classifier = Classifier(examples.add(texts, labels, weight), states)
    return classifier


def edit_randomly(text: str, random: Random) -> str:
    """Return a text in which a word was swapped with another, deleted, or repeated elsewhere."""
    words = text.split()
    if len(words) < 2:
        return text
    edit = random.choice(("swap", "delete", "insert"))
    first, second = random.sample(range(len(words)), 2)
    if edit == "swap":
        words[first], words[second] = words[second], words[first]
    elif edit == "delete":
        del words[first]
    else:
        words.insert(second, words[first])
    return " ".join(words)


def write_random_edits(split: Split, n: int, seed: int) -> list[tuple[str, str]]:
    """Return up to `n` different edits of each text, with their labels."""
    random = Random(seed)
    written = []
    for text, label in zip(split.texts, split.labels, strict=True):
        edits = {edit_randomly(text, random) for _ in range(n)} - {text}
        written += [(edit, str(label)) for edit in sorted(edits)]
    return written


def write_continuations(
    model: TextVAE, split: Split, n: int, seed: int, examples: Examples
) -> list[tuple[str, str]]:
    """Return up to `n` continuations of the first half of each text that keep its label."""
    judge = Classifier(examples, None)
    written = []
    for text, label in zip(split.texts, split.labels, strict=True):
        words = text.split()
        beginning = " ".join(words[: max(1, len(words) // 2)])
        texts = model.complete(beginning, n=n, temperature=TEMPERATURE, seed=seed)
        new = sorted(set(texts) - {text})
        if new:
            predicted = judge.classes[judge.predict(new).argmax(1)]
            written += [
                (t, str(label)) for t, name in zip(new, predicted, strict=True) if name == label
            ]
    return written


def write_with_augment(
    vae: TextVAE, split: Split, n: int, seed: int, options: AugmentOptions
) -> list[tuple[str, str]]:
    """Return the texts of `augment`, with their labels."""
    chosen: AugmentOptions = {"n": n, "seed": seed, **options}
    records = vae.augment(split.texts, split.labels.tolist(), **chosen)
    return [(record["text"], str(record["label"])) for record in records]


def cache_texts(
    folder: Path | None, key: str, write: Callable[[], list[tuple[str, str]]]
) -> list[tuple[str, str]]:
    """Return the texts of a key from the folder; write and store them if they are missing."""
    if folder is None:
        return write()
    file = folder / f"{key}.json"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(write()), encoding="utf-8")
    return [(text, label) for text, label in json.loads(file.read_text(encoding="utf-8"))]


def format_cell(accuracies: NDArray[np.float64], baseline: NDArray[np.float64]) -> str:
    """Return mean ± standard deviation over draws, and the gain over a baseline ± its error."""
    gains = accuracies - baseline
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return (
        f"{accuracies.mean():.1f} ± {accuracies.std(ddof=1):.1f} "
        f"({gains.mean():+.1f} ± {error:.1f})"
    )


def measure_draw(
    train: Split,
    held_out: Split,
    count: int,
    seed: int,
    write: dict[str, Callable[[Split, Examples], list[tuple[str, str]]]],
    states: StateReader,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Return the accuracy of each way to train a classifier, for one draw of labeled texts.

    Args:
        write: the sources of additional texts, by name.
    """
    indices = draw_indices(train.labels, count, seed)
    split = train.select(indices)
    unlabeled = train.select(np.setdiff1d(np.arange(len(train.texts)), indices)).texts
    examples = Examples(split.texts, split.labels, np.ones(len(split.texts)))
    sets = {"labeled texts alone": examples}
    for name, write_texts in write.items():
        pairs = write_texts(split, examples)
        sets[name] = examples.add(
            [text for text, _ in pairs], [label for _, label in pairs], options.weight
        )
    accuracies = {}
    for name, used in sets.items():
        accuracies[name] = Classifier(used, None).measure_accuracy(held_out)
    for name, used in sets.items():
        title = "self-training" if used is examples else f"self-training, {name}"
        for suffix, reader in (("", None), (", states", states)):
            classifier = train_on_own_labels(
                used, unlabeled, reader, options.rounds, options.own_weight
            )
            accuracies[title + suffix] = classifier.measure_accuracy(held_out)
    return accuracies


def list_sources(
    options: argparse.Namespace, vae: TextVAE, split_name: str, count: int, seed: int
) -> dict[str, Callable[[Split, Examples], list[tuple[str, str]]]]:
    """Return the sources of additional texts, by name, for one draw of labeled texts."""
    pairs = [option.split("=") for option in options.option]
    # `augment` checks the names and the values.
    augment_options = cast("AugmentOptions", {name: float(value) for name, value in pairs})
    key = f"{split_name}-{count}-{options.n}-{seed}"

    def augmented(split: Split, examples: Examples) -> list[tuple[str, str]]:
        write = partial(write_with_augment, vae, split, options.n, seed, augment_options)
        return cache_texts(options.cache, f"augment-{key}", write)

    def edited(split: Split, examples: Examples) -> list[tuple[str, str]]:
        return write_random_edits(split, options.n, seed)

    def continued(split: Split, examples: Examples) -> list[tuple[str, str]]:
        model = TextVAE.from_pretrained(options.language_model, device="cpu")
        write = partial(write_continuations, model, split, options.n, seed, examples)
        return cache_texts(options.cache, f"continued-{key}", write)

    sources = {"random edits": edited}
    if options.language_model:
        sources["language model"] = continued
    return {**sources, "augment": augmented}


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("run")
    parser.add_argument("--language-model", metavar="LM_RUN")
    parser.add_argument("--examples", type=int, default=5, help="labeled texts per class")
    parser.add_argument("-n", type=int, default=20, help="texts to write per labeled text")
    parser.add_argument("--draws", type=int, default=5, help="draws of labeled texts")
    parser.add_argument("--weight", type=float, default=0.3, help="weight of a written text")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of self-training")
    parser.add_argument(
        "--own-weight", type=float, default=1.0, help="weight of a text of self-training"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="an option of `augment`; can be repeated",
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where to store texts")
    parser.add_argument(
        "--only-self-training",
        action="store_true",
        help="leave out written texts, which take most of the time",
    )
    parser.add_argument(
        "--validation", action="store_true", help="measure on the validation split, not on test"
    )
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    options = parse_arguments()
    train, validation, test = read_corpus(options.corpus)
    held_out = validation if options.validation else test
    first_seed = VALIDATION_SEED if options.validation else TEST_SEED
    split_name = "validation" if options.validation else "test"
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    states = StateReader(vae, train.texts)
    rows: dict[str, list[float]] = {}
    for number in range(options.draws):
        sources = {}
        if not options.only_self_training:
            sources = list_sources(options, vae, split_name, options.examples, number)
        seed = first_seed + number
        accuracies = measure_draw(train, held_out, options.examples, seed, sources, states, options)
        for name, accuracy in accuracies.items():
            rows.setdefault(name, []).append(accuracy)
        print(f"draw {number}: {json.dumps(accuracies)}", flush=True)
    baseline = np.array(rows["self-training"])
    print(f"\n| {options.examples} per class, {options.draws} draws | accuracy |\n|---|---|")
    for name, values in rows.items():
        print(f"| {name} | {format_cell(np.array(values), baseline)} |", flush=True)


if __name__ == "__main__":
    main()
