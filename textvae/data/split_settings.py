"""The settings that name the files of splits and of labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from textvae.data.folders import CLASS_COLUMN
from textvae.data.tables import TableSettings
from textvae.errors import ConfigError


class SplitSettings(TableSettings):
    """How the files of a corpus are read, and which files hold its splits and labels."""

    validation: str | None = Field(
        None, description="a file or a folder: the validation split of the corpus"
    )
    test: str | None = Field(None, description="a file or a folder: the test split of the corpus")
    labels: str | None = Field(
        None,
        description="a text file with one label per text of the corpus, in order; "
        f"it becomes the column {CLASS_COLUMN!r}, which data.label then names",
    )
    validation_labels: str | None = Field(None, description="as data.labels, for data.validation")
    test_labels: str | None = Field(None, description="as data.labels, for data.test")

    def name_splits(self) -> dict[str, str]:
        """Return the file or folder of each held-out split that the settings name."""
        names = {"validation": self.validation, "test": self.test}
        return {split: name for split, name in names.items() if name is not None}

    def list_named_files(self) -> list[Path]:
        """Return the files of splits and labels that the settings name."""
        names = (
            self.validation,
            self.test,
            self.labels,
            self.validation_labels,
            self.test_labels,
        )
        return [Path(name).expanduser() for name in names if name is not None]

    @model_validator(mode="before")
    @classmethod
    def choose_label(cls, data: object) -> object:
        """Condition the model on the labels of a file, if no other column is named."""
        if not isinstance(data, Mapping) or not data.get("labels") or data.get("label"):
            return data
        return {**data, "label": CLASS_COLUMN}

    @model_validator(mode="after")
    def check_named_files(self) -> Self:
        """Refuse labels of a split that has no labels for training, or no file.

        Raises:
            ConfigError: a setting is missing.
        """
        for split in ("validation", "test"):
            if getattr(self, f"{split}_labels") is None:
                if self.labels is not None and getattr(self, split) is not None:
                    raise ConfigError(
                        f"data.{split} needs labels, too, because data.labels is set: "
                        f"set data.{split}_labels to a file with one label per text."
                    )
                continue
            if self.labels is None:
                raise ConfigError(f"data.{split}_labels is set, but data.labels is not; set both.")
            if getattr(self, split) is None:
                raise ConfigError(
                    f"data.{split}_labels is set, but data.{split} is not; name the file of texts."
                )
        return self
