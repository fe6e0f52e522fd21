"""Whether sentences said to be uncertain are reconstructed worse.

    python experiments/uncertainty.py RUN FILE

FILE holds held-out sentences, one a line. Printed: Spearman's rank correlation
of the reconstruction's error with each view of the uncertainty, and with the
length for comparison; and the error of ten groups, from the surest on.
"""

import argparse
from pathlib import Path

from scipy.stats import spearmanr

from textvae.uses.uncertainty import calibration_curve
from textvae.vae import TextVAE


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "file"):
        parser.add_argument(name)
    options = parser.parse_args()
    texts = [
        line.strip()
        for line in Path(options.file).read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    records = TextVAE.from_pretrained(options.run).uncertainty(texts)
    records = [
        {**record, "length": len(text.split())} for text, record in zip(texts, records, strict=True)
    ]
    errors = [record["error"] for record in records]
    print(f"{len(texts)} sentences\n\n| uncertainty | rank correlation with the error |\n|---|---|")
    for key in ("disagreement", "spread", "length"):
        print(f"| {key} | {spearmanr([record[key] for record in records], errors).statistic:.2f} |")
    curve = calibration_curve(records, "disagreement")
    print("\n| disagreement | " + " | ".join(f"{doubt:.2f}" for doubt, _ in curve) + " |")
    print("|---" * (len(curve) + 1) + "|")
    print("| error | " + " | ".join(f"{error:.2f}" for _, error in curve) + " |")


if __name__ == "__main__":
    main()
