"""The verbs that judge a run: `_evaluate`, `_doctor`, `_info`."""

from argparse import ArgumentParser, Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_run,
    add_table,
    load_vae,
    open_run,
    require_positive,
)
from textvae.cli.output import print_records


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    _add_evaluate(verbs.add_parser("evaluate", help="measure a run, with the doctor's verdict"))
    for verb, what in (
        ("doctor", "say whether the latent is used, and what to change"),
        ("info", "say what a run is"),
    ):
        add_run(verbs.add_parser(verb, help=what))


def _add_evaluate(command: ArgumentParser) -> None:
    """Add the arguments of `_evaluate`."""
    add_run(command)
    command.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="sentences to measure on (default: the run's test split)",
    )
    add_table(command)
    command.add_argument(
        "--samples", type=int, default=500, help="importance samples a sentence (default: 500)"
    )
    command.add_argument(
        "--adaptive", action="store_true", help="spread them: more where the weights are uneven"
    )
    command.add_argument("--limit", type=int, metavar="N", help="measure on the first N sentences")
    command.add_argument(
        "--measures",
        metavar="NAMES",
        default="standard",
        help="standard (default), quick, samples, interpolation, or single measures; several with commas between",
    )
    command.add_argument(
        "--prior-samples", type=int, metavar="N", help="sentences from the prior (default: 1000)"
    )
    command.add_argument(
        "--word-vectors", metavar="FILE", help="in word2vec's text format, for interpolation"
    )


def _evaluate(options: Namespace) -> None:
    """Measure a run on its own test split, or on a file."""
    from textvae.cli.rendering import format_evaluation
    from textvae.evaluation.evaluate import evaluate_run
    from textvae.evaluation.measures import MeasureSettings, select_measures
    from textvae.schema import validate_settings

    limit = None if options.limit is None else require_positive(options.limit, "limit")
    samples, names = require_positive(options.samples, "samples"), options.measures.split(",")
    given = {name: getattr(options, name) for name in ("adaptive", "prior_samples", "word_vectors")}
    settings = validate_settings(
        MeasureSettings, {name: value for name, value in given.items() if value is not None}
    )
    select_measures(names)  # refused before the model is loaded
    run, bundle = open_run(options), load_vae(options).bundle
    column, quoting = options.text_column, options.quoting
    record = evaluate_run(
        run,
        bundle,
        options.file,
        samples,
        limit,
        names,
        settings,
        text_column=column,
        quoting=quoting,
    )
    print_records([record], options.json, format_evaluation)


def _doctor(options: Namespace) -> None:
    """Judge a run on its validation split."""
    from textvae.cli.rendering import format_diagnosis
    from textvae.evaluation.evaluate import evaluate_quick

    record = evaluate_quick(open_run(options), load_vae(options).bundle)
    print_records([record], options.json, format_diagnosis)


def _info(options: Namespace) -> None:
    """Say what a run is: its model, corpus and settings."""
    from textvae.cli.rendering import describe_run, format_info

    record = describe_run(open_run(options), load_vae(options))
    print_records([record], options.json, format_info)


COMMANDS: dict[str, Command] = {"evaluate": _evaluate, "doctor": _doctor, "info": _info}
