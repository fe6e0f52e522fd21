"""textvae: variational autoencoders of text.

The public names are listed here once and imported when they are first used, so
that `import textvae` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textvae.version import __version__ as __version__

PUBLIC = {
    "TextVAE": "textvae.vae",
    "TextVAEModel": "textvae.modeling",
    "TextVAEConfig": "textvae.configuration",
    "Settings": "textvae.settings",
    "read_settings": "textvae.settings",
    "train": "textvae.training.launcher",
    "compare": "textvae.comparison.compare",
    "TextVAEError": "textvae.errors",
}

__all__ = list(PUBLIC)

if TYPE_CHECKING:
    from textvae.comparison.compare import compare as compare
    from textvae.configuration import TextVAEConfig as TextVAEConfig
    from textvae.errors import TextVAEError as TextVAEError
    from textvae.modeling import TextVAEModel as TextVAEModel
    from textvae.settings import Settings as Settings
    from textvae.settings import read_settings as read_settings
    from textvae.training.launcher import train as train
    from textvae.vae import TextVAE as TextVAE


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'textvae' has no attribute {name!r}; it has {', '.join(PUBLIC)}")
    return getattr(import_module(PUBLIC[name]), name)
