"""How near the sentences of `vary` are to the original, by the spread, as a table.

    python experiments/vary.py RUN --sentences 10 --seeds 0 1 2

The sentences are the first ones of the run's test split. Decoding is greedy.
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

from sacrebleu import corpus_bleu

from textvae.runs.run import Run
from textvae.uses.settings import SpreadUnit
from textvae.vae import TextVAE

SPREADS: list[tuple[SpreadUnit, float]] = [
    ("posterior", 0.25),
    ("posterior", 0.5),
    ("posterior", 1.0),
    ("posterior", 2.0),
    ("prior", 0.5),
]
COUNT = 5


def main() -> None:
    """Print one row per spread: means over seeds, with their standard deviations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sentences", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run, "cpu")
    texts = list(Run(options.run).open_split("test").take(options.sentences)["text"])
    written = [text or "" for text in vae.reconstruct(texts)]
    width = vae.posterior(texts)
    print(f"reconstructions: BLEU {corpus_bleu(written, [texts]).score:.1f}")
    print(f"mean posterior variance {float((width.sample() - width.mean).square().mean()):.3f}")
    print("| unit | spread | BLEU to the original | found of 5 | distance | log p(x) |")
    print("|---|---|---|---|---|---|")
    for unit, spread in SPREADS:
        rows = [measure(vae, texts, unit, spread, seed) for seed in options.seeds]
        cells = [format_column(column) for column in zip(*rows, strict=True)]
        print(f"| {unit} | {spread:g} | {' | '.join(cells)} |")


def measure(
    vae: TextVAE, texts: list[str], unit: SpreadUnit, spread: float, seed: int
) -> tuple[float, float, float, float]:
    """Return the BLEU to the original, and means of how many were found and of their records."""
    records = []
    originals = []
    for text in texts:
        found = vae.vary(text, n=COUNT, spread=spread, unit=unit, seed=seed)
        records += found
        originals += [text] * len(found)
    bleu = corpus_bleu([record["text"] for record in records], [originals]).score
    return (
        bleu,
        len(records) / len(texts),
        mean(record["distance"] for record in records),
        mean(record["log_likelihood"] or 0.0 for record in records),
    )


def format_column(values: tuple[float, ...]) -> str:
    """Return the mean over seeds, with the standard deviation."""
    error = stdev(values) if len(values) > 1 else 0.0
    return f"{mean(values):.2f} ± {error:.2f}"


if __name__ == "__main__":
    main()
