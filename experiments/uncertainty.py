"""Test whether sentences with a high uncertainty are reconstructed worse.

    python experiments/uncertainty.py RUN FILE

FILE has held-out sentences, one per line. The script prints Spearman's rank
correlation between the error of the reconstruction and each measure of uncertainty,
and for comparison with the length in words. It then prints the mean error of ten
groups of sentences, from the most certain to the least certain.
"""

import argparse
from pathlib import Path

from scipy.stats import spearmanr

from textvae.uses.uncertainty import calibration_curve
from textvae.vae import TextVAE


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "file"):
        parser.add_argument(name)
    options = parser.parse_args()
    lines = Path(options.file).read_text(encoding="utf-8").splitlines()
    texts = [line.strip() for line in lines if line.strip()]
    records = TextVAE.from_pretrained(options.run).uncertainty(texts)
    errors = [record["error"] for record in records]
    measures = {
        "disagreement": [record["disagreement"] for record in records],
        "spread": [record["spread"] for record in records],
        "length": [len(text.split()) for text in texts],
    }
    print(f"{len(texts)} sentences\n\n| uncertainty | rank correlation with the error |\n|---|---|")
    for name, values in measures.items():
        print(f"| {name} | {spearmanr(values, errors).statistic:.2f} |")
    curve = calibration_curve(records, "disagreement")
    disagreements = [f"{disagreement:.2f}" for disagreement, _ in curve]
    print(f"\n| disagreement | {' | '.join(disagreements)} |")
    print("|---" * (len(curve) + 1) + "|")
    print(f"| error | {' | '.join(f'{error:.2f}' for _, error in curve)} |")


if __name__ == "__main__":
    main()
