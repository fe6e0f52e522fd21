"""Compare a text VAE from scratch with one from pretrained parts, on a few thousand sentences.

    python experiments/small_corpora.py FOLDER... --judge LM_RUN [--minutes 4] [--bases FOLDER]

Each FOLDER has train.txt, valid.txt and test.txt, one sentence per line. Two models train
for the same number of minutes, of wall-clock or of processor time (`--clock`): the default
recipe, and `--preset pretrained`, whose minutes include the computation of the states of its
frozen parts. LM_RUN is a language model that was trained on other text; it judges how fluent
samples are.

The columns of the table:

- steps: of the optimizer.
- bits/byte: of the test sentences, by the importance-weighted bound.
- BLEU: of the reconstructions of test sentences, and the KL in nats at which they were made.
- judge: bits per byte of samples under the language model, and of as many test sentences.

Below the table are samples of each model. Finished runs in the folder --output are not
trained again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fluency import measure_costs, sum_costs

import textvae
from textvae.runs.run import Run
from textvae.vae import TextVAE

HEAD = """| corpus | model | steps | bits/byte | BLEU | KL | judge: samples | judge: text |
|---|---|---|---|---|---|---|---|"""
RECIPES = ("scratch", "pretrained")
IMPORTANCE_SAMPLES = 50
SHOWN = 3


def name_bases(folder: Path | None) -> dict[str, Any]:
    """Return the settings of the model that name the bases in a folder; none without a folder."""
    if folder is None:
        return {}
    return {
        "encoder": {"name": str(folder / "minilm")},
        "decoder": {"name": str(folder / "smollm2")},
    }


def train_once(folder: Path, recipe: str, run: Run, options: argparse.Namespace) -> TextVAE:
    """Return the model of a recipe, trained on a folder's sentences unless that was done before."""
    if (run.folder / "model.safetensors").is_file():
        return TextVAE.from_pretrained(run.folder, device="cpu")
    model = name_bases(options.bases) if recipe == "pretrained" else {}
    return textvae.train(
        str(folder),
        run.folder,
        preset="pretrained" if recipe == "pretrained" else None,
        device="cpu",
        model=model,
        training={
            "max_minutes": options.minutes,
            "clock": options.clock,
            "seed": options.seed,
        },
    )


def judge(language_model: TextVAE, sentences: Sequence[str]) -> float:
    """Return the bits per byte of sentences under a language model; empty ones are left out."""
    return sum_costs(measure_costs(language_model, sentences))


def main() -> None:
    """Print the table and the samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--judge", required=True, help="the run of a language model")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--bases", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=Path("runs/small_corpora"))
    parser.add_argument("--sentences", type=int, default=500, help="test sentences, and samples")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    language_model = TextVAE.from_pretrained(options.judge, device="cpu")
    samples = {}
    print(HEAD, flush=True)
    for folder in options.folders:
        text = (folder / "test.txt").read_text(encoding="utf-8").splitlines()
        judged_text = judge(language_model, text[: options.sentences])
        for recipe in RECIPES:
            run = Run(options.output / f"{folder.name}-{recipe}-{options.seed}")
            vae = train_once(folder, recipe, run, options)
            record = vae.evaluate(samples=IMPORTANCE_SAMPLES, limit=options.sentences)
            generated = vae.generate(options.sentences, seed=options.seed)
            samples[folder.name, recipe] = generated[:SHOWN]
            print(
                f"| {folder.name} | {recipe} | {run.read_json('training.json')['steps']:,} "
                f"| {record['bits_per_byte']:.2f} | {record['bleu']:.1f} | {record['kl']:.1f} "
                f"| {judge(language_model, generated):.2f} | {judged_text:.2f} |",
                flush=True,
            )
    for (corpus, recipe), texts in samples.items():
        print(f"\n{corpus}, {recipe}:\n")
        print("\n".join(f"- {text}" for text in texts))


if __name__ == "__main__":
    main()
