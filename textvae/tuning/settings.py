"""Settings of a search: how long it takes, and what it looks for."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from textvae.schema import MAX_COUNT, Seed, StrictSettings

if TYPE_CHECKING:
    from textvae.settings.run import Settings

DEFAULT_MINUTES = 30.0  # of a search that is bounded neither by time nor by trials


class TuneSettings(StrictSettings):
    """How long a search takes, and what it looks for."""

    minutes: float | None = Field(
        None,
        gt=0,
        description="time for all trials together, earlier calls included; by default "
        f"{DEFAULT_MINUTES:g}, or no limit if the trials are counted",
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=MAX_COUNT,
        description="number of trials, the default recipe and earlier calls included; by default, "
        "as many as fit into the minutes",
    )
    goal: Literal["bound", "front"] = Field(
        "bound",
        description="bound: the best likelihood at the KL of the default recipe; front: the best "
        "trade-offs of likelihood and reconstruction",
    )
    kl_floor: float | None = Field(
        None,
        ge=0,
        description="least KL of a model in nats per sentence, of which each missing nat costs 10; "
        "by default 0.95 times the KL of the first trial, or with the goal front half of the KL "
        "target",
    )
    seed: Seed = 1


def bound_training(settings: "Settings", trial_minutes: float | None) -> "Settings":
    """Return settings whose training is bounded, by the minutes of a trial if it was not."""
    if trial_minutes is None:
        return settings
    training = settings.training.model_copy(update={"max_minutes": trial_minutes})
    return settings.model_copy(update={"training": training})
