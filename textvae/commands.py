"""What each verb of the command line does: read the arguments, call the library, print.

Results go to standard output, all else to standard error. With `--json` each
line of standard output is one JSON object.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.errors import ConfigError, OutputError
from textvae.given import read_texts
from textvae.vae import TextVAE

if TYPE_CHECKING:
    from textvae.run import Run  # and with it `datasets`, which takes longer to import than a sentence to write

SHOWN = 5  # reconstructions, where no file is named
BLOCK = 1024  # sentences between two prints
DECODING = ("temperature", "top_p", "top_k", "num_beams", "max_new_tokens", "seed")


def say(records: Iterable[dict[str, Any]], as_json: bool, shown: Callable[[dict[str, Any]], str]) -> None:
    """Print records: as JSON, or as `shown` has them."""
    for record in records:
        print(json.dumps(record, ensure_ascii=False) if as_json else shown(record), flush=True)


def shown_text(record: dict[str, Any]) -> str:
    """Show a record that is one text."""
    return str(record["text"])


def load(options: Namespace) -> TextVAE:
    """Load the run a command names."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    return TextVAE.from_pretrained(options.run, options.device)


def run_of(options: Namespace) -> "Run":
    """Return the run a command names."""
    from textvae.run import Run

    return Run(Path(options.run))


def decoding(options: Namespace) -> dict[str, Any]:
    """Return the decoding options that were given."""
    return {name: getattr(options, name) for name in DECODING if getattr(options, name) is not None}


def positive(value: int, name: str) -> int:
    """Return a count, or refuse it.

    Raises:
        ConfigError: it is not positive.
    """
    if value < 1:
        raise ConfigError(f"{name} = {value}: wanted is a number from 1.")
    return value


def train(options: Namespace) -> None:
    """Train, then say where the run is and how it stands."""
    from accelerate import PartialState

    from textvae.training.launcher import train as launch

    corpus, settings = options.corpus, list(options.settings)
    if corpus and "=" in corpus and not Path(corpus).exists():  # the corpus was left out: it is a setting
        corpus, settings = None, [corpus, *settings]
    launch(
        corpus,
        options.output,
        options.config,
        settings,
        options.resume,
        options.overwrite,
        options.init,
        options.device,
    )
    state = PartialState()  # of the launch, now over
    state.destroy_process_group()
    if not state.is_main_process:
        return
    print(f"the run is in {options.output}", file=sys.stderr)
    print(f"next: textvae evaluate {options.output} --limit 500 --samples 50", file=sys.stderr)
    print(f"      textvae generate {options.output}", file=sys.stderr)


def evaluate(options: Namespace) -> None:
    """Measure a run on its own test split, or on a file."""
    from textvae.evaluation import evaluate_run
    from textvae.measures import MeasureSettings, chosen
    from textvae.parts import checked
    from textvae.report import evaluation_text

    limit = None if options.limit is None else positive(options.limit, "limit")
    samples, names = positive(options.samples, "samples"), options.measures.split(",")
    given = {name: getattr(options, name) for name in ("adaptive", "prior_samples", "word_vectors")}
    settings = checked(MeasureSettings, {name: value for name, value in given.items() if value is not None})
    chosen(names)  # refused before the model is loaded
    record = evaluate_run(run_of(options), load(options).bundle, options.file, samples, limit, names, settings)
    say([record], options.json, evaluation_text)


def generate(options: Namespace) -> None:
    """Write sentences from the prior."""
    count = positive(options.n, "n")
    texts = load(options).generate(count, **decoding(options))
    say(({"text": text} for text in texts), options.json, shown_text)


def reconstruct(options: Namespace) -> None:
    """Encode sentences and write them again; without a file, a few of the run's own test split."""
    vae, run = load(options), run_of(options)
    originals = list(read_texts(options.file, run) if options.file else run.split("test")[:SHOWN]["text"])
    for start in range(0, len(originals), BLOCK):
        block = originals[start : start + BLOCK]
        pairs = zip(block, vae.reconstruct(block, **decoding(options)), strict=True)
        records = ({"original": original, "text": text} for original, text in pairs)
        say(records, options.json, lambda record: f"{record['original']}\n  → {record['text']}")


def complete(options: Namespace) -> None:
    """Continue a prefix."""
    texts = load(options).complete(options.prefix, positive(options.n, "n"), **decoding(options))
    say(({"text": text} for text in texts), options.json, shown_text)


def interpolate(options: Namespace) -> None:
    """Walk from one sentence to another."""
    vae = load(options)
    texts = vae.interpolate(options.first, options.second, options.steps, options.path, **decoding(options))
    say(({"step": step, "text": text} for step, text in enumerate(texts)), options.json, shown_text)


def encode(options: Namespace) -> None:
    """Write the posterior means of a file's sentences, as they come."""
    from textvae.uses import posteriors
    from textvae.vectors import check_vector_file, write_vectors

    output = check_vector_file(options.output)
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; make it first.")
    vae = load(options)
    texts = read_texts(options.file, run_of(options), options.text_column)
    blocks = ((block, q.mean.numpy()) for block, q in posteriors(vae.bundle, texts, progress=not options.json))
    sentences = write_vectors(output, blocks, vae.latent_dim)
    record = {"file": str(output), "sentences": sentences, "latent_dim": vae.latent_dim}
    say([record], options.json, lambda seen: f"{seen['file']}: {seen['sentences']} vectors of {seen['latent_dim']}")


def score(options: Namespace) -> None:
    """Say how likely each sentence of a file is, in nats."""
    from textvae.card import shown

    vae = load(options)
    texts = read_texts(options.file, run_of(options), options.text_column)
    while block := list(islice(texts, BLOCK)):
        scores = zip(block, vae.score(block, options.samples, options.seed), strict=True)
        records = ({"text": text, **record} for text, record in scores)
        say(records, options.json, lambda seen: f"{shown(seen['iw_nll']):>8}  {seen['text']}")


def decode(options: Namespace) -> None:
    """Write a sentence from each vector."""
    from textvae.vectors import read_vectors

    vae = load(options)
    texts = vae.decode(read_vectors(options.vectors), **decoding(options))
    say(({"text": text} for text in texts), options.json, shown_text)


def doctor(options: Namespace) -> None:
    """Judge a run on its validation split."""
    from textvae.evaluation import quick_look
    from textvae.report import diagnosis_text

    record = quick_look(run_of(options), load(options).bundle)
    say([record], options.json, diagnosis_text)


def bench(options: Namespace) -> None:
    """Measure this machine."""
    from textvae.bench import run
    from textvae.report import bench_text

    if not options.seconds > 0:
        raise ConfigError(f"seconds = {options.seconds:g}: wanted is a number above zero.")
    say([run(options.what, options.size, options.corpus, options.device, options.seconds)], options.json, bench_text)


def info(options: Namespace) -> None:
    """Say what a run is: its model, corpus and settings."""
    from textvae.report import info_text, run_record

    record = run_record(run_of(options), load(options))
    say([record], options.json, info_text)


def compare(options: Namespace) -> int:
    """Train and measure a matrix of configs and seeds; the exit code is 1 if a run failed."""
    from textvae.comparison.command import run_comparison

    records = run_comparison(options)
    if options.json:
        say(records, True, str)
    else:
        print((Path(options.output) / "table.md").read_text(encoding="utf-8"))
    print(f"the report is {options.output}/report.html", file=sys.stderr)
    return int(any(record["reason"] for record in records))


def report(options: Namespace) -> None:
    """Write a run's report as one HTML file."""
    from textvae.comparison.command import write_report

    say([write_report(run_of(options), load(options), options.output)], options.json, lambda seen: str(seen["file"]))


def or_in_shards(verb: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Return the verb, that does bulk work where a folder of shards is asked for."""

    def either(options: Namespace) -> None:
        from textvae.bulk import command

        if not command.asks_for_shards(options):
            return verb(options)
        record = command.work(options, decoding(options) if options.verb == "generate" else {})
        return say([record] if record else [], options.json, command.shown)

    return either


COMMANDS: dict[str, Callable[[Namespace], int | None]] = {  # what they return is the exit code, if not 0
    "train": train,
    "evaluate": evaluate,
    "generate": or_in_shards(generate),
    "reconstruct": reconstruct,
    "complete": complete,
    "interpolate": interpolate,
    "encode": or_in_shards(encode),
    "score": or_in_shards(score),
    "decode": decode,
    "doctor": doctor,
    "info": info,
    "bench": bench,
    "compare": compare,
    "report": report,
}
