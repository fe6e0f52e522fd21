"""The verbs that judge a run: `evaluate`, `doctor`, `info`."""

from argparse import ArgumentParser, Namespace

from textvae.cli.arguments import Command, Verbs, add_run, add_table, load, positive, run_of
from textvae.cli.output import say


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    add_evaluate(verbs.add_parser("evaluate", help="measure a run, with the doctor's verdict"))
    for verb, what in (("doctor", "say whether the latent is used, and what to change"), ("info", "say what a run is")):
        add_run(verbs.add_parser(verb, help=what))


def add_evaluate(command: ArgumentParser) -> None:
    """Add the arguments of `evaluate`."""
    add_run(command)
    command.add_argument(
        "file", nargs="?", metavar="FILE", help="sentences to measure on (default: the run's test split)"
    )
    add_table(command)
    command.add_argument("--samples", type=int, default=500, help="importance samples a sentence (default: 500)")
    command.add_argument("--adaptive", action="store_true", help="spread them: more where the weights are uneven")
    command.add_argument("--limit", type=int, metavar="N", help="measure on the first N sentences")
    command.add_argument(
        "--measures",
        metavar="NAMES",
        default="standard",
        help="standard (default), quick, samples, interpolation, or single measures; several with commas between",
    )
    command.add_argument("--prior-samples", type=int, metavar="N", help="sentences from the prior (default: 1000)")
    command.add_argument("--word-vectors", metavar="FILE", help="in word2vec's text format, for interpolation")


def evaluate(options: Namespace) -> None:
    """Measure a run on its own test split, or on a file."""
    from textvae.cli.rendering import evaluation_text
    from textvae.evaluation.evaluate import evaluate_run
    from textvae.evaluation.measures import MeasureSettings, chosen
    from textvae.schema import checked

    limit = None if options.limit is None else positive(options.limit, "limit")
    samples, names = positive(options.samples, "samples"), options.measures.split(",")
    given = {name: getattr(options, name) for name in ("adaptive", "prior_samples", "word_vectors")}
    settings = checked(MeasureSettings, {name: value for name, value in given.items() if value is not None})
    chosen(names)  # refused before the model is loaded
    run, bundle = run_of(options), load(options).bundle
    column, quoting = options.text_column, options.quoting
    record = evaluate_run(
        run, bundle, options.file, samples, limit, names, settings, text_column=column, quoting=quoting
    )
    say([record], options.json, evaluation_text)


def doctor(options: Namespace) -> None:
    """Judge a run on its validation split."""
    from textvae.cli.rendering import diagnosis_text
    from textvae.evaluation.evaluate import quick_look

    record = quick_look(run_of(options), load(options).bundle)
    say([record], options.json, diagnosis_text)


def info(options: Namespace) -> None:
    """Say what a run is: its model, corpus and settings."""
    from textvae.cli.rendering import info_text, run_record

    record = run_record(run_of(options), load(options))
    say([record], options.json, info_text)


COMMANDS: dict[str, Command] = {"evaluate": evaluate, "doctor": doctor, "info": info}
