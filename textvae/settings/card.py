"""The settings of the model card: what only the owner of a model can know, or allow."""

import re

from pydantic import Field, field_validator

from textvae.errors import ConfigError
from textvae.schema import StrictSettings
from textvae.terminal import quote_value

_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")  # as the hub's identifiers are written
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|code|multilingual")


class CardSettings(StrictSettings):
    """What the model card says beyond what training knows."""

    license: str | None = Field(
        None,
        description="license of the model, as the Hugging Face Hub writes it, such as apache-2.0 "
        "or cc-by-4.0; by default, the card has none",
    )
    language: str | None = Field(
        None,
        description="language of the texts, as an ISO 639 code such as en; several as en,de; "
        "by default, the card has none",
    )
    samples: bool = Field(
        False,
        description="show sentences: samples, and sentences of the corpus with their "
        "reconstructions",
    )

    @field_validator("license")
    @classmethod
    def check_license(cls, name: str | None) -> str | None:
        """Refuse a license that cannot be one of the hub's identifiers."""
        if name is not None and not _LICENSE.fullmatch(name):
            raise ConfigError(
                f"card.license = {quote_value(name)}: expected an identifier of the Hugging Face "
                "Hub, such as apache-2.0, mit, cc-by-4.0 or other."
            )
        return name

    @field_validator("language")
    @classmethod
    def check_language(cls, codes: str | None) -> str | None:
        """Refuse what cannot be codes of languages."""
        if codes is not None and not all(map(_LANGUAGE.fullmatch, split_languages(codes))):
            raise ConfigError(
                f"card.language = {quote_value(codes)}: expected ISO 639 codes, such as en or en,de."
            )
        return codes


def split_languages(codes: str) -> list[str]:
    """Return the codes of a list that is separated by commas."""
    return [code.strip() for code in codes.split(",")]
