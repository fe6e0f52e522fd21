"""textvae: variational autoencoders of text.

The public names are listed here once and imported when they are first used, so
that `import textvae` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textvae.version import __version__ as __version__

if TYPE_CHECKING:
    from textvae.comparison.compare import compare as compare
    from textvae.errors import TextVAEError as TextVAEError
    from textvae.model.configuration import TextVAEConfig as TextVAEConfig
    from textvae.model.modeling import TextVAEModel as TextVAEModel
    from textvae.settings.reading import read_settings as read_settings
    from textvae.settings.run import Settings as Settings
    from textvae.training.train import train as train
    from textvae.vae import TextVAE as TextVAE

PUBLIC = {
    "TextVAE": "textvae.vae",
    "TextVAEModel": "textvae.model.modeling",
    "TextVAEConfig": "textvae.model.configuration",
    "Settings": "textvae.settings.run",
    "read_settings": "textvae.settings.reading",
    "train": "textvae.training.train",
    "compare": "textvae.comparison.compare",
    "TextVAEError": "textvae.errors",
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
