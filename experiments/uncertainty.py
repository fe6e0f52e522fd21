"""Test whether sentences with a high uncertainty are reconstructed worse.

    python experiments/uncertainty.py RUN FILE

FILE has held-out sentences, one per line. The script prints Spearman's rank
correlation between the error of the reconstruction and each measure of uncertainty,
and for comparison with the length in words. It then prints the selective error: the mean
error of the most certain sentences, by each measure, for several shares of sentences to
keep. "Error itself" keeps the sentences with the smallest errors, which no estimate can
beat. At last come the mean errors of ten groups, from the most to the least certain.
"""

import argparse
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from textvae.uses.uncertainty import calibration_curve, selective_errors
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
    measures: dict[str, list[Any]] = {
        "nats per token": [record["nats_per_token"] for record in records],
        "disagreement": [record["disagreement"] for record in records],
        "spread": [record["spread"] for record in records],
        "length": [len(text.split()) for text in texts],
    }
    print(f"{len(texts)} sentences\n\n| uncertainty | rank correlation with the error |\n|---|---|")
    for name, values in measures.items():
        print(f"| {name} | {spearmanr(values, errors).statistic:.2f} |")
    shares = [f"{share:.0%}" for share, _ in selective_errors(records, "error")]
    print(f"\n| sentences kept | {' | '.join(shares)} |")
    print("|---" * (len(shares) + 1) + "|")
    for name, values in {**measures, "error itself": errors}.items():
        keyed = [
            {"key": value, "error": error} for value, error in zip(values, errors, strict=True)
        ]
        kept = [f"{error:.2f}" for _, error in selective_errors(keyed, "key")]
        print(f"| {name} | {' | '.join(kept)} |")
    curve = calibration_curve(records, "nats_per_token")
    print(f"\n| nats per token | {' | '.join(f'{cost:.2f}' for cost, _ in curve)} |")
    print("|---" * (len(curve) + 1) + "|")
    print(f"| error | {' | '.join(f'{error:.2f}' for _, error in curve)} |")


if __name__ == "__main__":
    main()
