"""The settings of the corpus: where the sentences are, how they are cleaned, split and tokenized.

Nothing that is slow to import is needed here, so that settings can be read and explained
without the libraries that prepare a corpus.
"""

from pydantic import Field, field_validator

from textvae.data.cleaning import CleaningSettings
from textvae.data.split_settings import SplitSettings
from textvae.data.streaming.settings import StreamSettings
from textvae.errors import ConfigError
from textvae.schema import MAX_PROCESSES

# The columns of a tokenized split; those of labels are added to them.
RESERVED_COLUMNS = ("text", "input_ids", "length", "words", "bytes")


class DataSettings(CleaningSettings, StreamSettings, SplitSettings):
    """Where the sentences are, and how they are cleaned, split and tokenized."""

    corpus: str | None = Field(
        None, description="a file, a folder, a bundled corpus, or the name of a data set"
    )
    label_columns: list[str] = Field([], description="columns to keep with the sentences")
    label: str | None = Field(
        None, description="the column of labels that the model is conditioned on"
    )
    held_out: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="share of sentences for validation, and for test, if the corpus lacks them",
    )
    held_out_most: int = Field(
        5_000, ge=1, description="most sentences for validation, and for test"
    )
    split_seed: int = Field(
        1,
        ge=0,
        lt=2**63,
        description="seed that chooses the held-out sentences, whatever the training seed is",
    )
    max_tokens: int = Field(128, ge=1, description="longer sentences are cut")
    processes: int | None = Field(
        None,
        ge=1,
        le=MAX_PROCESSES,
        description="processes that tokenize; by default one per core for a large corpus",
    )
    cache: str = Field(
        "auto", description="where prepared corpora are cached: auto, off, or a folder"
    )

    @property
    def needs_shape(self) -> bool:
        """True: files of a corpus to which `unit` or `role` do not apply are refused."""
        return True

    @property
    def all_label_columns(self) -> list[str]:
        """The columns of labels that are stored with the sentences."""
        if self.label is None or self.label in self.label_columns:
            return self.label_columns
        return [*self.label_columns, self.label]

    @field_validator("cache", mode="before")
    @classmethod
    def check_cache(cls, value: object) -> object:
        """Return `off` for False, since YAML reads the word `off` as a truth value."""
        return "off" if value is False else value

    @field_validator("label")
    @classmethod
    def check_label(cls, name: str | None) -> str | None:
        """Refuse a column with a name that preparation uses for a column of its own."""
        if name in RESERVED_COLUMNS:
            raise ConfigError(
                f"data.label = {name!r} is the name of a column that textvae adds; rename yours."
            )
        return name

    @field_validator("label_columns", mode="before")
    @classmethod
    def convert_label_numbers(cls, names: object) -> object:
        """Return numbers in a list as text, as those of `join_columns`."""
        return cls.convert_numbers(names) if isinstance(names, list | tuple) else names

    @field_validator("label_columns")
    @classmethod
    def check_label_columns(cls, names: list[str]) -> list[str]:
        """Refuse a column that is named twice, or as one that preparation adds."""
        for name in set(names) & set(RESERVED_COLUMNS):
            raise ConfigError(
                f"data.label_columns = {names!r}: {name} is the name of a column "
                "that textvae adds; rename yours."
            )
        if len(set(names)) < len(names):
            raise ConfigError(f"data.label_columns = {names!r} names a column twice.")
        return names
