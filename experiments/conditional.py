"""Score sentences written for a label: whether they are of it, and differ.

    python experiments/conditional.py RUN --against RUN [--against RUN ...] -n 100

RUN was trained with data.label. Each --against was trained on the same sentences: with data.label, as another
conditional model (`objective=language_model` for one without a latent), or without, for our own baseline: a Gaussian
fitted to the posteriors of each class's training sentences, whose draws are decoded.

Accuracy is by a logistic regression on TF-IDF of words and pairs of words, learned from the run's training sentences.
Self-BLEU is among the texts of one label, averaged over labels. Fluency is the perplexity, by 5-grams learned from the
training sentences. Texts the training sentences hold word by word are not novel. Nothing is tuned.
"""

import argparse
from collections.abc import Callable
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
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import posterior
from textvae.runs.run import Run
from textvae.vae import TextVAE

Texts = dict[str, list[str]]  # of each label
Writer = Callable[[str, int, float], list[str]]  # a label, how many, the temperature


def by_label(run: Run, split: str, column: str) -> Texts:
    """Return the sentences of each label."""
    rows, texts = run.open_split(split)[:], Texts()
    for text, label in zip(rows["text"], rows[column], strict=True):
        texts.setdefault(label, []).append(text)
    return texts


def pairs(texts: Texts) -> tuple[list[str], list[str]]:
    """Return all sentences, and the label of each."""
    return [text for some in texts.values() for text in some], [
        label for label, some in texts.items() for _ in some
    ]


def judge_of(train: Texts) -> Pipeline:
    """Return the classifier."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\S+", sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10, max_iter=1000)).fit(*pairs(train))


def latents_of_classes(bundle: Bundle, train: Texts, is_diagonal: bool) -> dict[str, Tensor]:
    """Return the mean, first, and a square root of the covariance of a draw of q(z | x) a sentence, of each class."""
    found = {}
    torch.manual_seed(0)
    for label, texts in train.items():
        z = posterior(bundle, texts).sample()
        covariance = torch.diag(z.var(0)) if is_diagonal else torch.cov(z.t())
        found[label] = torch.cat([z.mean(0, keepdim=True), torch.linalg.cholesky(covariance)])
    return found


def from_classes(bundle: Bundle, train: Texts, is_diagonal: bool, seed: int) -> Writer:
    """Return what writes from a Gaussian of each class."""
    gaussians = latents_of_classes(bundle, train, is_diagonal)

    def writer(label: str, n: int, temperature: float) -> list[str]:
        mean, root = gaussians[label][0], gaussians[label][1:]
        z = (
            mean
            + torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed)) @ root.t()
        )
        return decode_latents(
            bundle, z, DecodingSettings(temperature=temperature, seed=seed), samples_by_default=True
        )

    return writer


def conditional(vae: TextVAE, seed: int) -> Writer:
    """Return what writes from p(z | label)."""
    return lambda label, n, temperature: vae.generate(
        n, label=label, temperature=temperature, seed=seed
    )


def written_as_the_next(vae: TextVAE, test: Texts) -> Texts:
    """Return held-out sentences, each written greedily as of the label that comes after its own."""
    names = vae.labels
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    return {
        following[label]: vae.reconstruct(
            some, labels=[label] * len(some), write_as=following[label]
        )
        for label, some in test.items()
    }


def writers(vae: TextVAE, train: Texts, seed: int) -> dict[str, Writer]:
    """Return what a model can write with, by name."""
    if vae.labels:
        kind = vae.model.config.prior_settings["kind"] if vae.latent_dim else "language model"
        return {f"conditional, {kind}": conditional(vae, seed)}
    return {
        f"unconditional, {shape} Gaussian a class": from_classes(
            vae.bundle, train, shape == "diagonal", seed
        )
        for shape in ("diagonal", "full")
    }


def row(name: str, texts: Texts, judge: Pipeline, ngrams: NGramModel, known: set[str]) -> str:
    """Return a row of the table."""
    written, labels = pairs(texts)
    accuracy = float(np.mean(judge.predict(written) == np.array(labels)))
    alike = float(np.mean([compute_self_bleu(some) for some in texts.values()]))
    words = np.mean([len(text.split()) for text in written])
    novel = np.mean([text not in known for text in written])
    rates = " | ".join(f"{distinct_share(written, n):.3f}" for n in (1, 2))
    figures = f"{100 * accuracy:.1f} | {alike:.1f} | {rates} | {ngrams.perplexity(written):.0f}"
    return f"| {name} | {figures} | {100 * novel:.0f} | {words:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--against", type=Path, action="append", default=[])
    parser.add_argument("-n", type=int, default=100, help="sentences a label")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 0.7])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    run = Run(options.run)
    column = run.read_settings().data.label or ""
    train, test = by_label(run, "train", column), by_label(run, "test", column)
    judge, (known, _) = judge_of(train), pairs(train)
    ngrams = NGramModel(known)
    print(
        "| written by | accuracy, % | self-BLEU | distinct 1 | 2 | perplexity | novel, % | words |"
    )
    print("|---|---|---|---|---|---|---|---|")
    whole = {label: texts[: options.n] for label, texts in test.items()}
    print(row("people: held-out sentences", whole, judge, ngrams, set(known)), flush=True)
    for folder in [options.run, *options.against]:
        vae = TextVAE.from_pretrained(folder, device="cpu")
        for name, writer in writers(vae, train, options.seed).items():
            for heat in options.temperatures:
                texts = {label: writer(label, options.n, heat) for label in train}
                print(
                    row(f"{name}, temperature {heat:g}", texts, judge, ngrams, set(known)),
                    flush=True,
                )
            if vae.labels and vae.latent_dim:
                texts = written_as_the_next(vae, whole)
                print(
                    row(
                        f"{name}, people's written as another label",
                        texts,
                        judge,
                        ngrams,
                        set(known),
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
