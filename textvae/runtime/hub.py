"""The Hugging Face Hub: its names, whether it can be asked, and what its refusals mean.

Pretrained bases and runs are downloaded from it, and runs are pushed to it. The
messages here are parts of sentences; the caller adds what it looked for.
"""

import re
from dataclasses import dataclass, field

from huggingface_hub import constants

from textvae.runtime.network import is_reachable

# The rules of the hub: at most 96 letters, digits, hyphens, underscores and dots per part.
_PART = r"\w([\w.-]{0,94}\w)?"
_NAME = re.compile(rf"({_PART}/)?{_PART}", re.ASCII)
_REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500

_REASON_LINES = 3  # of a message; the rest is addresses and advice for other cases


@dataclass(frozen=True)
class Hub:
    """Where models are downloaded from, and where they are kept; by default as huggingface_hub does.

    Attributes:
        endpoint: the URL of the hub.
        cache: the folder of the cache.
        is_offline: whether the user has switched the network off.
        token: the user's token; None for the one that the user is logged in with, False for none.
    """

    endpoint: str = field(default_factory=lambda: constants.ENDPOINT)
    cache: str = field(default_factory=lambda: constants.HF_HUB_CACHE)
    is_offline: bool = field(default_factory=lambda: constants.HF_HUB_OFFLINE)
    token: str | bool | None = field(default=None, repr=False)

    def find_obstacle(self) -> tuple[str, str] | None:
        """Return why the hub cannot be asked, and how to change that; None if it can be asked."""
        if self.is_offline:
            return "HF_HUB_OFFLINE is set", "Unset it"
        if not is_reachable(self.endpoint):
            return f"{self.endpoint} cannot be reached", "Connect to the network"
        return None


def is_hub_name(name: str) -> bool:
    """Whether a name could be that of a repository on the hub: `name` or `owner/name`."""
    is_plain = ".." not in name and "--" not in name and not name.endswith(".git")
    return is_plain and _NAME.fullmatch(name) is not None


def is_revision(revision: str) -> bool:
    """Whether a name could be that of a branch, a tag or a commit."""
    return _REVISION.fullmatch(revision) is not None and ".." not in revision


def explain_unknown_revision(revision: str | None) -> str:
    """Return what is wrong with a revision that a model does not have."""
    return (
        f"has no revision {revision!r}; expected a branch, a tag or a commit, such as "
        "main. Check it on the model's page, under Files and versions."
    )


def is_refusal(error: Exception) -> bool:
    """Whether the hub has answered that it does not give or take something."""
    status = _find_status(error)
    return status is not None and status < _SERVER_ERROR


def explain_failed_download(error: Exception, revision: str | None, page: str) -> str:
    """Return why a model could not be downloaded, and how to go on.

    The libraries below huggingface_hub raise errors without a common base.

    Args:
        page: the address of the model.
    """
    from huggingface_hub.errors import (  # slow to import
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return (
            f"is gated: accept its conditions at {page}, and log in with `hf auth login` "
            "(or set HF_TOKEN)."
        )
    if isinstance(error, RevisionNotFoundError):
        return explain_unknown_revision(revision)
    if isinstance(error, RepositoryNotFoundError) or _find_status(error) == _UNAUTHORIZED:
        return (
            "is not a model that the hub shows you, nor a local folder. Check the "
            f"spelling at {page}; if it is private, log in with `hf auth login` (or set HF_TOKEN)."
        )
    if isinstance(error, LocalEntryNotFoundError):
        return "cannot be downloaded: the connection failed. Try again."
    return f"cannot be downloaded ({find_reason(error)}). Try again, or see {page}."


def explain_failed_upload(error: Exception, page: str) -> str:
    """Return why a repository did not take an upload, and how to go on.

    Args:
        page: the address of the repository.
    """
    from huggingface_hub.errors import LocalTokenNotFoundError, RepositoryNotFoundError

    status = _find_status(error)
    log_in = (
        "log in with `hf auth login` (or set HF_TOKEN), with a token that may write: "
        "https://huggingface.co/settings/tokens"
    )
    if status == _FORBIDDEN:
        return (
            "refuses the upload: this account, or its token, may not write there "
            f"({find_reason(error)}). Name a repository of your own, or {log_in}; in a "
            "repository of somebody else, open a pull request (--pull-request)."
        )
    if isinstance(error, LocalTokenNotFoundError):
        return f"takes uploads of its owner only, and nobody is logged in: {log_in}."
    if isinstance(error, RepositoryNotFoundError) or status == _UNAUTHORIZED:
        return f"is not shown to this account. Check the spelling at {page}, or {log_in}."
    if status == _TOO_MANY_REQUESTS or (status or 0) >= _SERVER_ERROR:
        return f"cannot take the upload at present ({find_reason(error)}). Try again later."
    return f"did not take the upload ({find_reason(error)}). Try again, or see {page}."


def find_reason(error: Exception) -> str:
    """Return an error's reason in one line: what the hub's server says, if it says something."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError) and error.server_message:
        return " ".join(error.server_message.split()).rstrip(".")
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    return (" ".join(lines[:_REASON_LINES]) or type(error).__name__).rstrip(":. ")


def _find_status(error: Exception) -> int | None:
    """Return the HTTP status of the answer that an error is about, or None."""
    from huggingface_hub.errors import HfHubHTTPError

    if not isinstance(error, HfHubHTTPError):
        return None
    return int(error.response.status_code)
