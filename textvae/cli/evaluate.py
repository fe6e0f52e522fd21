"""The verbs that describe a run: `evaluate`, `doctor`, `info`."""

from argparse import ArgumentParser, Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_run,
    add_table,
    load_vae,
    open_run,
)
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.evaluation.settings import EvaluateSettings, MeasureSettings


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    _add_evaluate(verbs.add_parser("evaluate", help="measure a run and print the doctor's verdict"))
    doctor = verbs.add_parser(
        "doctor", help="check whether the latent is used, and advise what to change"
    )
    add_run(doctor)
    info = verbs.add_parser(
        "info", help="describe a run, or print versions and machine for an issue report"
    )
    add_run(
        info,
        is_optional=True,
        without="without it, versions and machine are printed",
    )


def _add_evaluate(command: ArgumentParser) -> None:
    """Add the arguments of `evaluate`."""
    add_run(command)
    command.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="file of sentences to measure on (default: the test split of the run)",
    )
    add_table(command)
    add_settings(command, EvaluateSettings)
    command.add_argument(
        "--measures",
        metavar="NAMES",
        default="standard",
        help="measures or groups of measures, separated by commas: standard, quick, samples, "
        "interpolation, or names from docs/measures.md (default: %(default)s)",
    )
    add_settings(command, MeasureSettings, "adaptive", "prior_samples")
    add_settings(command, MeasureSettings, "word_vectors", metavar="FILE")


def _evaluate(options: Namespace) -> None:
    """Measure a run on its own test split, or on a file."""
    from textvae.cli.rendering import format_evaluation
    from textvae.evaluation.evaluate import evaluate_run
    from textvae.evaluation.measures import select_measures
    from textvae.schema import validate_settings

    size = validate_settings(
        EvaluateSettings, collect_settings(options, EvaluateSettings), "evaluate"
    )
    names = options.measures.split(",")
    settings = validate_settings(MeasureSettings, collect_settings(options, MeasureSettings))
    select_measures(names)  # refuses unknown names before the model is loaded
    record = evaluate_run(
        open_run(options),
        load_vae(options).bundle,
        options.file,
        size.samples,
        size.limit,
        names,
        settings,
        text_column=options.text_column,
        quoting=options.quoting,
    )
    print_records([record], options.json, format_evaluation)


def _doctor(options: Namespace) -> None:
    """Judge a run on its validation split."""
    from textvae.cli.rendering import format_diagnosis
    from textvae.evaluation.evaluate import evaluate_quick

    record = evaluate_quick(open_run(options), load_vae(options).bundle)
    print_records([record], options.json, format_diagnosis)


def _info(options: Namespace) -> None:
    """Describe a run: its model, corpus and training; or, without a run, the environment."""
    if options.run is None:
        from textvae.cli.environment import describe_environment, format_environment

        print_records([describe_environment(options.device)], options.json, format_environment)
        return
    from textvae.cli.rendering import describe_run, format_info

    record = describe_run(open_run(options), load_vae(options))
    print_records([record], options.json, format_info)


COMMANDS: dict[str, Command] = {"evaluate": _evaluate, "doctor": _doctor, "info": _info}
