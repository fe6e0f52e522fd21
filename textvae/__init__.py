"""textvae: variational autoencoders of text.

The public names are imported when they are first used, so that `import textvae`
does not load torch. They are listed twice: as imports for type checkers, and in
`PUBLIC` with the modules that `__getattr__` imports them from.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textvae.version import __version__ as __version__

if TYPE_CHECKING:
    from textvae.comparison.compare import compare as compare
    from textvae.errors import CheckpointError as CheckpointError
    from textvae.errors import ConfigError as ConfigError
    from textvae.errors import DataError as DataError
    from textvae.errors import OutputError as OutputError
    from textvae.errors import ShapeError as ShapeError
    from textvae.errors import TextVAEError as TextVAEError
    from textvae.errors import TrainingError as TrainingError
    from textvae.evaluation.settings import MeasureSettings as MeasureSettings
    from textvae.model.configuration import TextVAEConfig as TextVAEConfig
    from textvae.model.modeling import TextVAEModel as TextVAEModel
    from textvae.model.posteriors import Distribution as Distribution
    from textvae.settings.reading import read_settings as read_settings
    from textvae.settings.run import Settings as Settings
    from textvae.training.finish import finish as finish
    from textvae.training.train import train as train
    from textvae.uses.attribute import Attribute as Attribute
    from textvae.uses.numeric_attribute import NumericAttribute as NumericAttribute
    from textvae.vae import TextVAE as TextVAE

PUBLIC = {
    "Attribute": "textvae.uses.attribute",
    "CheckpointError": "textvae.errors",
    "ConfigError": "textvae.errors",
    "DataError": "textvae.errors",
    "Distribution": "textvae.model.posteriors",
    "MeasureSettings": "textvae.evaluation.settings",
    "NumericAttribute": "textvae.uses.numeric_attribute",
    "OutputError": "textvae.errors",
    "Settings": "textvae.settings.run",
    "ShapeError": "textvae.errors",
    "TextVAE": "textvae.vae",
    "TextVAEConfig": "textvae.model.configuration",
    "TextVAEError": "textvae.errors",
    "TextVAEModel": "textvae.model.modeling",
    "TrainingError": "textvae.errors",
    "compare": "textvae.comparison.compare",
    "finish": "textvae.training.finish",
    "read_settings": "textvae.settings.reading",
    "train": "textvae.training.train",
}

__all__ = list(PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used.

    Raises:
        AttributeError: the package has no such public name.
    """
    if name not in PUBLIC:
        names = ", ".join(PUBLIC)
        raise AttributeError(f"module 'textvae' has no attribute {name!r}; it has {names}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    """Return the public names, which `dir` would otherwise list only once they are imported."""
    return sorted([*PUBLIC, "__version__"])
