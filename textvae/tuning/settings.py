"""Settings of a search: how long it takes, and what it looks for."""

from typing import Literal

from pydantic import Field

from textvae.schema import MAX_COUNT, Seed, StrictSettings

DEFAULT_MINUTES = 30.0  # of a search that is bounded neither by time nor by trials


class TuneSettings(StrictSettings):
    """How long a search takes, and what it looks for."""

    minutes: float | None = Field(
        None,
        gt=0,
        description="time for all trials together, earlier calls included "
        f"(default: {DEFAULT_MINUTES:g}; without limit if the trials are counted)",
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=MAX_COUNT,
        description="number of trials, the default recipe and earlier calls included "
        "(default: as many as fit into the minutes)",
    )
    objective: Literal["bound", "front"] = Field(
        "bound",
        description="bound: the best likelihood at the KL of the default recipe; front: the best "
        "trade-offs of likelihood and reconstruction",
    )
    kl_floor: float | None = Field(
        None,
        ge=0,
        description="KL in nats per sentence that a model must have; each missing nat costs 10 "
        "(default: 95 % of the KL of the first trial; with the objective front, half of "
        "the KL target)",
    )
    seed: Seed = 1
