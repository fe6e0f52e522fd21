"""Measure what a search over settings gains on a test split, in ten times the default's time.

    python experiments/tune.py --corpora captions CLINC150 --output runs/tune training.max_minutes=1

For each corpus, `textvae tune` searches from the given settings. Then the settings of the
start and the best ones are trained again, each for the steps that they made in the search,
with the seeds of `--seeds`, and each run is measured once on the test split. The search has
seen the validation split only, under the first of these seeds. What is finished is not
repeated, so the same command continues. `--config` starts from other settings than the
default recipe.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import textvae
from textvae.runs.run import Run
from textvae.settings.overrides import merge_overrides
from textvae.settings.reading import read_settings

MEASURES = ("iw_nll", "elbo", "reconstruction", "kl", "bleu", "active_units_strict")
TITLES = (
    "corpus",
    "settings",
    "seed",
    "steps",
    "IW-NLL",
    "−ELBO",
    "reconstruction",
    "KL",
    "BLEU",
    "AU",
)


def main() -> None:
    """Search, train again, measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--config", help="settings to start from")
    parser.add_argument("--minutes", type=float, required=True, help="time of each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--samples", type=int, default=50, help="importance samples")
    parser.add_argument("--limit", type=int, default=1000, help="test sentences")
    options, overrides = parser.parse_known_args()
    rows = []
    for corpus in options.corpora:
        folder = options.output / Path(corpus).name
        result = textvae.tune(
            corpus,
            folder / "search",
            config=options.config,
            overrides=overrides,
            minutes=options.minutes,
            device="cpu",
        )
        seconds = sum(trial.seconds for trial in result.trials)
        print(
            f"{corpus}: {len(result.trials)} trials in {seconds:.0f} s, "
            f"{seconds / result.default.seconds:.1f} times the {result.default.seconds:.0f} s of "
            f"the first one; gain on the validation split {result.gain:.2f}, floor {result.kl_floor:.2f}",
            flush=True,
        )
        rows += list(measure(corpus, folder, result, options, overrides))
    print("| " + " | ".join(TITLES) + " |")
    print("|---|---|" + "---:|" * (len(TITLES) - 2))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def measure(
    corpus: str,
    folder: Path,
    result: textvae.TuningResult,
    options: argparse.Namespace,
    overrides: list[str],
) -> Iterator[list[str]]:
    """Train and measure both settings under each seed; yield the rows of the table."""
    start = read_settings(options.config, [*overrides, f"data.corpus={json.dumps(corpus)}"])
    bounds = [f"training.steps={result.default.steps}", "training.max_minutes=null"]
    default = merge_overrides(start.model_dump(mode="json"), bounds)
    best = read_settings(result.config).model_dump(mode="json")
    for seed in options.seeds:
        for name, settings in (("default", default), ("best", best)):
            seeded = merge_overrides(settings, [f"training.seed={seed}", "training.trackers=[]"])
            record = train_and_measure(folder / f"{name}-{seed}", seeded, options)
            numbers = [record[key] for key in MEASURES]
            numbers[1] = -numbers[1]
            cells = [f"{number:.2f}" for number in numbers[:-1]]
            steps = str(settings["training"]["steps"])
            yield [Path(corpus).name, name, str(seed), steps, *cells, str(numbers[-1])]


def train_and_measure(
    folder: Path, settings: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the measures of a run on its test split; train it unless that was done before."""
    run = Run(folder)
    if not run.is_finished():
        textvae.train(
            output=folder,
            device="cpu",
            resume=folder.exists(),
            **({} if folder.exists() else settings),
        )
    record = run.read_json("measures.json")
    if not record:
        vae = textvae.TextVAE.from_pretrained(folder, "cpu")
        vae.evaluate(samples=options.samples, limit=options.limit)
        record = run.read_json("measures.json")
    return record


if __name__ == "__main__":
    main()
