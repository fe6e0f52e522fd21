"""What every setting is: its type, default, unit and meaning, from the settings classes.

`textvae settings` prints it, and the site's page of all settings is generated from it. The
sections `data`, `training` and `card` are read without torch; the others have the
settings of parts, and the modules of parts import it.
"""

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from textvae.errors import ConfigError, did_you_mean


class Section(NamedTuple):
    """A section of the settings: where its class is, and the first line of its docstring.

    The line is repeated here so that the sections can be listed without importing the classes.
    """

    place: str
    summary: str


# In the order of `Settings`.
SECTIONS = {
    "data": Section(
        "textvae.data.settings:DataSettings",
        "Where the sentences are, and how they are cleaned, split and tokenized.",
    ),
    "tokenizer": Section(
        "textvae.data.tokenization:TokenizerSettings",
        "The kind of tokenizer, and the size of its vocabulary.",
    ),
    "model": Section(
        "textvae.settings.run:ModelSettings",
        "The parts of the model, and the size of its latent.",
    ),
    "objective": Section(
        "textvae.objective.elbo:ObjectiveSettings",
        "What training maximizes, and the techniques that shape it.",
    ),
    "training": Section(
        "textvae.settings.training:TrainingSettings",
        "How long to train, how fast, and how often to evaluate.",
    ),
    "card": Section(
        "textvae.settings.card:CardSettings",
        "What the model card says beyond what training knows.",
    ),
}

# Those whose classes import no torch.
LIGHT_SECTIONS = ("data", "training", "card")

# Interchangeable parts: each kind has settings of its own.
_PART_TABLES = {
    "model.encoder": "textvae.model.encoders:ENCODERS",
    "model.posterior": "textvae.model.posteriors:POSTERIORS",
    "model.prior": "textvae.model.priors:PRIORS",
    "model.decoder": "textvae.model.decoders:DECODERS",
    "objective.techniques": "textvae.objective.techniques:TECHNIQUES",
}
_TECHNIQUES = "objective.techniques"

# The kind of a part whose settings name none: the first of its table.
DEFAULT_KINDS = {
    "encoder": "lstm",
    "posterior": "gaussian",
    "prior": "standard_normal",
    "decoder": "lstm",
}

# Further names for a setting; those of transformers' Trainer are in `trainer_names`.
_OTHER_NAMES = {
    "batch_size": "batch_sentences",
    "lr": "learning_rate",
    "num_epochs": "epochs",
    "num_workers": "workers",
}

_TYPE_NAMES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Callable": "function",
}


@dataclass(frozen=True)
class SettingRecord:
    """One setting.

    Attributes:
        key: the dotted key, such as training.epochs.
        type: which values it takes, as a reader of YAML thinks of them.
        default: as it is written in YAML; None if the setting is required.
        description: what it means, with its unit.
    """

    key: str
    type: str
    default: str | None
    description: str


@dataclass(frozen=True)
class SectionRecord:
    """The settings of a section, or of one kind of a part.

    Attributes:
        name: the path of the section, such as `model` or `model.encoder`.
        kind: the kind of the part whose settings these are; None for a section of its own.
        summary: what the settings are about.
    """

    name: str
    kind: str | None
    summary: str
    settings: tuple[SettingRecord, ...]

    @property
    def title(self) -> str:
        """The section as a heading names it."""
        if self.kind is None:
            return self.name
        if self.name == _TECHNIQUES:
            return f"{self.name}.{self.kind}"
        return f"{self.name}, kind {self.kind}"


def describe_section(name: str) -> list[SectionRecord]:
    """Return the settings of a section and of the parts in it, or a single setting.

    Args:
        name: a section (model), a part in it (model.encoder), one kind of a part
            (model.encoder.lstm, target_kl), or the dotted key of a setting (training.steps).

    Raises:
        ConfigError: there is no such section or setting; the message has the most similar one.
    """
    top, _, rest = name.partition(".")
    records: list[SectionRecord] = []
    if top in SECTIONS:
        records += _describe(top)
        if not rest:
            return records
        chosen = [record for record in records if _is_within(record, name)]
        chosen = chosen or [*_select_setting(records, name)]
        if chosen:
            return chosen
    else:
        # A technique or another kind of a part may be named alone.
        for section in SECTIONS:
            chosen = [record for record in _describe(section) if record.kind == name]
            if chosen:
                return chosen
    known = [*SECTIONS, *_PART_TABLES]
    keys = [setting.key for record in records for setting in record.settings]
    raise ConfigError(
        f"{name!r} is neither a section of the settings nor a setting: "
        f"{did_you_mean(name, [*known, *keys])}Choose from {', '.join(known)}."
    )


def find_keys(name: str) -> list[str]:
    """Return the dotted keys of the settings with a name.

    Only the sections that are read without torch are searched.
    """
    name = _OTHER_NAMES.get(name, name)
    return [f"{top}.{name}" for top in LIGHT_SECTIONS if name in load_section(top).model_fields]


def describe_fields(model: type[BaseModel], path: str = "") -> tuple[SettingRecord, ...]:
    """Return the fields of a settings class that are values; sections and parts are left out."""
    return tuple(
        SettingRecord(
            f"{path}.{name}" if path else name,
            describe_type(field.annotation),
            _describe_default(field),
            field.description or "",
        )
        for name, field in model.model_fields.items()
        if not any(issubclass(kind, BaseModel) for kind in _list_classes(field.annotation))
    )


def list_part_fields(path: str, name: str) -> list[FieldInfo]:
    """Return the fields of a name in the settings of all kinds of a part; none for other paths.

    There are none for `kind`, either, which is a field of every part.
    """
    if path not in _PART_TABLES or path == _TECHNIQUES or name == "kind":
        return []
    kinds = _load(_PART_TABLES[path]).values()
    return [
        part.Settings.model_fields[name] for part in kinds if name in part.Settings.model_fields
    ]


def _is_within(record: SectionRecord, name: str) -> bool:
    """Return whether a record is the one with a name, or one kind of it."""
    return record.name == name or f"{record.name}.{record.kind}" == name


def _select_setting(records: Iterable[SectionRecord], key: str) -> Iterator[SectionRecord]:
    """Yield the records that have a setting, with that setting alone."""
    for record in records:
        settings = tuple(setting for setting in record.settings if setting.key == key)
        if settings:
            yield replace(record, settings=settings)


def _describe(section: str) -> Iterator[SectionRecord]:
    """Yield the records of a section: its own settings, and those of each kind of its parts."""
    model = load_section(section)
    yield from _describe_class(model, section)


def _describe_class(model: type[BaseModel], path: str) -> Iterator[SectionRecord]:
    """Yield the record of a settings class, and those of the sections and parts in it."""
    settings: list[SettingRecord] = []
    inner: list[SectionRecord] = []
    for name, field in model.model_fields.items():
        below = f"{path}.{name}"
        if below in _PART_TABLES:
            settings.append(_describe_choice(below))
            inner += _describe_kinds(below)
            continue
        models = [kind for kind in _list_classes(field.annotation) if issubclass(kind, BaseModel)]
        for kind in models:
            inner += _describe_class(kind, below)
        if not models:
            settings += [record for record in describe_fields(model, path) if record.key == below]
    yield SectionRecord(path, None, _summarize(model), tuple(settings))
    yield from inner


def _describe_choice(path: str) -> SettingRecord:
    """Return the record of a part as a setting: its kinds, and the default one."""
    kinds = _load(_PART_TABLES[path])
    section, _, name = path.partition(".")
    default = getattr(load_section(section)(), name)
    if path == _TECHNIQUES:
        choices = "names with settings"
        chosen = ", ".join(default)
    else:
        choices = ", ".join(kinds)
        chosen = default.kind
    return SettingRecord(path, choices, chosen, "each has settings of its own")


def _describe_kinds(path: str) -> Iterator[SectionRecord]:
    """Yield the settings of every kind of a part."""
    for kind, part in _load(_PART_TABLES[path]).items():
        own = f"{path}.{kind}" if path == _TECHNIQUES else path
        fields = describe_fields(part.Settings, own)
        settings = tuple(record for record in fields if record.key != f"{own}.kind")
        yield SectionRecord(path, kind, _summarize(part.Settings), settings)


def load_section(name: str) -> type[BaseModel]:
    """Return the settings class of a section."""
    model: type[BaseModel] = _load(SECTIONS[name].place)
    return model


def _load(place: str) -> Any:
    """Return what is in a module under a name, written `module:name`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _summarize(model: type[BaseModel]) -> str:
    """Return the first line of the description of a settings class."""
    return next(iter((model.__doc__ or "").strip().splitlines()), "")


def _list_classes(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation is made of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _list_classes(argument)


def describe_type(annotation: Any) -> str:
    """Return a type as a reader of YAML thinks of it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "none"
    if origin is Annotated:  # bounds are not shown
        return describe_type(arguments[0])
    if origin is Literal:
        return ", ".join(str(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(choice) for choice in arguments)
    if origin in (dict, Mapping):
        return "mapping"
    if origin in (list, tuple):
        inner = dict.fromkeys(describe_type(item) for item in arguments if item is not ...)
        return f"list of {', '.join(inner)}"
    name = "Callable" if origin is Callable else getattr(annotation, "__name__", str(annotation))
    return _TYPE_NAMES.get(name, name)


def _describe_default(field: FieldInfo) -> str | None:
    """Return a default as it is written in YAML; None if the setting is required."""
    if field.default_factory is not None:
        return "a new one"
    if field.default is PydanticUndefined:
        return None
    if field.default is None:
        return "none"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    # For a plain value, YAML adds a line that ends the document.
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()
