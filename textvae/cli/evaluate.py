"""The verbs that describe a run: `evaluate`, `doctor`, `info`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Collection

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_run,
    add_table,
    add_verb,
    collect_table_options,
    require_extra,
)
from textvae.cli.loading import load_vae, open_run
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.errors import ConfigError
from textvae.evaluation.settings import EvaluateSettings, MeasureSettings

# The measures that read an option of `evaluate`; the other options concern all measures.
_READERS = {
    "samples": {"likelihood"},
    "adaptive": {"likelihood"},
    "fit_proposal": {"likelihood"},
    "prior_samples": {"diversity", "self_bleu", "forward_reverse", "novelty", "mauve"},
    "word_vectors": {"smoothness"},
}


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    evaluate = add_verb(verbs, "evaluate", "measure a run, and judge whether its latent is used")
    _add_evaluate(evaluate)
    doctor = add_verb(
        verbs,
        "doctor",
        "check quickly whether the latent is used and the model is useful, and advise what to "
        "change",
    )
    add_run(doctor)
    info = add_verb(
        verbs, "info", "describe a run, or print versions and machine for an issue report"
    )
    add_run(info, without="none: versions and machine are printed")


def _add_evaluate(command: ArgumentParser) -> None:
    """Add the arguments of `evaluate`."""
    add_run(command)
    command.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="file of sentences to measure on (default: the run's test split)",
    )
    add_table(command)
    require_extra(
        command,
        "mauve",
        "MAUVE's scores",
        "mauve",
        applies=lambda options: "mauve" in options.measures.split(","),
    )
    add_settings(command, EvaluateSettings)
    command.add_argument(
        "--measures",
        metavar="NAMES",
        default="standard",
        help="what to measure, separated by commas: the groups standard, quick, samples and "
        "interpolation, and single measures; see `textvae docs measures` (default: %(default)s)",
    )
    add_settings(command, MeasureSettings, "adaptive", "fit_proposal", "prior_samples")
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
    # Unknown names and options without effect are refused before the model is loaded.
    _refuse_unread_options(options, select_measures(names).keys())
    run = open_run(options)
    record = evaluate_run(
        run,
        load_vae(options).bundle,
        options.file,
        size.samples,
        size.limit,
        names,
        settings,
        tables=collect_table_options(options),
    )
    print_records([record], options.json, format_evaluation)


def _refuse_unread_options(options: Namespace, measures: Collection[str]) -> None:
    """Refuse an option that the user wrote and that none of the chosen measures reads.

    Args:
        measures: the names of the chosen measures, without groups.

    Raises:
        ConfigError: there is such an option.
    """
    for name, readers in _READERS.items():
        if name in options and readers.isdisjoint(measures):
            flag = name.replace("_", "-")
            raise ConfigError(
                f"--{flag} is read by {', '.join(sorted(readers))} only, and --measures "
                f"{options.measures} has no such measure; leave the option out, or choose a measure "
                "that reads it."
            )


def _doctor(options: Namespace) -> None:
    """Judge from the validation split whether a run uses its latent, and is useful."""
    from textvae.cli.rendering import format_checkup
    from textvae.evaluation.evaluate import evaluate_quick

    record = evaluate_quick(open_run(options), load_vae(options).bundle)
    print_records([record], options.json, format_checkup)


def _info(options: Namespace) -> None:
    """Describe a run: its model, corpus and training; or, without a run, the environment."""
    if options.run is None:
        if options.revision is not None:
            raise ConfigError(
                f"--revision {options.revision} is that of a model on the hub, and no RUN is named; "
                "name the model, or leave the option out."
            )
        from textvae.cli.environment import describe_environment, format_environment

        print_records([describe_environment(options.device)], options.json, format_environment)
        return
    from textvae.cli.rendering import describe_run, format_info

    record = describe_run(open_run(options), load_vae(options))
    print_records([record], options.json, format_info)


COMMANDS: dict[str, Command] = {"evaluate": _evaluate, "doctor": _doctor, "info": _info}
