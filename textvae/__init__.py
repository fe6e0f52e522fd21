"""textvae: variational autoencoders of text.

The public names are imported when they are first used, so that `import textvae`
does not load torch. They are listed twice: as imports for type checkers, and in
`PUBLIC` with the modules that `__getattr__` imports them from.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textvae.messages import prepare_logger
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
    from textvae.evaluation.progress import Progress as Progress
    from textvae.evaluation.progress import SampleTable as SampleTable
    from textvae.evaluation.progress import read_progress as read_progress
    from textvae.evaluation.settings import MeasureSettings as MeasureSettings
    from textvae.explorer.launch import explore as explore
    from textvae.model.configuration import TextVAEConfig as TextVAEConfig
    from textvae.model.modeling import TextVAEModel as TextVAEModel
    from textvae.model.posteriors import Distribution as Distribution
    from textvae.settings.reading import read_settings as read_settings
    from textvae.settings.run import Settings as Settings
    from textvae.training.finish import finish as finish
    from textvae.training.train import train as train
    from textvae.training.trainer import VAETrainer as VAETrainer
    from textvae.tuning.results import TunedTrial as TunedTrial
    from textvae.tuning.results import TuningResult as TuningResult
    from textvae.tuning.tune import tune as tune
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
    "Progress": "textvae.evaluation.progress",
    "SampleTable": "textvae.evaluation.progress",
    "Settings": "textvae.settings.run",
    "ShapeError": "textvae.errors",
    "TextVAE": "textvae.vae",
    "TextVAEConfig": "textvae.model.configuration",
    "TextVAEError": "textvae.errors",
    "TextVAEModel": "textvae.model.modeling",
    "TrainingError": "textvae.errors",
    "TunedTrial": "textvae.tuning.results",
    "TuningResult": "textvae.tuning.results",
    "VAETrainer": "textvae.training.trainer",
    "compare": "textvae.comparison.compare",
    "explore": "textvae.explorer.launch",
    "finish": "textvae.training.finish",
    "read_progress": "textvae.evaluation.progress",
    "read_settings": "textvae.settings.reading",
    "train": "textvae.training.train",
    "tune": "textvae.tuning.tune",
}

__all__ = list(PUBLIC)

prepare_logger()


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


def _register_with_transformers() -> None:
    """Let transformers' auto classes know the model, if transformers is imported already.

    Otherwise `import textvae` would have to import it, which takes seconds; then the import of
    `textvae.TextVAEModel` registers it.
    """
    if "transformers" in sys.modules:
        import_module(PUBLIC["TextVAEModel"])


_register_with_transformers()
