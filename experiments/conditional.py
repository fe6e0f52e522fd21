"""Measure sentences that were generated for a label: whether they fit it, and how varied they are.

    python experiments/conditional.py RUN --against RUN [--against RUN ...] -n 100

RUN was trained with data.label. Each run after --against was trained on the same
sentences, in one of two ways:

- with data.label: another conditional model (with `objective=language_model`, one
  without a latent);
- without data.label: a baseline. A Gaussian is fitted to latents of each class's
  training sentences, and samples from it are decoded.

Accuracy is the share of texts to which a classifier assigns the requested label. It
is a logistic regression on TF-IDF of single words and pairs of words, trained on the
run's training sentences. Self-BLEU is computed among the texts of one label and
averaged over labels. Perplexity is that under 5-grams of the training sentences. A
text is novel if no training sentence equals it. Nothing is tuned.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor

from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.samples import compute_self_bleu, distinct_share
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import posterior
from textvae.inference.settings import DecodingSettings
from textvae.runs.run import Run
from textvae.vae import TextVAE

Texts = dict[str, list[str]]  # by label
Generator = Callable[[str, int, float], list[str]]  # takes a label, a count and a temperature


def read_split(run: Run, split: str, column: str) -> Texts:
    """Return the sentences of a split by their labels; `column` has the labels."""
    rows = run.open_split(split)[:]
    texts = Texts()
    for text, label in zip(rows["text"], rows[column], strict=True):
        texts.setdefault(label, []).append(text)
    return texts


def flatten(texts: Texts) -> tuple[list[str], list[str]]:
    """Return all sentences, and the label of each."""
    sentences = []
    labels = []
    for label, own_texts in texts.items():
        sentences += own_texts
        labels += [label] * len(own_texts)
    return sentences, labels


def train_classifier(train: Texts) -> Pipeline:
    """Train a classifier on single words and pairs of words."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\S+", sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10, max_iter=1000)).fit(*flatten(train))


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of the latents of one class.

    Attributes:
        mean: (latent,).
        root: Cholesky factor of the covariance, (latent, latent).
    """

    mean: Tensor
    root: Tensor


def fit_gaussians(bundle: Bundle, train: Texts, is_diagonal: bool) -> dict[str, Gaussian]:
    """Fit a Gaussian to each class, with one sample of q(z | x) per sentence."""
    gaussians = {}
    torch.manual_seed(0)
    for label, texts in train.items():
        z = posterior(bundle, texts).sample()
        covariance = torch.diag(z.var(0)) if is_diagonal else torch.cov(z.t())
        gaussians[label] = Gaussian(z.mean(0), torch.linalg.cholesky(covariance))
    return gaussians


def generate_from_gaussians(
    bundle: Bundle, train: Texts, is_diagonal: bool, seed: int
) -> Generator:
    """Return a generator that samples z from the Gaussian of a class and decodes it."""
    gaussians = fit_gaussians(bundle, train, is_diagonal)

    def generate(label: str, count: int, temperature: float) -> list[str]:
        gaussian = gaussians[label]
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(count, len(gaussian.mean), generator=random)
        z = gaussian.mean + noise @ gaussian.root.t()
        settings = DecodingSettings(temperature=temperature, seed=seed)
        return decode_latents(bundle, z, settings, samples_by_default=True)

    return generate


def generate_from_prior(vae: TextVAE, seed: int) -> Generator:
    """Return a generator that samples z from p(z | label) and decodes it."""

    def generate(label: str, count: int, temperature: float) -> list[str]:
        return vae.generate(count, label=label, temperature=temperature, seed=seed)

    return generate


def reconstruct_with_next_label(vae: TextVAE, test: Texts) -> Texts:
    """Encode held-out sentences and decode each greedily with another label.

    The other label is the one after the sentence's own in the list of labels, so that
    every label is used.

    Returns:
        The decoded sentences by their new labels.
    """
    names = vae.labels
    next_labels = dict(zip(names, names[1:] + names[:1], strict=True))
    decoded = {}
    for label, texts in test.items():
        target = next_labels[label]
        rows = vae.reconstruct(texts, labels=[label] * len(texts), write_as=target)
        decoded[target] = [text for text in rows if text is not None]  # None for a blank text
    return decoded


def build_generators(vae: TextVAE, train: Texts, seed: int) -> dict[str, Generator]:
    """Return the generators of a model, by the names of their rows."""
    if vae.labels:
        prior = vae.model.config.prior_settings
        assert prior is not None  # a run always has them
        kind = prior["kind"] if vae.latent_dim else "language model"
        return {f"conditional, {kind}": generate_from_prior(vae, seed)}
    return {
        f"unconditional, {shape} Gaussian per class": generate_from_gaussians(
            vae.bundle, train, shape == "diagonal", seed
        )
        for shape in ("diagonal", "full")
    }


class Table:
    """Measures texts and prints the rows of the table.

    Args:
        train: the training sentences, from which the classifier and the 5-grams are made.
    """

    def __init__(self, train: Texts) -> None:
        sentences, _ = flatten(train)
        self.classifier = train_classifier(train)
        self.ngrams = NGramModel(sentences)
        self.training_sentences = set(sentences)

    def print_row(self, name: str, texts: Texts) -> None:
        """Print one row."""
        sentences, labels = flatten(texts)
        accuracy = float(np.mean(self.classifier.predict(sentences) == np.array(labels)))
        self_bleu = float(np.mean([compute_self_bleu(own_texts) for own_texts in texts.values()]))
        cells = [
            f"{100 * accuracy:.1f}",
            f"{self_bleu:.1f}",
            *(f"{distinct_share(sentences, n):.3f}" for n in (1, 2)),
            f"{self.ngrams.perplexity(sentences):.0f}",
            f"{100 * np.mean([text not in self.training_sentences for text in sentences]):.0f}",
            f"{np.mean([len(text.split()) for text in sentences]):.1f}",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="a run to compare with; can be repeated",
    )
    parser.add_argument("-n", type=int, default=100, help="sentences per label (default: 100)")
    parser.add_argument(
        "--temperatures",
        type=float,
        nargs="+",
        default=[1.0, 0.7],
        help="of the sampled tokens (default: 1 and 0.7)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all samples (default: 0)")
    options = parser.parse_args()
    run = Run(options.run)
    column = run.read_settings().data.label or ""
    train = read_split(run, "train", column)
    test = read_split(run, "test", column)
    table = Table(train)
    print(
        "| written by | accuracy, % | self-BLEU | distinct 1 | 2 | perplexity | novel, % | words |"
    )
    print("|---|---|---|---|---|---|---|---|")
    held_out = {label: texts[: options.n] for label, texts in test.items()}
    table.print_row("people: held-out sentences", held_out)
    for folder in [options.run, *options.against]:
        vae = TextVAE.from_pretrained(folder, device="cpu")
        for name, generate in build_generators(vae, train, options.seed).items():
            for temperature in options.temperatures:
                texts = {label: generate(label, options.n, temperature) for label in train}
                table.print_row(f"{name}, temperature {temperature:g}", texts)
            if vae.labels and vae.latent_dim:
                texts = reconstruct_with_next_label(vae, held_out)
                table.print_row(f"{name}, people's sentences with another label", texts)


if __name__ == "__main__":
    main()
