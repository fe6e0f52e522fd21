"""What a caller adds to a training: callbacks, and a class of the trainer."""

from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature

from transformers import TrainerCallback

from textvae.errors import ConfigError
from textvae.terminal import quote_value
from textvae.training.trainer import VAETrainer

Callback = TrainerCallback | type[TrainerCallback]


@dataclass(frozen=True)
class Hooks:
    """What a caller adds to a training.

    Attributes:
        callbacks: they are called after those of textvae, in this order.
        trainer: the class of the trainer; None for `VAETrainer` itself.
        progress: whether there is a progress bar.
    """

    callbacks: tuple[TrainerCallback, ...] = ()
    trainer: type[VAETrainer] | None = None
    progress: bool = True


NO_HOOKS = Hooks()


def check_hooks(callbacks: object, trainer: object, progress: object) -> Hooks:
    """Return the hooks that a caller passed, with an object in place of each class of callbacks.

    Raises:
        ConfigError: something is not what transformers' Trainer can call.
    """
    if trainer is None:
        trainer_class = None
    elif isinstance(trainer, type) and issubclass(trainer, VAETrainer):
        trainer_class = trainer
    else:
        raise ConfigError(
            f"trainer = {quote_value(trainer)}: expected a class, a subclass of textvae.VAETrainer."
        )
    if not isinstance(progress, bool):
        raise ConfigError(f"progress = {quote_value(progress)}: expected True or False.")
    return Hooks(tuple(_build_callbacks(callbacks)), trainer_class, progress)


def _build_callbacks(callbacks: object) -> Iterable[TrainerCallback]:
    """Yield the callbacks as objects.

    Raises:
        ConfigError: they are no list, or one of them is something else.
    """
    if isinstance(callbacks, str | type | TrainerCallback) or not isinstance(callbacks, Iterable):
        raise ConfigError(
            f"callbacks = {quote_value(callbacks)}: expected a list of callbacks of transformers, "
            "such as [EarlyStoppingCallback(3)]."
        )
    for place, callback in enumerate(callbacks):
        name = f"callbacks[{place}] = {quote_value(callback)}"
        if isinstance(callback, type) and issubclass(callback, TrainerCallback):
            yield _build(callback, name)
        elif isinstance(callback, TrainerCallback):
            yield callback
        else:
            raise ConfigError(
                f"{name}: expected an object of a subclass of transformers.TrainerCallback, or the "
                "class itself."
            )


def _build(callback: type[TrainerCallback], name: str) -> TrainerCallback:
    """Return an object of a class of callbacks.

    Raises:
        ConfigError: it needs arguments, or raises an error.
    """
    try:
        signature(callback).bind()
    except TypeError as error:
        raise ConfigError(
            f"{name}: this class needs arguments ({error}); pass an object of it."
        ) from None
    try:
        return callback()
    except Exception as error:
        raise ConfigError(
            f"{name}: making an object of it raised {type(error).__name__}: {error}; pass an object."
        ) from error
