"""Score edits by latent arithmetic on the sentiment and tense sets of Shen et al. 2020 (arXiv:1905.12777).

    python experiments/attributes.py RUN DAAE_YELP YELP_SENTENCES

DAAE_YELP: the folder with sentiment/ and tense/, as shentianxiao/text-autoencoders has them.
YELP_SENTENCES: a folder with train.txt, train.labels, test.txt, test.labels (1 positive, 0 negative).

As there: the sentiment's direction is of 100 sentences a class, and 1,000 negative ones are edited; the tense's is of
valid.past and valid.present, and test.past is edited. Accuracy is by a classifier of words and pairs of words (TF-IDF,
logistic regression), which learns sentiment from train.txt, tense from valid.past and valid.present. BLEU is to the
input. Perplexity is that of 5-grams learned from train.txt.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from sacrebleu.metrics import BLEU
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor

from textvae.evaluation.measures.ngrams import NGramModel
from textvae.inference.decoding import DecodingSettings
from textvae.uses.attribute import fit_attribute
from textvae.uses.edit import edit
from textvae.vae import TextVAE

ROW = "| {} | {} | {} | {:.1f} | {:.1f} | {:.1f} |"


def lines(file: Path) -> list[str]:
    """Return a file's lines that are not blank."""
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def classifier(texts: Sequence[str], labels: Sequence[int]) -> Pipeline:
    """Return a classifier of words and pairs of words."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\S+", sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels)


def regression_direction(
    vae: TextVAE, texts: Sequence[str], labels: Sequence[int], difference: Tensor
) -> Tensor:
    """Return the normal of a logistic regression on z, as long as its classes lie apart along it."""
    weights = torch.from_numpy(
        LogisticRegression(max_iter=1000).fit(vae.encode(texts), labels).coef_[0]
    ).float()
    return weights * (weights @ difference) / (weights @ weights)


def two_classes(away: list[str], towards: list[str]) -> tuple[list[str], list[int]]:
    """Return texts with labels 0 and 1."""
    return away + towards, [0] * len(away) + [1] * len(towards)


def score(
    name: str,
    vae: TextVAE,
    fitted_on: tuple[list[str], list[int]],
    edited: list[str],
    judge: Pipeline,
    perplexity: Callable[[list[str]], float],
    strengths: Sequence[float],
) -> None:
    """Print the rows of one attribute, the input's own first."""
    attribute = fit_attribute(vae.bundle, *fitted_on)
    directions = {
        "difference of means": attribute.direction,
        "regression": regression_direction(vae, *fitted_on, attribute.direction),
    }
    bleu = BLEU(tokenize="none", force=True)
    print(
        ROW.format(
            name, "the input", "", 100 * judge.predict(edited).mean(), 100, perplexity(edited)
        )
    )
    for kind, direction in directions.items():
        for strength in strengths:
            if strength == 0 and kind == "regression":  # the same reconstruction
                continue
            texts = edit(vae.bundle, edited, direction, strength, DecodingSettings())
            accuracy = 100 * judge.predict(texts).mean()
            figures = accuracy, bleu.corpus_score(texts, [edited]).score, perplexity(texts)
            print(
                ROW.format(name, kind if strength else "reconstruction", f"{strength:g}", *figures),
                flush=True,
            )
    record = ", ".join(
        f"{key} {value:.3f}" for key, value in attribute.record.items() if isinstance(value, float)
    )
    print(f"\n{name}: the latent, {attribute.folds} folds: {record}\n")


def main() -> None:
    """Print a table for each attribute."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("daae", metavar="DAAE_YELP", type=Path)
    parser.add_argument("yelp", metavar="YELP_SENTENCES", type=Path)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0, 0.5, 1, 1.5, 2, 3])
    options = parser.parse_args()
    vae, daae, yelp = TextVAE.from_pretrained(options.run, device="cpu"), options.daae, options.yelp
    perplexity = NGramModel(lines(yelp / "train.txt")).perplexity
    train, test = (
        (
            (yelp / f"{split}.txt").read_text().splitlines(),
            list(map(int, lines(yelp / f"{split}.labels"))),
        )
        for split in ("train", "test")
    )
    tenses = {
        name: lines(daae / "tense" / name) for name in ("valid.past", "valid.present", "test.past")
    }
    tense = two_classes(tenses["valid.past"], tenses["valid.present"])
    tense_test = two_classes(tenses["test.past"], lines(daae / "tense" / "test.present"))
    moods = {name: lines(daae / "sentiment" / name) for name in ("100.neg", "100.pos", "1000.neg")}
    sentiment = two_classes(moods["100.neg"], moods["100.pos"])
    judges = {"sentiment": classifier(*train), "tense": classifier(*tense)}
    for name, held_out in (("sentiment", test), ("tense", tense_test)):
        print(
            f"{name}: the classifier's own held-out accuracy is {100 * judges[name].score(*held_out):.1f}"
        )
    print(
        "\n| attribute | direction | strength | accuracy | BLEU to the input | perplexity |\n|---|---|---|---|---|---|"
    )
    score(
        "sentiment",
        vae,
        sentiment,
        moods["1000.neg"],
        judges["sentiment"],
        perplexity,
        options.strengths,
    )
    score("tense", vae, tense, tenses["test.past"], judges["tense"], perplexity, options.strengths)


if __name__ == "__main__":
    main()
