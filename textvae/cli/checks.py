"""Refuse wrong arguments before anything slow is imported: options, packages, files, runs.

A parser records what can be checked in its defaults: `add_settings` the settings classes
of its options, `require_extra` the optional packages that the verb needs, and `add_run`
that RUN has to be a finished model. The library checks all of this again where it uses
it; here, the answer comes before torch is imported, which takes seconds.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textvae.cli.arguments import collect_table_options
from textvae.cli.loading import find_run_folder
from textvae.data.sources import WILD, refuse_missing_path
from textvae.data.tables import TableSettings, override_table_settings
from textvae.errors import CheckpointError, ConfigError
from textvae.evaluation.settings import MeasureSettings
from textvae.inference.model_folder import check_model_folder
from textvae.inference.settings import DecodingSettings
from textvae.runtime.extras import check_installed
from textvae.runtime.yaml_text import read_yaml_file
from textvae.schema import StrictSettings, validate_settings
from textvae.settings.examples import find_config
from textvae.settings.overrides import check_light_overrides, merge_settings
from textvae.settings.presets import read_preset
from textvae.terminal import quote_value

_DEVICES = ("cpu", "cuda", "mps")
_KINDS_WITH_A_BASE = ("pretrained", "side_tuned")

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


def check_corpus_and_settings(options: Namespace) -> tuple[str | None, list[str]]:
    """Return the corpus and the overrides of a training, or refuse them.

    Overrides are checked as far as that is possible without torch; those of a run that is resumed
    are not, because its settings are in its folder.

    Raises:
        DataError: the corpus is missing.
        ConfigError: there is no such config, or an override cannot be used.
    """
    corpus, settings = options.corpus, list(options.settings)
    if corpus and "=" in corpus and not Path(corpus).exists():
        # Without a corpus, argparse takes the first setting for it.
        corpus, settings = None, [corpus, *settings]
    check_file(corpus)
    preset = {} if options.preset is None else read_preset(options.preset)
    if not getattr(options, "resume", False):
        check_overrides(settings, options.config, preset)
    elif options.config is not None:
        find_config(options.config)
    return corpus, settings


def check_overrides(
    overrides: Sequence[str], config: str | None = None, preset: Mapping[str, Any] | None = None
) -> None:
    """Refuse overrides of a config as far as that is possible without torch.

    Raises:
        ConfigError: there is no such config, or an override cannot be used.
    """
    base = dict(preset or {})
    if config is not None:
        file = find_config(config)
        try:
            content = read_yaml_file(file).content
        except ConfigError:
            return  # whoever reads the settings says what is wrong with the file
        if not isinstance(content, dict):
            return
        base = merge_settings(base, {name: part for name, part in content.items() if part})
    check_light_overrides(overrides, base)
    _check_bases(overrides, base)


def _check_bases(overrides: Sequence[str], base: Mapping[str, Any]) -> None:
    """Refuse pretrained models that cannot be downloaded, because there is no network.

    Args:
        overrides: `section.key=value` each.
        base: the settings that they override, as nested mappings.

    Raises:
        ConfigError: a model is neither a folder nor in the cache, and the hub cannot be asked.
    """
    # A language model needs no encoder, and what its objective is may be anywhere.
    has_no_encoder = "language_model" in f"{overrides} {base.get('objective')}"
    for role in ("decoder",) if has_no_encoder else ("encoder", "decoder"):
        part = _read_part(role, overrides, base)
        name = part.get("name")
        if part.get("kind") not in _KINDS_WITH_A_BASE or not isinstance(name, str):
            continue
        from textvae.model.bases.hub import check_reachable  # with the library of the hub
        from textvae.runtime.hub import is_hub_name

        if is_hub_name(name) and not Path(name).expanduser().exists():
            check_reachable(name, f"model.{role}.name = {name!r}", part.get("revision"))


def _read_part(role: str, overrides: Sequence[str], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the encoder or the decoder as they are written, overrides as text."""
    model = base.get("model")
    part = model.get(role) if isinstance(model, Mapping) else None
    written = dict(part) if isinstance(part, Mapping) else {"kind": part}
    start = f"model.{role}"
    for override in overrides:
        key, _, value = override.partition("=")
        if key == start:
            written = {"kind": value}
        elif key.startswith(f"{start}."):
            written[key.removeprefix(f"{start}.")] = value
    return written


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
