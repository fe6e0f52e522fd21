"""Find a base in the local cache of Hugging Face, or download it from the hub."""

from pathlib import Path

from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

from textvae.errors import ConfigError
from textvae.model.bases.files import (
    CONFIG_FILE,
    TOKENIZER_FILES,
    check_files,
    choose_downloads,
    explain_other_format,
    list_files,
    list_weight_files,
)
from textvae.runtime.hub import Hub, explain_failed_download, explain_unknown_revision, is_revision

# Files that a repository with a tokenizer has; one of them in the cache says that all are there.
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json")


def find_on_hub(name: str, label: str, revision: str | None = None, hub: Hub | None = None) -> Path:
    """Return the folder of a model of the hub; it is downloaded if the cache lacks it.

    A whole copy in the cache is used without asking the hub, which answers slowly or never in a
    machine without network.

    Args:
        name: the name of a repository, as `is_hub_name` accepts it.
        label: what begins a message: the setting and its value.
        revision: a branch, a tag or a commit; None means the main branch.
        hub: default: the hub and the cache of huggingface_hub.

    Raises:
        ConfigError: the model is unknown, closed to the user, not in safetensors, or neither
            cached nor reachable.
    """
    if revision is not None and not is_revision(revision):
        raise ConfigError(f"{label} {explain_unknown_revision(revision)}")
    hub = hub or Hub()
    cached = _find_cached(name, revision, hub)
    is_usable = cached is not None and _has_weights(cached, label)
    if cached is not None and is_usable and _has_small_files(cached):
        return cached
    try:
        return _download(name, label, revision, hub)
    except ConfigError:
        if cached is None:
            raise
        if is_usable:
            return cached
        if explanation := explain_other_format(list_files(cached)):
            raise ConfigError(f"{label} {explanation}") from None
        raise


def check_reachable(
    name: str, label: str, revision: str | None = None, hub: Hub | None = None
) -> None:
    """Refuse a model that is not in the cache if the hub cannot be asked; download nothing.

    The command line asks this before torch is imported.

    Args:
        name, label, revision, hub: as in `find_on_hub`.

    Raises:
        ConfigError: the user has switched the network off, or it is missing.
    """
    hub = hub or Hub()
    if _find_cached(name, revision, hub) is None:
        _check_online(name, label, hub)


def find_tokenizer_on_hub(name: str, label: str, hub: Hub | None = None) -> Path:
    """Return the folder of a tokenizer of the hub; it is downloaded if the cache lacks it.

    Args:
        name: the name of a repository, as `is_hub_name` accepts it.
        label: what begins a message: the setting and its value.
        hub: default: the hub and the cache of huggingface_hub.

    Raises:
        ConfigError: the repository is unknown, closed to the user, or neither cached nor reachable.
    """
    hub = hub or Hub()
    for file in _TOKENIZERS:
        cached = try_to_load_from_cache(name, file, cache_dir=hub.cache)
        if isinstance(cached, str):
            return Path(cached).parent
    _check_online(name, label, hub)
    try:
        folder = snapshot_download(
            name,
            cache_dir=hub.cache,
            endpoint=hub.endpoint,
            allow_patterns=[*TOKENIZER_FILES, "special_tokens_map.json", "added_tokens.json"],
        )
    except Exception as error:
        page = f"{hub.endpoint}/{name}"
        raise ConfigError(f"{label} {explain_failed_download(error, None, page)}") from error
    return Path(folder)


def _find_cached(name: str, revision: str | None, hub: Hub) -> Path | None:
    """Return the folder of a revision in the local cache, or None."""
    file = try_to_load_from_cache(name, CONFIG_FILE, cache_dir=hub.cache, revision=revision)
    return Path(file).parent if isinstance(file, str) else None


def _has_weights(folder: Path, label: str) -> bool:
    """Whether a folder of the cache holds all weights and a tokenizer."""
    try:
        check_files(list_files(folder), label)
        list_weight_files(folder, label)
    except (ConfigError, OSError):
        return False
    return any(any(folder.glob(pattern)) for pattern in TOKENIZER_FILES)


def _has_small_files(folder: Path) -> bool:
    """Whether a folder of the cache was downloaded as a whole.

    transformers caches the weights and the tokenizer without the model card, and without the
    files of sentence-transformers that say how to pool.
    """
    return (folder / "README.md").is_file()


def _download(name: str, label: str, revision: str | None, hub: Hub) -> Path:
    """Download those files of a model that a base needs.

    Raises:
        ConfigError: the model cannot be downloaded, or is not in safetensors.
    """
    _check_online(name, label, hub)
    page = f"{hub.endpoint}/{name}"
    try:
        info = HfApi(endpoint=hub.endpoint).model_info(name, revision=revision, timeout=10)
        names = [file.rfilename for file in info.siblings or []]
    except Exception as error:
        raise ConfigError(f"{label} {explain_failed_download(error, revision, page)}") from error
    check_files(names, label)
    try:
        folder = snapshot_download(
            name,
            revision=revision,
            cache_dir=hub.cache,
            endpoint=hub.endpoint,
            allow_patterns=choose_downloads(names),
        )
    except Exception as error:
        raise ConfigError(f"{label} {explain_failed_download(error, revision, page)}") from error
    return Path(folder)


def _check_online(name: str, label: str, hub: Hub) -> None:
    """Check that the hub can be asked at all.

    Raises:
        ConfigError: the user has switched the network off, or it is missing.
    """
    obstacle = hub.find_obstacle()
    if obstacle is None:
        return
    reason, advice = obstacle
    raise ConfigError(
        f"{label} is neither a local folder nor complete in the cache of Hugging "
        f"Face ({hub.cache}), and {reason}. {advice}, or run `hf download {name}` on a "
        "machine with a network and copy its cache, or name a local folder."
    )
