"""Draw the curve of rate and fidelity: what a latent of more nats gives back, and what it costs.

    python experiments/rate_fidelity.py CORPUS... --output FOLDER [--steps 1500] [--draw FILE.svg]

CORPUS is `captions`, or a folder with train.txt, valid.txt and test.txt. For each KL target a
model of the default recipe trains for the same number of steps; only the target and the size
of the latent change. The measures are of the first validation sentences:

- KL and -ELBO, in nats per sentence, and IW-NLL with 50 samples;
- exact and BLEU: of the reconstructions from the posterior means, and after 30 gradient steps
  on each latent (`reconstruct --refine 30`), with the KL that the latent then has;
- forward and reverse: perplexities of samples, divided by those of real text (see
  experiments/temperature.py), at the default temperature;
- smoothness: of interpolations, from 0 to 1, the best (see docs/measures.md).

Rows that are in FOLDER already are not computed again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from sacrebleu.metrics import BLEU
from temperature import Comparison

import textvae
from textvae.inference.encode import posterior
from textvae.inference.refine import refine_means
from textvae.runs.run import Run
from textvae.vae import TextVAE

# KL targets in nats, each with the size of the latent. By the default recipe a dimension
# carries at most half a nat.
POINTS = ((4, 32), (8, 32), (16, 32), (32, 64), (64, 128), (128, 256))
REFINE = 30
SENTENCES = 500
COLUMNS = {
    "target": "{:g}",
    "latent": "{:d}",
    "kl": "{:.1f}",
    "neg_elbo": "{:.2f}",
    "iw_nll": "{:.2f}",
    "bleu": "{:.1f}",
    "exact": "{:.1%}",
    "refined_kl": "{:.1f}",
    "refined_bleu": "{:.1f}",
    "refined_exact": "{:.1%}",
    "forward": "{:.2f}",
    "reverse": "{:.2f}",
    "smoothness": "{:.2f}",
}


def train_once(corpus: str, target: float, latent: int, folder: Path, steps: int) -> TextVAE:
    """Return the model of a point, trained unless that was done before."""
    if not (folder / "model.safetensors").is_file():
        textvae.train(
            corpus,
            output=folder,
            overwrite=folder.exists(),
            model={"latent_dim": latent},
            objective={"techniques": {"target_kl": {"nats": target}}},
            training={"steps": steps, "seed": 1, "evaluations": 3},
        )
    return TextVAE.from_pretrained(folder, device="cpu")


def measure_fidelity(vae: TextVAE, texts: list[str], steps: int) -> dict[str, float]:
    """Return KL, BLEU and share of exact reconstructions after so many gradient steps."""
    q = posterior(vae.bundle, texts)
    z = refine_means(vae.bundle, texts, q.mean, steps)
    written = vae.decode(z.numpy())
    variance = q.tensors["logvar"].exp()
    kl = 0.5 * (z.square() + variance - variance.log() - 1).sum(1)
    return {
        "kl": float(kl.mean()),
        "bleu": float(BLEU(tokenize="13a", lowercase=True).corpus_score(written, [texts]).score),
        "exact": sum(map(str.__eq__, written, texts)) / len(texts),
        "deviation": float(torch.sqrt(variance).mean()),
    }


def measure(vae: TextVAE, run: Run, file: Path) -> dict[str, Any]:
    """Return one row of the table, measured on the sentences of a file."""
    names = ("elbo", "active_units", "likelihood", "smoothness")
    record: dict[str, Any] = {**vae.evaluate(str(file), measures=names, samples=50)}
    texts = file.read_text(encoding="utf-8").splitlines()
    plain = measure_fidelity(vae, texts, 0)
    refined = measure_fidelity(vae, texts, REFINE)
    training = list(run.open_split("train")["text"])
    comparison = Comparison(training, list(run.open_split("validation")["text"]), 1000)
    forward, reverse, _ = comparison.measure(vae.generate(1000, seed=1))
    return {
        "kl": record["kl"],
        "neg_elbo": -record["elbo"],
        "iw_nll": record["iw_nll"],
        "active_units": record["active_units"],
        "deviation": plain["deviation"],
        "bleu": plain["bleu"],
        "exact": plain["exact"],
        **{f"refined_{name}": refined[name] for name in ("kl", "bleu", "exact")},
        "forward": forward,
        "reverse": reverse,
        "smoothness": record["smoothness"],
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows as Markdown."""
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(form.format(row[name]) for name, form in COLUMNS.items()) + " |")


def draw(tables: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """Draw BLEU and -ELBO over the KL of each corpus."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "textvae"  # the same file twice
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for color, (corpus, rows) in zip(("C0", "C1", "C2"), tables.items(), strict=False):
        kl = [row["kl"] for row in rows]
        refined_kl = [row["refined_kl"] for row in rows]
        left.plot(kl, [row["bleu"] for row in rows], f"{color}o-", label=corpus)
        refined = [row["refined_bleu"] for row in rows]
        left.plot(refined_kl, refined, f"{color}s--", label=f"{corpus}, refined")
        right.plot(kl, [row["neg_elbo"] for row in rows], f"{color}o-", label=f"{corpus}, −ELBO")
        right.plot(kl, [row["iw_nll"] for row in rows], f"{color}^:", label=f"{corpus}, IW-NLL(50)")
    left.set(xlabel="KL, nats per sentence", ylabel="BLEU of reconstructions", ylim=(0, 100))
    right.set(xlabel="KL, nats per sentence", ylabel="nats per sentence")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Train, measure, print the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--draw", type=Path, default=None)
    options = parser.parse_args()
    tables: dict[str, list[dict[str, Any]]] = {}
    for corpus in options.corpora:
        name = Path(corpus).name
        rows = tables.setdefault(name, [])
        for target, latent in POINTS:
            folder = options.output / f"{name}-{target}"
            saved = options.output / f"{name}-{target}.json"
            if not saved.is_file():
                vae = train_once(corpus, target, latent, folder, options.steps)
                run = Run(folder)
                texts = list(run.open_split("validation")["text"])[:SENTENCES]
                sentences = options.output / f"{name}.txt"
                sentences.write_text("\n".join(texts), encoding="utf-8")
                row = {"target": target, "latent": latent, **measure(vae, run, sentences)}
                saved.write_text(json.dumps(row))
            rows.append(json.loads(saved.read_text()))
        print(f"{name}, {options.steps} steps")
        print_table(rows)
    if options.draw:
        draw(tables, options.draw)


if __name__ == "__main__":
    main()
