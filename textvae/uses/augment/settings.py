"""The settings of `augment`."""

from pydantic import Field

from textvae.schema import StrictSettings


class AugmentSettings(StrictSettings):
    """How many texts are written, from where, and which are kept; the defaults were chosen on validation draws."""

    n: int = Field(5, ge=1, description="texts for each given one")
    spread: float = Field(
        1.0, ge=0, description="draws lie this many times as far from the mean as the posterior's"
    )
    interpolated: float = Field(
        0.5, ge=0, le=1, description="share that lies between two texts of a class"
    )
    temperature: float = Field(
        0.7, gt=0, description="of the words; near 0 the likeliest are taken"
    )
    quantile: float = Field(
        1.0, gt=0, le=1, description="of the given texts' nats a token, for what is plausible"
    )
    rounds: int = Field(4, ge=1, description="most tries for each text")
    seed: int = Field(0, ge=0, lt=2**63)
