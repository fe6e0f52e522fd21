"""Where a model is pushed to; it is checked before a model is loaded."""

from dataclasses import dataclass

from textvae.errors import ConfigError
from textvae.runtime.hub import is_hub_name, is_revision
from textvae.terminal import quote_value


@dataclass(frozen=True)
class PushTarget:
    """Where a model is pushed to.

    Attributes:
        repository: `owner/name`, or a name alone for a repository of the user's.
        revision: the branch; it is created if it does not exist. None means the main branch.
        private: create the repository as a private one.
        create_pr: open a pull request in place of a commit; the repository must exist.
        commit_message: what the commit says.
    """

    repository: str
    revision: str | None = None
    private: bool = False
    create_pr: bool = False
    commit_message: str | None = None

    def check(self, setting: str = "repository") -> None:
        """Refuse what the hub would not accept.

        Args:
            setting: what the name of the repository is called in messages.

        Raises:
            ConfigError: the name of the repository or of the branch is not one, or another
                option does not fit.
        """
        if not isinstance(self.repository, str) or not is_hub_name(self.repository):
            raise ConfigError(
                f"{setting} = {quote_value(self.repository)}: expected OWNER/NAME of letters, "
                "digits, `-`, `_` and `.`."
            )
        if self.revision is not None and not (
            isinstance(self.revision, str) and is_revision(self.revision)
        ):
            raise ConfigError(
                f"revision = {quote_value(self.revision)}: expected the name of a branch, such as main."
            )
        if not isinstance(self.commit_message, str | None):
            raise ConfigError(
                f"commit_message = {quote_value(self.commit_message)}: expected a text."
            )
        for name in ("private", "create_pr"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ConfigError(f"{name} = {quote_value(value)}: expected True or False.")
        if self.create_pr and self.revision is not None:
            raise ConfigError(
                f"revision = {quote_value(self.revision)}: a pull request has a branch of its own, "
                "which the hub makes; leave one of the two out."
            )
