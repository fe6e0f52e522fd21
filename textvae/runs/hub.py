"""Runs on the Hugging Face Hub: find the folder of a run by a path or by the name of a repository.

Wherever a run is expected, `owner/name` may stand for a repository that `textvae push`
has filled. Only the files that a run publishes are downloaded: safetensors, JSON, YAML
and indices, and neither code nor pickles. Nothing here imports torch, so that a wrong
name is refused at once.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

from textvae.data.row_report import shorten_list
from textvae.errors import CheckpointError
from textvae.inference.model_folder import MODEL_TYPE
from textvae.messages import print_note
from textvae.runtime.files import read_json
from textvae.runtime.hub import (
    Hub,
    explain_failed_download,
    explain_unknown_revision,
    is_hub_name,
    is_refusal,
    is_revision,
)
from textvae.runtime.paths import require_path
from textvae.terminal import quote_value

# The files of a model, as `save_pretrained` writes them, and those of which it must have one.
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "encoder_tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "chat_template.jinja",
)
RECORD_FILES = ("README.md", "settings.yaml", "measures.json")
# Fits of numbers alone, and the files of an index, which holds the texts themselves.
FITTED_FILES = ("fitted/*/*/fitted.json", "fitted/*/*/tensors.safetensors")
INDEX_FILES = ("fitted/*/*/rows.arrow", "fitted/*/*/vectors.faiss")
PUBLISHED_FILES = (*MODEL_FILES, *RECORD_FILES, *FITTED_FILES, *INDEX_FILES)

_NEEDED = ("config.json", "generation_config.json", "model.safetensors", "tokenizer_config.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_TIMEOUT = 10  # seconds to wait for an answer


def locate_run(
    name: str | Path,
    revision: str | None = None,
    *,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Return the folder of a run: a local one, or that of a repository, which is downloaded.

    An existing path is always local, and so is a `Path`. Of a repository, the newest commit
    of the revision is used; without a network, the copy in the cache.

    Args:
        name: a folder, or `owner/name` on the hub.
        revision: a branch, a tag or a commit of the repository; None means the main branch.
        token: a token of the hub; None for the one that the user is logged in with.
        cache_dir: the folder of the cache; by default that of huggingface_hub.

    Raises:
        ConfigError: the name cannot be that of a folder.
        CheckpointError: there is no such folder or repository, the hub cannot be asked or does
            not show it, or it holds no text VAE.
    """
    path = require_path(name, "folder")
    is_local = isinstance(name, Path) or path.exists() or not _is_repository(str(name))
    if is_local:
        if revision is not None and path.exists():
            raise CheckpointError(
                f"{name}: is a local folder, which has no revision {quote_value(revision)}; "
                "leave the revision out."
            )
        return path
    hub = Hub(token=token)
    if cache_dir is not None:
        hub = Hub(cache=str(require_path(cache_dir, "cache_dir")), token=token)
    return download_run(str(name), revision, hub)


def _is_repository(name: str) -> bool:
    """Return whether a name has the form owner/name, as every repository of a user has."""
    return "/" in name and is_hub_name(name)


def download_run(name: str, revision: str | None, hub: Hub) -> Path:
    """Return the folder of a repository in the cache, after downloading what is missing there.

    Raises:
        CheckpointError: see `locate_run`.
    """
    if revision is not None and not (isinstance(revision, str) and is_revision(revision)):
        raise CheckpointError(f"{name} {explain_unknown_revision(revision)}")
    cached = _find_cached(name, revision, hub)
    # A commit never changes, so the hub has nothing new to say about it.
    if cached is not None and cached.name == revision:
        return cached
    obstacle = hub.find_obstacle()
    if obstacle is None:
        return _download(name, revision, hub, cached)
    reason, advice = obstacle
    if cached is None:
        raise CheckpointError(
            f"{name}: there is no such folder, and no such model in the cache of Hugging Face "
            f"({hub.cache}); {reason}. Check the path, or {advice[0].lower()}{advice[1:]} to load "
            f"a model of the hub.{_name_neighbors(name)}"
        )
    print_note(f"{reason}, so {name} is read from the cache (commit {cached.name[:7]}).")
    return cached


def _find_cached(name: str, revision: str | None, hub: Hub) -> Path | None:
    """Return the folder of a revision in the cache, if all files that a model needs are there."""
    # As huggingface_hub names it; a missing folder saves the import of that library.
    if not (Path(hub.cache) / f"models--{name.replace('/', '--')}").is_dir():
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            name,
            revision=revision,
            cache_dir=hub.cache,
            allow_patterns=list(PUBLISHED_FILES),
            local_files_only=True,
        )
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    is_complete = all((Path(folder) / file).is_file() for file in _NEEDED)
    return Path(folder) if is_complete else None


def _download(name: str, revision: str | None, hub: Hub, cached: Path | None) -> Path:
    """Download the files that a run publishes, after checking that they are those of a text VAE.

    Raises:
        CheckpointError: the repository is not shown, cannot be downloaded, or holds something else.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download  # slow to import

    page = f"{hub.endpoint}/{name}"
    try:
        info = HfApi(endpoint=hub.endpoint, token=hub.token).model_info(
            name, revision=revision, timeout=_TIMEOUT
        )
        files = {file.rfilename for file in info.siblings or []}
        _check_names(name, files)
        if cached is not None and cached.name == info.sha and _holds(cached, files):
            return cached
        config = hf_hub_download(
            name,
            "config.json",
            revision=info.sha,
            cache_dir=hub.cache,
            endpoint=hub.endpoint,
            token=hub.token,
        )
        _check_config(name, Path(config))
        # Not by the commit: the cache then knows the branch, and finds it without a network.
        folder = snapshot_download(
            name,
            revision=revision,
            cache_dir=hub.cache,
            endpoint=hub.endpoint,
            token=hub.token,
            allow_patterns=list(PUBLISHED_FILES),
        )
    except CheckpointError:
        raise
    except Exception as error:
        reason = explain_failed_download(error, revision, page)
        if cached is not None and not is_refusal(error):
            print_note(f"{name} {reason} The copy in the cache is used.")
            return cached
        raise CheckpointError(f"{name} {reason}{_name_neighbors(name)}") from error
    return Path(folder)


def _holds(folder: Path, files: Collection[str]) -> bool:
    """Return whether a folder has those of a repository's files that a run publishes."""
    published = [
        file for file in files if any(fnmatchcase(file, pattern) for pattern in PUBLISHED_FILES)
    ]
    return all((folder / file).is_file() for file in published)


def _check_names(name: str, files: Collection[str]) -> None:
    """Check by the names of its files that a repository may hold a run.

    Raises:
        CheckpointError: it has no config or no weights in safetensors.
    """
    missing = [file for file in ("config.json", "model.safetensors") if file not in files]
    if not missing:
        return
    pickles = [file for file in files if any(fnmatchcase(file, kind) for kind in _PICKLES)]
    note = f" ({min(pickles)} is a pickle, which textvae never reads)" if pickles else ""
    raise CheckpointError(
        f"{name}: holds no {' and no '.join(missing)}{note}; expected a repository that "
        "`textvae push` filled."
    )


def _check_config(name: str, config: Path) -> None:
    """Check by its config that a repository holds a text VAE, before its weights are downloaded.

    Raises:
        CheckpointError: it holds something else.
    """
    try:
        model_type = read_json(config).get("model_type")
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"{name}: its config.json is not the config of a model.") from error
    if model_type != MODEL_TYPE:
        raise CheckpointError(
            f"{name}: holds a {quote_value(model_type)} model, not a text VAE; expected a "
            "repository that `textvae push` filled."
        )


def _name_neighbors(name: str) -> str:
    """Return a sentence on the folders next to a path that does not exist, or nothing."""
    parent = Path(name).parent
    if not parent.is_dir():
        return ""
    folders = sorted(path.name for path in parent.iterdir() if path.is_dir())
    return f" The folder {parent} holds {shorten_list(folders, 3)}." if folders else ""
