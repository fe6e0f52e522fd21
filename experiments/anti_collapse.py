"""Compare ways to keep the latent of the preset `pretrained` in use, on small corpora.

    python experiments/anti_collapse.py FOLDER... [--bases FOLDER] [--steps 400] [--only NAME...]

Each FOLDER has train.txt and valid.txt, one sentence per line. The runs of a corpus differ in
one thing each, and have the same number of steps. The columns, all of the first validation
sentences:

- -ELBO and KL, in nats per sentence.
- MI: the mutual information of sentence and latent, in nats.
- active: the units whose posterior means have a variance of at least 0.01, 0.1 and 0.3.
- effective: the effective number of units, from the spread of the KL over them.
- BLEU: of the reconstructions.

The states of the two frozen models are computed once for each corpus, by its first run, and
shared by the others. Finished runs in the folder --output are not trained again.
"""

import argparse
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from small_corpora import name_bases

import textvae
from textvae.data.frozen_states import locate_states
from textvae.runs.run import Run
from textvae.training import frozen_states
from textvae.vae import TextVAE

HEAD = """| corpus | run | -ELBO | KL | MI | active | effective | BLEU |
|---|---|---|---|---|---|---|---|"""
MEASURES = ("elbo", "information", "active_units", "bleu")
OFF = {"target_kl": "off", "unit_floor": "off"}

# The techniques and the training settings that each run adds to those of the preset.
RUNS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "default (target_kl, unit_floor)": ({}, {}),
    "the plain ELBO": (OFF, {}),
    "linear annealing": ({**OFF, "kl_weight": {}}, {}),
    "free bits": ({**OFF, "free_bits": {}}, {}),
    "without unit_floor": ({"unit_floor": "off"}, {}),
    "with latent_dropout": ({"latent_dropout": {}}, {}),
    "with autoencoder_start": ({"autoencoder_start": {}}, {}),
    "with bag_of_words": ({"bag_of_words": {"weight": 0.3}}, {}),
    "encoder at a rate of 1e-3": ({}, {"encoder_learning_rate": 1e-3}),
    "decoder at a rate of 1e-3": ({}, {"decoder_learning_rate": 1e-3}),
}

# What computes the states of a split, unless they exist.
COMPUTE: Callable[..., None] = frozen_states._cache_split


def share_states(store: Path) -> AbstractContextManager[object]:
    """Make all runs use the states in a folder, which the first one fills."""

    def link_or_compute(run: Run, bundle: Any, split: str, *rest: Any) -> None:
        """Link the states of a split; compute them first if there are none."""
        column = rest[1]
        file = locate_states(run.folder / "corpus", split, column)
        kept = locate_states(store, split, column)
        if not kept.is_file():
            COMPUTE(run, bundle, split, *rest)
            store.mkdir(parents=True, exist_ok=True)
            os.link(file, kept)
        elif not file.is_file():
            os.link(kept, file)

    return patch.object(frozen_states, "_cache_split", link_or_compute)


def train_once(corpus: Path, name: str, run: Run, options: argparse.Namespace) -> TextVAE:
    """Return the model of a run, trained unless that was done before."""
    if (run.folder / "model.safetensors").is_file():
        return TextVAE.from_pretrained(run.folder, device="cpu")
    techniques, training = RUNS[name]
    return textvae.train(
        str(corpus),
        run.folder,
        preset="pretrained",
        device="cpu",
        model=name_bases(options.bases),
        objective={"techniques": dict(techniques)},
        training={"steps": options.steps, "seed": options.seed, "trackers": [], **training},
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--bases", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--output", type=Path, default=Path("runs/anti_collapse"))
    parser.add_argument("--sentences", type=int, default=500, help="validation sentences")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(HEAD, flush=True)
    for corpus in options.corpora:
        store = options.output / f"{corpus.name}-states"
        for name in options.only:
            words = re.sub(r"\W+", "-", name).strip("-")
            run = Run(options.output / f"{corpus.name}-{words}-{options.seed}")
            with share_states(store):
                vae = train_once(corpus, name, run, options)
            held_out = str(corpus / "valid.txt")
            record: dict[str, Any] = {
                **vae.evaluate(held_out, limit=options.sentences, measures=MEASURES)
            }
            counts = dict(
                zip(record["active_units_thresholds"], record["active_units_curve"], strict=True)
            )
            units = ", ".join(str(counts[threshold]) for threshold in (0.01, 0.1, 0.3))
            print(
                f"| {corpus.name} | {name} | {-record['elbo']:.2f} | {record['kl']:.1f} "
                f"| {record['mi_full']:.1f} | {units} | {record['effective_units']:.1f} "
                f"| {record['bleu']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
