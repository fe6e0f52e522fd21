"""The help texts: every argument has one, and defaults are those of the Python interface."""

import inspect
import shlex
import subprocess
import sys
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Callable
from typing import Any, get_args

import pytest
from pydantic.fields import FieldInfo

from tests.cli.test_no_foreign_code import VERBS
from textvae.bench.run import run_benchmark
from textvae.bulk.defaults import DEFAULT_ENGINE, DEFAULT_SHARD_ROWS
from textvae.bulk.engines import ENGINES
from textvae.bulk.verbs import VERBS as BULK_VERBS
from textvae.bulk.work import run
from textvae.cli.examples import EXAMPLES
from textvae.cli.main import main
from textvae.cli.parser import build_parser
from textvae.cli.settings import collect_settings
from textvae.cli.verbs import VERBS as TABLE
from textvae.comparison.compare import compare
from textvae.comparison.report.page import write_report
from textvae.data.tables import TableSettings
from textvae.evaluation.settings import CompareSettings, EvaluateSettings, MeasureSettings
from textvae.explorer.launch import explore
from textvae.inference.settings import DecodingSettings, SingleDecodingSettings
from textvae.schema import StrictSettings
from textvae.settings.card import CardSettings
from textvae.training.finish import finish
from textvae.training.train import train
from textvae.tuning.settings import TuneSettings
from textvae.tuning.tune import tune
from textvae.uses.anomaly import SCORE_FUNCTIONS
from textvae.uses.infill.infill import METHODS
from textvae.uses.settings import (
    AnomalyScore,
    AnomalySettings,
    AugmentSettings,
    CompleteSettings,
    EditSettings,
    ExportSettings,
    FeaturesSettings,
    FitPriorSettings,
    GenerateSettings,
    IndexSettings,
    InfillMethod,
    InfillSettings,
    InterpolateSettings,
    NeighborsSettings,
    RefineSettings,
    ScoreSettings,
    TraverseSettings,
    UncertaintySettings,
    VarySettings,
)
from textvae.vae import TextVAE

# The classes whose fields are options of a verb.
SETTINGS: dict[str, tuple[type[StrictSettings], ...]] = {
    "infill": (InfillSettings,),
    "vary": (VarySettings, SingleDecodingSettings),
    "features": (FeaturesSettings,),
    "traverse": (TraverseSettings, DecodingSettings),
    "augment": (AugmentSettings,),
    "anomaly fit": (AnomalySettings,),
    "score": (ScoreSettings,),
    "uncertainty": (UncertaintySettings,),
    "evaluate": (EvaluateSettings, MeasureSettings),
    "compare": (CompareSettings,),
    "tune": (TuneSettings,),
    "generate": (GenerateSettings, DecodingSettings),
    "complete": (CompleteSettings, DecodingSettings),
    "interpolate": (InterpolateSettings, DecodingSettings),
    "reconstruct": (RefineSettings, DecodingSettings),
    "decode": (DecodingSettings,),
    "edit": (EditSettings, DecodingSettings),
    "analogy": (EditSettings, SingleDecodingSettings),
    "index": (IndexSettings,),
    "neighbors": (NeighborsSettings,),
    "prior fit": (FitPriorSettings,),
    "push": (CardSettings,),
    "export": (ExportSettings,),
}

BULK_OPTIONS = ("engine", "shard_rows")
COMMON_FLAGS = ("quiet",)  # of every verb

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "train": train,
    "finish": finish,
    "compare": compare,
    "tune": tune,
    "evaluate": TextVAE.evaluate,
    "doctor": TextVAE.doctor,
    "report": write_report,
    "bench": run_benchmark,
    "encode": TextVAE.encode,
    "features": TextVAE.features,
    "vary": TextVAE.vary,
    "generate": TextVAE.generate,
    "reconstruct": TextVAE.reconstruct,
    "complete": TextVAE.complete,
    "interpolate": TextVAE.interpolate,
    "decode": TextVAE.decode,
    "infill": TextVAE.infill,
    "attribute fit": TextVAE.fit_attribute,
    "edit": TextVAE.edit,
    "analogy": TextVAE.analogy,
    "traverse": TextVAE.traverse,
    "prior fit": TextVAE.fit_prior,
    "score": TextVAE.score,
    "anomaly fit": TextVAE.fit_anomaly,
    "anomaly score": TextVAE.anomaly,
    "uncertainty": TextVAE.uncertainty,
    "insight": TextVAE.insight,
    "index": TextVAE.index,
    "neighbors": TextVAE.neighbors,
    "augment": TextVAE.augment,
    "push": TextVAE.push_to_hub,
    "export": TextVAE.export,
    "explore": explore,
}

# `info` prints what attributes of a run and of the machine say, `skill` a file; `shell` has all
# other verbs.
WITHOUT_FUNCTION = {"completion", "docs", "info", "settings", "shell", "skill"}

# Numbers that only functions take, because their defaults are about memory, not results.
ONLY_IN_PYTHON = {"batch_size"}


def list_arguments(command: ArgumentParser) -> list[Action]:
    """Return the arguments of a verb but --help."""
    return [action for action in command._actions if action.dest != "help"]


def collect_fields(verb: str) -> dict[str, FieldInfo]:
    """Return the fields that may be options of a verb, by name."""
    fields: dict[str, FieldInfo] = {}
    for settings in SETTINGS.get(verb, ()):
        fields |= settings.model_fields
    return fields


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_says_what_the_verb_does(verb):
    """It is a sentence, above the arguments."""
    description = VERBS[verb].description
    assert description
    assert description[0].isupper()
    assert description.endswith(".")
    assert not description.endswith("..")


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_has_a_help_text(verb):
    """The text says more than the default."""
    missing = [
        action.dest
        for action in list_arguments(VERBS[verb])
        if action.help in (None, SUPPRESS) or action.help.startswith("(default")
    ]
    assert missing == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_text_states_the_default(verb):
    """It is the default of the parser."""
    for action in list_arguments(VERBS[verb]):
        if action.default in (None, False, [], SUPPRESS):
            continue
        assert action.help is not None, action.dest
        shown = action.help % vars(action)
        assert f"(default: {format_default(action.default)})" in shown, action.dest


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_that_takes_a_value_says_what_happens_without_it(verb):
    """Its help names the default, unless it is required; a flag is off by default."""
    silent = [
        action.dest
        for action in list_arguments(VERBS[verb])
        if action.nargs != 0 and not action.required and "default" not in (action.help or "")
    ]
    assert silent == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_that_can_be_parsed(verb):
    """They are at the end of its help, one per line."""
    shown = VERBS[verb].format_help()
    assert EXAMPLES[verb]
    for example in EXAMPLES[verb]:
        assert f"\n  {example}\n" in shown
        _, _, command = example.partition("textvae ")
        words = [word for word in shlex.split(command) if "=" not in word or word[0] == "-"]
        words = words[: words.index(">")] if ">" in words else words
        words = words[: words.index(">>")] if ">>" in words else words
        assert " ".join(words).startswith(verb)
        build_parser([words[0]]).parse_args(words)


def test_the_examples_are_those_of_the_verbs():
    """A verb that was removed leaves none behind."""
    assert EXAMPLES.keys() == VERBS.keys()


@pytest.mark.parametrize("verb", [name for name in VERBS if TABLE[name.split()[0]].takes_settings])
def test_the_help_of_a_verb_that_takes_settings_says_where_they_are_explained(verb):
    """The verb `settings` is the reference."""
    assert "`textvae settings`" in " ".join(VERBS[verb].format_help().split())


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--epochs", "5"], "training.epochs=5"),
        (["--epochs=5"], "training.epochs=5"),
        (["--learning-rate", "--resume"], "training.learning_rate=VALUE"),
        (["--num-epochs", "3"], "training.epochs=3"),
        (["--max-tokens", "64"], "data.max_tokens=64"),
    ],
)
def test_an_option_that_is_a_setting_is_refused_with_the_setting(arguments, advice, capsys):
    """The message is the word to write instead, and names the verb that explains it."""
    with pytest.raises(SystemExit, match="2"):
        main(["train", "captions", *arguments])
    message = capsys.readouterr().err
    assert advice in message
    assert f"textvae settings {advice.partition('.')[0]}" in message


def format_default(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("verb", SETTINGS)
def test_an_option_that_is_a_field_has_its_help_and_default(verb):
    """The help text has the description and the default; the parser has neither of its own."""
    fields = collect_fields(verb)
    options = [action for action in list_arguments(VERBS[verb]) if action.dest in fields]
    assert options
    for action in options:
        field = fields[action.dest]
        assert action.default == SUPPRESS, action.dest
        assert action.help is not None, action.dest
        assert field.description is not None, action.dest
        assert action.help.startswith(field.description), action.dest
        is_drawn = field.default_factory is not None  # a new value in each call
        if field.default is None or is_drawn:
            assert "by default" in field.description, action.dest
        elif field.default is not False:
            assert action.help.endswith(f" (default: {format_default(field.default)})")


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_without_a_default_in_the_parser_is_a_field(verb):
    """The only exceptions are the options of bulk work; those of tables are fields of data."""
    known = {*collect_fields(verb), *BULK_OPTIONS, *COMMON_FLAGS, *TableSettings.model_fields}
    options = [action.dest for action in list_arguments(VERBS[verb]) if action.default == SUPPRESS]
    assert known.issuperset(options)


@pytest.mark.parametrize("settings", sorted(set(sum(SETTINGS.values(), ())), key=str))
def test_each_field_has_a_description_that_is_a_phrase(settings):
    """It begins in lower case and has no full stop, since a default may follow."""
    for name, field in settings.model_fields.items():
        assert field.description, name
        assert not field.description.endswith("."), name
        assert field.description[0].islower(), name


@pytest.mark.parametrize("verb", FUNCTIONS)
def test_counts_and_amounts_are_named_as_in_python(verb):
    """Each is a parameter of the function, or a field of its settings."""
    known = {*collect_fields(verb), *BULK_OPTIONS, *inspect.signature(FUNCTIONS[verb]).parameters}
    counts = [action.dest for action in list_arguments(VERBS[verb]) if action.type in (int, float)]
    assert known.issuperset(counts)


@pytest.mark.parametrize("verb", FUNCTIONS)
def test_defaults_are_those_of_the_function(verb):
    """A default of the parser or of a field equals that of the parameter with the same name."""
    parameters = inspect.signature(FUNCTIONS[verb]).parameters
    defaults = {action.dest: action.default for action in list_arguments(VERBS[verb])}
    defaults |= {name: field.default for name, field in collect_fields(verb).items()}
    for name in defaults.keys() & parameters.keys():
        default = parameters[name].default
        if defaults[name] not in (None, []) and default is not inspect.Parameter.empty:
            # The names of measures are a tuple in Python, and separated by commas in a command.
            expected = ",".join(default) if isinstance(default, tuple) else default
            assert defaults[name] == expected, name


def test_every_verb_is_compared_with_its_function():
    """A new verb must be added to the table of functions."""
    assert VERBS.keys() - FUNCTIONS.keys() == WITHOUT_FUNCTION


@pytest.mark.parametrize("verb", FUNCTIONS)
def test_numbers_of_a_function_are_options_with_the_same_default(verb):
    """A number that the command line does not know would have a default in one place only."""
    options = {action.dest for action in list_arguments(VERBS[verb])}
    for name, parameter in inspect.signature(FUNCTIONS[verb]).parameters.items():
        is_number = isinstance(parameter.default, int | float)
        if is_number and not isinstance(parameter.default, bool) and name not in ONLY_IN_PYTHON:
            assert name in options, name


@pytest.mark.parametrize("verb", BULK_VERBS)
def test_bulk_jobs_have_the_defaults_of_their_verb(verb):
    """What is None in Python is looked up in the tables that the help texts show."""
    parameters = inspect.signature(run).parameters
    assert parameters["engine"].default == DEFAULT_ENGINE
    assert parameters["n"].default is parameters["shard_rows"].default is None
    assert set(BULK_VERBS[verb].Settings.model_fields) <= set(collect_fields(verb))


@pytest.mark.parametrize("verb", BULK_VERBS)
def test_the_help_text_states_the_rows_per_shard_and_the_engine(verb):
    """A verb has an entry in both tables, and the engine is one of the known ones."""
    helps = {action.dest: action.help or "" for action in list_arguments(VERBS[verb])}
    assert f"(default: {DEFAULT_SHARD_ROWS[verb]})" in helps["shard_rows"]
    assert f"(default: {DEFAULT_ENGINE})" in helps["engine"]
    assert DEFAULT_ENGINE in ENGINES


def test_choices_of_a_setting_are_the_keys_of_its_table():
    """The settings cannot import the tables, which import torch."""
    assert list(METHODS) == list(get_args(InfillMethod))
    assert list(SCORE_FUNCTIONS) == list(get_args(AnomalyScore))


def test_collected_settings_are_only_those_the_user_wrote():
    """The settings class has the defaults of all others."""
    options = build_parser().parse_args(["infill", "run", "a ___", "-n", "3", "--most-tokens", "2"])
    assert collect_settings(options, InfillSettings) == {"n": 3, "most_tokens": 2}


def test_a_choice_that_is_unknown_is_refused_with_all_choices(capsys):
    """The message is one line, and the exit code that of wrong input."""
    with pytest.raises(SystemExit, match="2"):
        main(["traverse", "run", "a man", "--dimension", "0", "--unit", "posterior"])
    message = capsys.readouterr().err
    assert "--unit: invalid choice: 'posterior'" in message
    assert "aggregate" in message
    assert len(message.splitlines()) == 1


def test_the_help_of_every_verb_answers_without_torch():
    """The settings classes are imported for the help texts, but nothing slow is."""
    code = (
        "import contextlib, sys\n"
        "from textvae.cli.main import main\n"
        "for verb in sys.argv[1:]:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main([*verb.split(), '--help'])\n"
        "print('imported:', {'torch', 'transformers', 'datasets'} & sys.modules.keys())\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *VERBS], capture_output=True, text=True, check=True
    )
    assert shown.stdout.endswith("imported: set()\n")
    assert all(f"usage: textvae {verb} " in shown.stdout for verb in VERBS)
