"""The verb `tune`."""

from argparse import Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_device,
    add_json,
    add_verb,
    require_extra,
    suggest,
)
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.cli.training_checks import check_corpus_and_settings
from textvae.messages import print_lines
from textvae.settings.examples import list_examples
from textvae.settings.presets import PRESETS
from textvae.terminal import escape_controls
from textvae.tuning.settings import TuneSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    tune = add_verb(verbs, "tune", "search for settings that are better than the default recipe")
    require_extra(tune, "tune", "searches over settings", "optuna")
    tune.usage = "textvae tune [CORPUS] --output FOLDER [options] [section.key=value ...]"
    tune.add_argument(
        "corpus",
        nargs="?",
        metavar="CORPUS",
        help="corpus to train on, as for `textvae train` (default: data.corpus of the settings)",
    )
    tune.add_argument(
        "--output",
        metavar="FOLDER",
        required=True,
        help="folder for the table, the picture, the best settings and the best run; "
        "after an interruption, the same command continues the search",
    )
    config = tune.add_argument(
        "--config",
        metavar="FILE.yaml|NAME",
        help="file of settings to start from, or the name of an example, such as quickstart "
        "(default: the default recipe)",
    )
    suggest(config, list_examples)
    preset = tune.add_argument(
        "--preset",
        metavar="NAME",
        help=f"settings to start from: {', '.join(PRESETS)} (default: the default recipe)",
    )
    suggest(preset, lambda: PRESETS)
    tune.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="KEY=LOW..HIGH|A,B",
        help="search a setting in a range or among values, in addition to the default ones or "
        "instead of their ranges; to be repeated",
    )
    tune.add_argument(
        "--fix",
        action="append",
        default=[],
        metavar="KEY",
        help="do not search a setting, or those whose keys begin so, such as model; `all` for "
        "everything that --search does not name; to be repeated (default: search everything)",
    )
    add_settings(tune, TuneSettings)
    add_device(tune)
    add_json(tune)


def _tune(options: Namespace) -> None:
    """Search, print the table, and say where the best settings are."""
    corpus, settings = check_corpus_and_settings(options)
    from textvae.tuning.results import format_table
    from textvae.tuning.tune import tune

    result = tune(
        corpus,
        options.output,
        config=options.config,
        overrides=settings,
        preset=options.preset,
        search=options.search,
        fix=options.fix,
        device=options.device,
        **collect_settings(options, TuneSettings),
    )
    if options.json:
        print_records([vars(trial) for trial in result.trials], as_json=True, format_record=str)
    else:
        print("\n".join(map(escape_controls, format_table(result).split("\n"))))
    print_lines(escape_controls(f"the best settings are {result.config}"))
    print_lines(escape_controls(f"next: textvae evaluate {result.run}"))


COMMANDS: dict[str, Command] = {"tune": _tune}
