"""Measure how faithfully a text VAE gives sentences back, from their latents alone.

    python experiments/faithful.py RUN [--split test] [--refine 0 30 60]

It prints, for each number of gradient steps on the latents: the share of sentences that come back
letter by letter, BLEU, the KL in nats per sentence that the latents have after the steps, and the
mean standard deviation of the posterior. The active units are those of the posterior means, at a
variance of 0.01.
"""

import argparse
from pathlib import Path

from rate_fidelity import measure_fidelity

from textvae.inference.encode import encode
from textvae.runs.run import Run
from textvae.vae import TextVAE


def main() -> None:
    """Print one row for each number of steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    parser.add_argument("--refine", type=int, nargs="+", default=[0, 30, 60])
    parser.add_argument("--limit", type=int, default=None)
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    texts = list(Run(options.run).open_split(options.split)["text"])[: options.limit]
    variances = encode(vae.bundle, texts).var(axis=0)
    active = int((variances > 0.01).sum())
    print(f"{len(texts):,} sentences; {active} of {len(variances)} units active")
    print("| steps | exact | BLEU | KL | mean deviation |")
    print("|---|---|---|---|---|")
    for steps in options.refine:
        row = measure_fidelity(vae, texts, steps)
        print(
            f"| {steps} | {row['exact']:.1%} | {row['bleu']:.1f} | {row['kl']:.1f} "
            f"| {row['deviation']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
