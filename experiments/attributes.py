"""Measure edits along latent directions, with the data of Shen et al. 2020 (arXiv:1905.12777).

    python experiments/attributes.py RUN DAAE_YELP YELP_SENTENCES

DAAE_YELP is the folder with sentiment/ and tense/ from shentianxiao/text-autoencoders.
YELP_SENTENCES is a folder with train.txt, train.labels, test.txt and test.labels
(1 positive, 0 negative).

The protocol is that of the paper. The direction of sentiment is fitted on 100
sentences per class, and 1,000 negative sentences are edited. The direction of tense
is fitted on valid.past and valid.present, and test.past is edited.

Accuracy is the share of texts that a classifier assigns to the class they are edited
towards. It is a logistic regression on TF-IDF of single words and pairs of words,
trained on train.txt for sentiment, and on valid.past and valid.present for tense.
BLEU compares the texts with the input. Perplexity is that under 5-grams of train.txt.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor

from textvae.evaluation.measures.ngrams import NGramModel
from textvae.inference.decoding import PreferredTokens, decode_latents
from textvae.inference.encode import posterior, tokenize_and_truncate
from textvae.inference.refine import refine_means
from textvae.inference.settings import DecodingSettings
from textvae.uses.attribute import fit_attribute
from textvae.vae import TextVAE

ROW = "| {} | {} | {} | {:.1f} | {:.1f} | {:.1f} |"

LENGTHS = np.arange(0, 6.25, 0.25)  # of the steps that are tried for the least edit

LabeledTexts = tuple[list[str], list[int]]
Decode = Callable[[Tensor, NDArray[np.int64]], list[str]]  # from latents, and the rows they are of


@dataclass(frozen=True)
class Task:
    """One attribute to edit.

    Attributes:
        examples: texts with labels 0 and 1, from which the direction is fitted.
        texts: texts of class 0, to be edited towards class 1.
        classifier: distinguishes the classes.
    """

    name: str
    examples: LabeledTexts
    texts: list[str]
    classifier: Pipeline


def read_lines(file: Path) -> list[str]:
    """Return a file's lines that are not blank."""
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_yelp_split(folder: Path, split: str) -> LabeledTexts:
    """Return the sentences of a split with their labels."""
    texts = (folder / f"{split}.txt").read_text().splitlines()
    return texts, [int(label) for label in read_lines(folder / f"{split}.labels")]


def join_classes(away: list[str], towards: list[str]) -> LabeledTexts:
    """Return the texts of two classes, with labels 0 and 1."""
    return away + towards, [0] * len(away) + [1] * len(towards)


def train_classifier(texts: Sequence[str], labels: Sequence[int]) -> Pipeline:
    """Train a classifier on single words and pairs of words."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\S+", sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels)


def fit_regression_direction(vae: TextVAE, examples: LabeledTexts, difference: Tensor) -> Tensor:
    """Return the normal vector of a logistic regression on z, (latent,).

    Its length is the distance between the class means, measured along it. Strength 1
    therefore means the same as for the difference of the means.

    Args:
        difference: the difference of the class means, (latent,).
    """
    texts, labels = examples
    regression = LogisticRegression(max_iter=3000).fit(vae.encode(texts), labels)
    weights = torch.from_numpy(regression.coef_[0]).float()
    return weights * (weights @ difference) / (weights @ weights)


def fit_judge(vae: TextVAE, examples: LabeledTexts) -> LogisticRegression:
    """Return a regression on z that tells the classes apart, with a strong penalty.

    Its normal is nearly as long a way between the classes as the difference of their means.
    """
    texts, labels = examples
    return LogisticRegression(C=0.02, max_iter=3000).fit(vae.encode(texts), labels)


def edit_least(
    vae: TextVAE, z: Tensor, judge: LogisticRegression, margin: float, decode: Decode
) -> list[str]:
    """Return the edit of each latent after the shortest step that changes its class.

    The steps go along the normal of the judge. A step has changed the class if the judge, which
    reads the edited text again, is sure of the new class by the margin. If no step is, the one
    of which it is surest is taken.

    Args:
        z: (n, latent).
        margin: the log-odds of the new class that are asked for.
    """
    normal = torch.from_numpy(judge.coef_[0]).float()
    best: list[str] = [""] * len(z)
    scores = np.full(len(z), -np.inf)
    for length in LENGTHS:
        rows = np.flatnonzero(scores <= margin)
        if not len(rows):
            break
        moved = z[rows] + length * normal / normal.norm()
        texts = decode(vae.bundle.model.prior.project(moved), rows)
        for row, text, score in zip(
            rows, texts, judge.decision_function(vae.encode(texts)), strict=True
        ):
            if score > scores[row]:
                best[row], scores[row] = text, score
    return best


def print_rows(
    task: Task,
    vae: TextVAE,
    compute_perplexity: Callable[[list[str]], float],
    options: argparse.Namespace,
) -> None:
    """Print the rows of one attribute, beginning with the unchanged input."""
    attribute = fit_attribute(vae.bundle, *task.examples)
    directions = {
        "difference of means": attribute.direction,
        "regression": fit_regression_direction(vae, task.examples, attribute.direction),
    }
    # What `edit` does, but the latents are refined only once for all strengths.
    means = posterior(vae.bundle, task.texts).mean
    z = refine_means(vae.bundle, task.texts, means, options.refine)
    ids = tokenize_and_truncate(vae.bundle, task.texts)

    def decode(moved: Tensor, rows: NDArray[np.int64]) -> list[str]:
        preferred = PreferredTokens([ids[row] for row in rows], options.keep)
        return decode_latents(
            vae.bundle,
            moved,
            DecodingSettings(),
            samples_by_default=False,
            preferred=preferred if options.keep else None,
        )

    def print_row(kind: str, strength: str, texts: list[str]) -> None:
        accuracy = 100 * task.classifier.predict(texts).mean()
        score = bleu.corpus_score(texts, [task.texts]).score
        perplexity = compute_perplexity(texts)
        print(ROW.format(task.name, kind, strength, accuracy, score, perplexity), flush=True)

    bleu = BLEU(tokenize="none", force=True)
    print_row("the input", "", task.texts)
    everything = np.arange(len(z))
    for kind, direction in directions.items():
        for strength in options.strengths:
            # Strength 0 is the reconstruction, the same for both directions.
            if strength == 0 and kind == "regression":
                continue
            moved = vae.bundle.model.prior.project(z + strength * direction)
            name = kind if strength else "reconstruction"
            print_row(name, f"{strength:g}", decode(moved, everything))
    if options.least:
        judge = fit_judge(vae, task.examples)
        for margin in options.least:
            texts = edit_least(vae, z, judge, margin, decode)
            print_row("regression, the least", f"margin {margin:g}", texts)
    scores = ", ".join(
        f"{key} {value:.3f}" for key, value in attribute.record.items() if isinstance(value, float)
    )
    print(f"\n{task.name}: the direction, cross-validated in {attribute.folds} folds: {scores}\n")


def main() -> None:
    """Print a table for each attribute."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("daae", metavar="DAAE_YELP", type=Path)
    parser.add_argument("yelp", metavar="YELP_SENTENCES", type=Path)
    parser.add_argument(
        "--strengths",
        type=float,
        nargs="+",
        default=[0, 0.5, 1, 1.5, 2, 3],
        help="multiples of the direction to add (default: %(default)s)",
    )
    parser.add_argument(
        "--refine", type=int, default=0, help="gradient steps that refine each latent first"
    )
    parser.add_argument(
        "--least",
        type=float,
        nargs="+",
        metavar="MARGIN",
        help="also edit each text by the shortest step after which a regression on its latent "
        "finds the new class with these log-odds",
    )
    parser.add_argument(
        "--keep", type=float, default=0.0, help="nats by which the words of the input are preferred"
    )
    parser.add_argument(
        "--examples",
        type=int,
        help="fit the direction of sentiment on the first so many sentences of train.txt "
        "(default: on 100 per class, as in the paper)",
    )
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    tense = options.daae / "tense"
    sentiment = options.daae / "sentiment"
    past = read_lines(tense / "test.past")
    tense_examples = join_classes(
        read_lines(tense / "valid.past"), read_lines(tense / "valid.present")
    )
    train_texts, train_labels = read_yelp_split(options.yelp, "train")
    sentiment_examples = join_classes(
        read_lines(sentiment / "100.neg"), read_lines(sentiment / "100.pos")
    )
    if options.examples:
        sentiment_examples = train_texts[: options.examples], train_labels[: options.examples]
    tasks = [
        Task(
            "sentiment",
            sentiment_examples,
            read_lines(sentiment / "1000.neg"),
            train_classifier(train_texts, train_labels),
        ),
        Task("tense", tense_examples, past, train_classifier(*tense_examples)),
    ]
    held_out = [
        read_yelp_split(options.yelp, "test"),
        join_classes(past, read_lines(tense / "test.present")),
    ]
    for task, examples in zip(tasks, held_out, strict=True):
        accuracy = 100 * task.classifier.score(*examples)
        print(f"{task.name}: the classifier's own held-out accuracy is {accuracy:.1f}")
    print("\n| attribute | direction | strength | accuracy | BLEU to the input | perplexity |")
    print("|---|---|---|---|---|---|")
    compute_perplexity = NGramModel(read_lines(options.yelp / "train.txt")).perplexity
    for task in tasks:
        print_rows(task, vae, compute_perplexity, options)


if __name__ == "__main__":
    main()
