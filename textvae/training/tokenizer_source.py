"""Find the saved tokenizer of a new run: a local folder or file, or one of the hub."""

from pathlib import Path

from textvae.data.tokenization import TokenizerSettings, load_tokenizer
from textvae.errors import ConfigError, did_you_mean
from textvae.model.bases.hub import find_tokenizer_on_hub
from textvae.runtime.hub import Hub, is_hub_name

_SUFFIXES = (".json", ".txt", ".model", ".spm")


def locate_saved_tokenizer(
    settings: TokenizerSettings, hub: Hub | None = None
) -> TokenizerSettings:
    """Return the settings with the local path of a saved tokenizer, after reading it once.

    A tokenizer that cannot be read is refused here, before a large corpus is read.

    Args:
        settings: those of a tokenizer of any kind; only the kind `folder` has a path.
        hub: default: the hub and the cache of huggingface_hub.

    Raises:
        ConfigError: the tokenizer is missing, or cannot be used.
    """
    if settings.kind != "folder":
        return settings
    path = settings.path
    if path and not Path(path).expanduser().exists():
        path = str(_find_on_hub(path, hub))
    load_tokenizer(path)
    return settings.model_copy(update={"path": path})


def _find_on_hub(name: str, hub: Hub | None) -> Path:
    """Return the folder of a tokenizer of the hub.

    Raises:
        ConfigError: the name is that of a missing file, or the hub does not have it.
    """
    label = f"tokenizer.path = {name!r}"
    is_path = name.startswith((".", "/", "~")) or name.endswith(_SUFFIXES)
    if is_path or not is_hub_name(name):
        parent = Path(name).expanduser().parent
        neighbors = [other.name for other in parent.iterdir()] if parent.is_dir() else []
        hint = did_you_mean(Path(name).name, neighbors).strip()
        suffix = f"; {hint}" if hint else "."
        raise ConfigError(f"{label}: there is no such file or folder{suffix}")
    return find_tokenizer_on_hub(name, label, hub)
