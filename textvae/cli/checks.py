"""Refuse wrong arguments before anything slow is imported: options, packages, files, runs.

A parser records what can be checked in its defaults: `add_settings` the settings classes
of its options, `require_extra` the optional packages that the verb needs, and `add_run`
that RUN has to be a finished model. The library checks all of this again where it uses
it; here, the answer comes before torch is imported, which takes seconds.
"""

from argparse import Namespace
from pathlib import Path

from textvae.cli.arguments import collect_table_options
from textvae.cli.loading import find_run_folder
from textvae.data.sources import WILD, refuse_missing_path
from textvae.data.tables import TableSettings, override_table_settings
from textvae.errors import CheckpointError, ConfigError
from textvae.evaluation.settings import MeasureSettings
from textvae.inference.model_folder import check_model_folder
from textvae.inference.settings import DecodingSettings
from textvae.runtime.extras import check_installed
from textvae.runtime.paths import require_path
from textvae.schema import StrictSettings, validate_settings
from textvae.terminal import quote_value

_PATH_OPTIONS = ("run", "init", "config", "file", "reference", "output")
_DEVICES = ("cpu", "cuda", "mps")

# Before the name of a setting, messages have the name of the verb, except for these classes.
_PATHS: dict[type[StrictSettings], str] = {DecodingSettings: "decoding", MeasureSettings: ""}


def check_arguments(options: Namespace) -> None:
    """Refuse arguments that cannot be used, as far as that can be known without torch.

    Raises:
        ConfigError: an option does not fit, or an optional package is missing.
        DataError: a file to read is missing.
        CheckpointError: RUN is not the folder of a finished model.
    """
    values = vars(options)
    for name in _PATH_OPTIONS:
        # The shell replaces `~` at the beginning of a word only, and not in --output=~/run.
        if isinstance(values.get(name), str) and values[name].startswith("~"):
            values[name] = str(require_path(values[name], name))
    for settings, names in values.get("settings_options", ()):
        if settings is TableSettings:
            override_table_settings(TableSettings(), collect_table_options(options))
        else:
            written = {name: values[name] for name in names if name in values}
            validate_settings(settings, written, _PATHS.get(settings, options.verb))
    _check_device(values.get("device"))
    for extra, what, packages, applies in values.get("requirements", ()):
        if applies(options):
            check_installed(extra, what, *packages)
    if values.get("needs_model") and options.run is not None:
        check_model_folder(find_run_folder(options))
    for name in ("file", "reference"):
        check_file(values.get(name))


def _check_device(name: str | None) -> None:
    """Refuse the name of a device that torch does not know; whether it exists is seen later.

    Raises:
        ConfigError: the name is unknown.
    """
    if name is not None and name.partition(":")[0] not in _DEVICES:
        raise ConfigError(f"device = {quote_value(name)} is unknown; choose cpu, cuda or mps.")


def check_file(name: str | None) -> None:
    """Refuse a file of sentences that is missing; patterns and URLs are left to the verb.

    Raises:
        DataError: there is no such file or folder.
    """
    if name is not None and "://" not in name and not set(name) & set(WILD):
        refuse_missing_path(name)


def check_run(name: str) -> None:
    """Refuse a run, finished or not, that is neither a folder nor on the hub; download it if it is.

    Raises:
        CheckpointError: it is neither.
    """
    if Path(name).is_dir():
        return
    from textvae.runs.hub import locate_run  # with the library of the hub

    folder = locate_run(name)
    if not folder.is_dir():
        check_model_folder(folder)


def check_unfinished_run(name: str) -> None:
    """Refuse a run to be finished whose folder is missing.

    Raises:
        CheckpointError: there is no such folder.
    """
    if not Path(name).is_dir():
        raise CheckpointError(
            f"{name}: there is no such folder; expected a run that `textvae train` began."
        )
