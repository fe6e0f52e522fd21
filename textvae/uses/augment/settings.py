"""The settings of `augment`."""

from pydantic import Field

from textvae.schema import StrictSettings


class AugmentSettings(StrictSettings):
    """How many texts are generated, from which latents, and which are accepted.

    The defaults were chosen on validation data.
    """

    n: int = Field(5, ge=1, description="new texts per input text")
    spread: float = Field(
        1.0,
        ge=0,
        description="factor on a posterior sample's distance from the mean; 1 is plain sampling",
    )
    interpolated: float = Field(
        0.5, ge=0, le=1, description="share of candidates between two texts of a class"
    )
    temperature: float = Field(
        0.7, gt=0, description="of sampling tokens; near 0, the most likely tokens are taken"
    )
    quantile: float = Field(
        1.0,
        gt=0,
        le=1,
        description="quantile of a class's nats per token up to which a candidate is plausible",
    )
    rounds: int = Field(4, ge=1, description="maximum number of tries per text")
    seed: int = Field(0, ge=0, lt=2**63)
