"""Search over settings: train one config after another, and keep the best.

The first trial has the settings that the search starts from, so the result is never worse
than they are, on the validation split. Each trial gets the same time (or the same steps,
if the settings say so), and is stopped early if it is worse than three quarters of the finished
trials were at the same share of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Unpack

from textvae.errors import ConfigError
from textvae.messages import print_note
from textvae.model.posteriors import POSTERIORS
from textvae.runs.run import Run
from textvae.runtime.device import choose_device
from textvae.runtime.extras import check_installed
from textvae.runtime.files import new_folder, remove
from textvae.runtime.launch import has_several_processes
from textvae.runtime.paths import require_path
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.runtime.signals import StopSignals
from textvae.schema import require_list, validate_settings
from textvae.settings.auto import default_kl_target
from textvae.settings.overrides import merge_settings
from textvae.settings.presets import read_preset
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings, SettingsSections
from textvae.tuning.folder import (
    CACHE_FOLDER,
    check_same_study,
    describe_corpus,
    lock_study_folder,
    read_study_file,
    with_cache,
    write_study_file,
)
from textvae.tuning.results import TuningResult
from textvae.tuning.settings import DEFAULT_MINUTES, TuneSettings, bound_training
from textvae.tuning.space import Parameter, Value, build_default_space, find_start, read_value
from textvae.tuning.words import change_space, list_fixed_by_overrides

# A trial gets this share of the minutes of the search, unless the settings bound it.
_TRIAL_SHARE = 0.1


def tune(
    corpus: str | Path | Sequence[str] | None = None,
    output: str | Path = "runs/tuned",
    *,
    config: str | Path | None = None,
    overrides: Iterable[str] = (),
    preset: str | None = None,
    search: Iterable[str] = (),
    fix: Iterable[str] = (),
    minutes: float | None = None,
    trials: int | None = None,
    goal: Literal["bound", "front"] = "bound",
    kl_floor: float | None = None,
    seed: int = 1,
    device: str | None = None,
    **sections: Unpack[SettingsSections],
) -> TuningResult:
    """Search for settings that are better than the given ones on a corpus.

    The same call continues an interrupted search, also with more minutes or trials.

    Args:
        corpus: a path or name, as on the command line, or a list of sentences.
        output: the folder of the search.
        config: a YAML file of settings to start from; without one, the default recipe.
        overrides: further settings, as `section.key=value`; they are not searched.
        preset: the name of settings to start from; the others win over it.
        search: settings to search in addition, or in other ranges, as `section.key=low..high` or
            `section.key=a,b,c`.
        fix: keys, or their beginnings such as `model`, that are not searched; `all` for
            everything that `search` does not name.
        minutes: time for all trials together, on the clock of `training.clock`; by default 30,
            or no limit if `trials` is set. Unless the settings bound a run, each trial gets a
            tenth of it.
        trials: number of trials; by default, as many as fit into the minutes.
        goal: `bound`, the best likelihood at the KL of the first trial; or `front`, the best
            trade-offs of likelihood and reconstruction.
        kl_floor: KL in nats per sentence below which a model is penalized; by default 95 % of
            the first trial's, or half of the KL target with the goal `front`.
        seed: of what is sampled; the trainings have `training.seed`.
        device: cpu or cuda; by default a GPU if there is one.
        sections: further settings by section; they are searched.

    Raises:
        TextVAEError: the request is refused before anything is trained, or the first trial failed.
        KeyboardInterrupt: Ctrl-C was pressed; the results so far are written first.
    """
    options = {
        "minutes": minutes,
        "trials": trials,
        "goal": goal,
        "kl_floor": kl_floor,
        "seed": seed,
    }
    asked = validate_settings(TuneSettings, options, "tune")
    _check_environment(device)
    folder = require_path(output, "output")
    words = {
        "search": require_list(search, "search"),
        "fix": require_list(fix, "fix"),
        "overrides": require_list(overrides, "overrides"),
    }
    settings = _read_start(corpus, config, words["overrides"], preset, dict(sections))
    if settings.training.push_to_hub:
        raise ConfigError(
            "training.push_to_hub = true: a search would push every trial. Leave it out, and push "
            "the best one when the search has ended: textvae push RUN OWNER/NAME."
        )
    source = corpus if isinstance(corpus, list | tuple) else settings.data.corpus or corpus
    if source is None:
        raise ConfigError("there is no corpus: name one, or set data.corpus.")
    request = {
        "corpus": describe_corpus(source),
        "settings": settings.model_dump(mode="json"),
        "search": words,
        "goal": asked.goal,
        "kl_floor": asked.kl_floor,
        "seed": asked.seed,
    }
    rows = None if isinstance(source, str | Path) else list(source)
    with StopSignals().handle(), lock_study_folder(folder):
        try:
            record = read_study_file(folder)
            if record is None:
                record = _begin_study(folder, request, settings, rows, asked, device)
            else:
                check_same_study(folder, record, request)
            return _search(folder, record, asked, rows, device)
        finally:
            remove(folder / CACHE_FOLDER)


def _search(
    folder: Path,
    record: Mapping[str, Any],
    asked: TuneSettings,
    rows: list[str] | None,
    device: str | None,
) -> TuningResult:
    """Run the trials, draw the picture, and finish the run of the best trial."""
    # Imported late: the search needs Optuna, which is an extra, and training takes long to import.
    from textvae.training.finish import finish
    from textvae.tuning.outputs import draw_picture
    from textvae.tuning.search import Search

    trials = Search(folder, record, asked, rows, device)
    try:
        result = trials.run()
    finally:
        if trials.result is not None:  # there is something to see after Ctrl-C, too
            draw_picture(trials.result)
    if not Run(result.run).is_finished():
        finish(result.run, device)
    return result


def _check_environment(device: str | None) -> None:
    """Refuse an environment in which no search can run, and say what will be missing.

    Raises:
        ConfigError: Optuna is not installed, there is no such device, or there are several
            processes.
    """
    if has_several_processes():
        raise ConfigError(
            "tune trains one run after another: run it without torchrun or accelerate launch."
        )
    check_installed("tune", "searches over settings", "optuna")
    choose_device(device)  # raises an error if the device cannot be used
    if find_spec("matplotlib") is None:
        print_note(
            "the picture of the trials will be missing, because matplotlib is not installed: "
            "pip install 'textvae[report]'"
        )


def _read_start(
    corpus: object,
    config: str | Path | None,
    overrides: Sequence[str],
    preset: str | None,
    sections: Mapping[str, Any],
) -> Settings:
    """Return the settings that the search starts from.

    Raises:
        ConfigError: they are wrong, or a model with them has no KL that could be held.
    """
    named = {"data": {"corpus": str(corpus)}} if isinstance(corpus, str | Path) else {}
    base = {} if preset is None else read_preset(preset)
    settings = read_settings(config, overrides, base, **merge_settings(sections, named))
    if corpus is not None and not named:
        settings = settings.without_corpus()
    if settings.objective.kind == "language_model":
        raise ConfigError(
            "objective = language_model has no latent, and the score of a search needs its KL: "
            "leave it out."
        )
    distribution = POSTERIORS[settings.model.posterior.kind].distribution
    if not distribution.has_density or distribution.has_fixed_kl:
        raise ConfigError(
            f"model.posterior = {settings.model.posterior.kind!r} has no KL that training can "
            "change, and the score of a search needs one: choose another posterior."
        )
    return settings


def _begin_study(
    folder: Path,
    request: dict[str, Any],
    settings: Settings,
    rows: list[str] | None,
    asked: TuneSettings,
    device: str | None,
) -> dict[str, Any]:
    """Prepare the corpus, decide what is searched, and write both down; return the record.

    Raises:
        TextVAEError: the corpus, a setting or the search space is refused. Nothing is written.
    """
    words = request["search"]
    # Wrong keys are refused before the corpus is read, which may take long.
    draft = build_default_space(settings, 1.0)
    change_space(draft, settings, words["search"], words["fix"])
    trial_minutes = _choose_trial_minutes(settings, asked)
    kl_target = _prepare(folder, bound_training(settings, trial_minutes), rows, device)
    space = _choose_space(settings, kl_target, words)
    record = {
        **request,
        "trial_minutes": trial_minutes,
        "kl_target": kl_target,
        "space": [parameter.to_json() for parameter in space.values()],
        "start": {
            key: _describe_start(settings, parameter, kl_target) for key, parameter in space.items()
        },
    }
    write_study_file(folder, record)
    return record


def _describe_start(settings: Settings, parameter: Parameter, kl_target: float) -> Value:
    """Return the value that a setting starts from, also if the search does not include it."""
    start = find_start(settings, parameter.key, kl_target, parameter.choices)
    return str(read_value(settings, parameter.key)) if start is None else start


def _choose_space(
    settings: Settings, kl_target: float, words: dict[str, list[str]]
) -> dict[str, Parameter]:
    """Return the search space: the default one with the user's changes."""
    space = build_default_space(settings, kl_target)
    named = [word.partition("=")[0] for word in words["search"]]
    fixed = [key for key in list_fixed_by_overrides(words["overrides"], space) if key not in named]
    return change_space(space, settings, words["search"], [*words["fix"], *fixed])


def _choose_trial_minutes(settings: Settings, asked: TuneSettings) -> float | None:
    """Return the minutes of a trial; None if the settings bound a run already."""
    training = settings.training
    if (training.steps, training.epochs, training.max_minutes) != (None, None, None):
        return None
    return _TRIAL_SHARE * (asked.minutes or DEFAULT_MINUTES)


def _prepare(folder: Path, settings: Settings, rows: list[str] | None, device: str | None) -> float:
    """Prepare a run as every trial does, so that what is wrong is refused now.

    It also fills the cache, from which the trials take the corpus.

    Returns:
        The KL target in nats per sentence: that of the settings, or else of the default recipe.
    """
    # Imported late: training takes long to import.
    from textvae.data.object_rows import read_object_rows
    from textvae.training.preparation import prepare_run

    cached = with_cache(settings, folder)
    sources = None if rows is None else read_object_rows(rows, settings.data)
    with new_folder(folder.resolve() / "prepared") as staging:
        run = Run(staging)
        prepare_run(run, cached, sources, None, SINGLE_PROCESS, choose_device(device))
        target = run.read_kl_target()
        if target is None:
            train = run.read_counts()["tokenized"]["train"]
            length = train["tokens"] / train["sentences"]
            target = default_kl_target(length, settings.model.latent_dim)
    return target
