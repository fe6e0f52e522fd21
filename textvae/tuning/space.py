"""The search space: which settings are searched, in which ranges.

`TUNABLES` is the one table of it. Most ranges are multiples of the setting that the search
starts from, so that they suit presets and own configs as well as the default recipe. Names,
types and defaults come from the settings classes, which also check both ends of every range.

Settings that change what is measured are never searched: other sentences or other tokens
(`data`, `tokenizer`), other seeds, and the length of the training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

from pydantic import BaseModel

from textvae.errors import ConfigError, did_you_mean
from textvae.objective.techniques import TECHNIQUES
from textvae.runtime.yaml_text import parse_yaml
from textvae.settings.run import Settings

# Settings under these keys change what is measured or how long a trial is trained, or do not change
# the model.
_FORBIDDEN = (
    "data",
    "tokenizer",
    "objective.kind",
    "training.seed",
    "training.steps",
    "training.epochs",
    "training.max_minutes",
    "training.clock",
    "training.evaluations",
    "training.evaluate_steps",
    "training.validation_sentences",
    "training.most_epochs",
    "training.patience",
    "training.keep",
    "training.trackers",
    "training.logging_steps",
    "training.push_to_hub",
    "training.hub_model_id",
    "training.hub_strategy",
    "training.hub_private_repo",
    "training.hub_revision",
    "training.hub_always_push",
    "card",
)

Value = float | int | str  # as Optuna stores it; a choice is text, in YAML


@dataclass(frozen=True)
class Tunable:
    """How a setting is searched unless the user says otherwise.

    Attributes:
        low, high: the ends of the range.
        is_relative: whether they are multiples of the setting that the search starts from.
        is_log: whether the scale is logarithmic.
        step: the distance between two values of a whole number.
        choices: the values, in YAML, if it is no range.
        absent: the value that a missing technique corresponds to.
    """

    low: float = 0.0
    high: float = 0.0
    is_relative: bool = False
    is_log: bool = False
    step: int = 1
    choices: tuple[str, ...] = ()
    absent: Value | None = None


TUNABLES: dict[str, Tunable] = {
    "model.latent_dim": Tunable(0.5, 2, is_relative=True, step=4),
    "model.encoder.hidden": Tunable(0.5, 2, is_relative=True, step=32),
    "model.decoder.hidden": Tunable(0.5, 2, is_relative=True, step=32),
    "model.encoder.dropout": Tunable(0, 0.3),
    "model.decoder.dropout": Tunable(0, 0.4),
    "model.conditioning": Tunable(
        choices=(
            "[initial_state, every_step, output]",
            "[initial_state, every_step]",
            "[every_step, output]",
        )
    ),
    "objective.techniques.target_kl.nats": Tunable(0.75, 1.5, is_relative=True),
    "objective.techniques.word_dropout.rate": Tunable(0, 0.4, absent=0.0),
    "objective.techniques.bag_of_words": Tunable(choices=("off", "{}"), absent="off"),
    "training.learning_rate": Tunable(0.4, 4, is_relative=True, is_log=True),
    "training.batch_tokens": Tunable(0.5, 4, is_relative=True, is_log=True),
    "training.warmup_steps": Tunable(0.1, 2, is_relative=True, is_log=True),
}


@dataclass(frozen=True)
class Parameter:
    """A setting that is searched.

    Attributes:
        key: `section.key`.
        low, high: the ends of the range; unused for choices.
        is_integer: whether the setting is a whole number.
        is_log: whether the scale is logarithmic.
        step: the distance between two whole numbers, on a linear scale.
        choices: the values, in YAML; empty for a range.
        absent: the value for which a technique is left out.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    is_integer: bool = False
    is_log: bool = False
    step: int = 1
    choices: tuple[str, ...] = ()
    absent: Value | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the parameter as JSON has it."""
        return {**asdict(self), "choices": list(self.choices)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the parameter that `to_json` has written."""
        return cls(**{**record, "choices": tuple(record["choices"])})

    def contains(self, value: Value) -> bool:
        """Return whether a value can be sampled."""
        if self.choices:
            return value in self.choices
        if isinstance(value, str) or not self.low <= value <= self.high:
            return False
        return not self.is_integer or self.is_log or (value - self.low) % self.step == 0

    def round(self, value: Value) -> Value:
        """Return a sampled value with as many digits as matter."""
        return float(f"{value:.4g}") if isinstance(value, float) else value

    def describe(self) -> str:
        """Return the values as a user would write them."""
        if self.choices:
            return ", ".join(self.choices)
        scale = " (logarithmic)" if self.is_log else ""
        return f"{self.low:g}..{self.high:g}{scale}"


def build_default_space(settings: Settings, kl_target: float) -> dict[str, Parameter]:
    """Return the parameters of the table that these settings have.

    Args:
        settings: those that the search starts from.
        kl_target: what `auto` stands for in their KL target, in nats per sentence.
    """
    space = {}
    for key, tunable in TUNABLES.items():
        start = find_start(settings, key, kl_target)
        if start is None:
            continue
        parameter = _build_parameter(key, tunable, start, settings)
        if parameter is not None:
            space[key] = parameter
    return space


def _build_parameter(
    key: str, tunable: Tunable, start: Value, settings: Settings
) -> Parameter | None:
    """Return a parameter of the table around a start; None if its range would be empty."""
    if tunable.choices:
        # Choices that do not include the start were made for other parts.
        if start not in tunable.choices:
            return None
        return Parameter(key, choices=tunable.choices, absent=tunable.absent)
    assert not isinstance(start, str)
    factor = start if tunable.is_relative else 1.0
    low = min(start, tunable.low * factor)
    high = max(start, tunable.high * factor)
    parameter = Parameter(key, low, high, is_log=tunable.is_log, absent=tunable.absent)
    if int in find_types(settings, key):
        parameter = _make_integer(parameter, int(start), tunable.step)
    return parameter if parameter.low < parameter.high else None


def _make_integer(parameter: Parameter, start: int, step: int) -> Parameter:
    """Return a parameter of whole numbers among which the start is."""
    low, high = max(1, round(parameter.low)), round(parameter.high)
    if parameter.is_log:
        return replace(parameter, low=low, high=high, is_integer=True)
    step = max(1, min(step, start // 4))
    # Both ends are whole steps away from the start.
    low = start - (start - low) // step * step
    high = start + (high - start) // step * step
    return replace(parameter, low=low, high=high, is_integer=True, step=step)


def find_start(
    settings: Settings, key: str, kl_target: float, choices: Sequence[str] | None = None
) -> Value | None:
    """Return the value of a setting as a parameter has it.

    It is None if these settings do not have the key, or if it has no value. A technique that is
    missing has the value that the table says.

    Args:
        kl_target: what `auto` stands for in the KL target, in nats per sentence.
        choices: the choices of the parameter, in YAML, of which one is returned; by default those
            of the table. It is None if the value is not among them.
    """
    tunable = TUNABLES.get(key, Tunable())
    if choices is None:
        choices = tunable.choices
    value = read_value(settings, key)
    if value is None:
        return tunable.absent
    if value in ("auto", "whole") and key == "objective.techniques.target_kl.nats":
        return round(kl_target, 2)
    if choices:
        return next((choice for choice in choices if _is_same(choice, value)), None)
    return value if isinstance(value, int | float) else None


def read_value(settings: Settings, key: str) -> Any:
    """Return a setting, or None if these settings do not have it."""
    value: Any = settings
    for name in key.split("."):
        fields = value if isinstance(value, Mapping) else dict(value)
        value = fields.get(name)
        if value is None:
            return None
    return value


def _is_same(choice: str, value: object) -> bool:
    """Return whether a choice, in YAML, is a setting's value."""
    parsed = parse_yaml(choice)
    return bool(parsed == (list(value) if isinstance(value, tuple) else value))


def find_types(settings: Settings, key: str) -> set[object]:
    """Return the types that a setting may have, such as {int, NoneType}.

    Raises:
        ConfigError: there is no such setting, or it must not be searched.
    """
    for forbidden in _FORBIDDEN:
        if key == forbidden or key.startswith(f"{forbidden}."):
            raise ConfigError(
                f"{key} cannot be searched: it changes what is measured or how long a trial is "
                f"trained, or does not change the model. Set it for all trials instead: {key}=..."
            )
    *sections, name = key.split(".")
    if sections[:2] == ["objective", "techniques"]:
        return _find_technique_types(key, *sections[2:], name)
    part: BaseModel = settings
    for section in sections:
        fields = type(part).model_fields
        inner = getattr(part, section) if section in fields else None
        if not isinstance(inner, BaseModel):
            raise _unknown_key_error(key, section, fields)
        part = inner
    fields = type(part).model_fields
    if not sections or name not in fields:
        raise _unknown_key_error(key, name, fields)
    return _list_alternatives(fields[name].annotation)


def _find_technique_types(key: str, technique: str, *names: str) -> set[object]:
    """Return the types of a technique as a whole, or of one of its settings.

    Raises:
        ConfigError: there is no such technique, or it has no such setting.
    """
    if technique not in TECHNIQUES:
        raise _unknown_key_error(key, technique, TECHNIQUES)
    if not names:
        return {Mapping}
    fields = TECHNIQUES[technique].Settings.model_fields
    if len(names) > 1 or names[0] not in fields:
        raise _unknown_key_error(key, names[-1], fields)
    return _list_alternatives(fields[names[0]].annotation)


def _list_alternatives(annotation: object) -> set[object]:
    """Return the alternatives of a union, without what they are annotated with."""
    if get_origin(annotation) in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in _list_alternatives(part)}
    metadata = getattr(annotation, "__metadata__", None)
    return {annotation} if metadata is None else _list_alternatives(get_args(annotation)[0])


def _unknown_key_error(key: str, name: str, known: Mapping[str, Any]) -> ConfigError:
    """Return the error of a key that is not a setting."""
    hint = did_you_mean(name, known)
    return ConfigError(f"{key} is not a setting: {hint}Known keys: {', '.join(known)}.")
