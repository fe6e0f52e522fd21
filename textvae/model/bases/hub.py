"""Find a base in the local cache of Hugging Face, or download it from the hub."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

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
from textvae.runtime.network import is_reachable

# The rules of the hub: at most 96 letters, digits, hyphens, underscores and dots per part.
_PART = r"\w([\w.-]{0,94}\w)?"
_NAME = re.compile(rf"({_PART}/)?{_PART}", re.ASCII)
_REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)

# Files that a repository with a tokenizer has; one of them in the cache says that all are there.
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json")


@dataclass(frozen=True)
class Hub:
    """Where models are downloaded from, and where they are kept; by default as huggingface_hub does.

    Attributes:
        endpoint: the URL of the hub.
        cache: the folder of the cache.
        is_offline: whether the user has switched the network off.
    """

    endpoint: str = field(default_factory=lambda: constants.ENDPOINT)
    cache: str = field(default_factory=lambda: constants.HF_HUB_CACHE)
    is_offline: bool = field(default_factory=lambda: constants.HF_HUB_OFFLINE)


def is_hub_name(name: str) -> bool:
    """Whether a name could be that of a model on the hub: `model` or `owner/model`."""
    is_plain = ".." not in name and "--" not in name and not name.endswith(".git")
    return is_plain and _NAME.fullmatch(name) is not None


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
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise ConfigError(_explain_unknown_revision(label, revision))
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
        raise _explain_failure(error, label, None, f"{hub.endpoint}/{name}") from error
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
        raise _explain_failure(error, label, revision, page) from error
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
        raise _explain_failure(error, label, revision, page) from error
    return Path(folder)


def _check_online(name: str, label: str, hub: Hub) -> None:
    """Check that the hub can be asked at all.

    Raises:
        ConfigError: the user has switched the network off, or it is missing.
    """
    if hub.is_offline:
        reason = "HF_HUB_OFFLINE is set"
        advice = "Unset it"
    elif not is_reachable(hub.endpoint):
        reason = f"{hub.endpoint} cannot be reached"
        advice = "Connect to the network"
    else:
        return
    raise ConfigError(
        f"{label} is neither a local folder nor complete in the cache of Hugging "
        f"Face ({hub.cache}), and {reason}. {advice}, or run `hf download {name}` on a "
        "machine with a network and copy its cache, or name a local folder."
    )


def _explain_failure(error: Exception, label: str, revision: str | None, page: str) -> ConfigError:
    """Return the error that says why a model could not be downloaded.

    The libraries below huggingface_hub raise errors without a common base.
    """
    if isinstance(error, GatedRepoError):
        return ConfigError(
            f"{label} is gated: accept its conditions at {page}, and log in with `hf auth login` "
            "(or set HF_TOKEN)."
        )
    if isinstance(error, RevisionNotFoundError):
        return ConfigError(_explain_unknown_revision(label, revision))
    if isinstance(error, RepositoryNotFoundError):
        return ConfigError(
            f"{label} is not a model that the hub shows you, nor a local folder. Check the "
            f"spelling at {page}; if it is private, log in with `hf auth login` (or set HF_TOKEN)."
        )
    if isinstance(error, LocalEntryNotFoundError):
        return ConfigError(f"{label} cannot be downloaded: the connection failed. Try again.")
    reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":. ")
    return ConfigError(f"{label} cannot be downloaded ({reason}). Try again, or see {page}.")


def _explain_unknown_revision(label: str, revision: str | None) -> str:
    """Return the message for a revision that the model does not have."""
    return (
        f"{label} has no revision {revision!r}; expected a branch, a tag or a commit, such as "
        "main. Check it on the model's page, under Files and versions."
    )
