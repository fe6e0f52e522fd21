"""Aggressive training: while the encoder lags behind, train it to its end before each step of the decoder.

Early in training the true posterior moves faster than q follows, and the
decoder learns to do without z. So the encoder takes steps of its own, on
batches of their own, until their loss, averaged over `window` of them and per
token, stops falling, or `most` are taken; then the decoder takes its step and
the encoder none. Once a look finds less mutual information than the one
before, this ends for good (He et al. 2019, arXiv:1901.05534). The information
is `mi_batch32`, the estimate of that paper, which looks once an epoch.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from textvae.objective.techniques.base import ModelFacts, Technique, TechniqueSettings, TrainEncoder


class AggressiveSettings(TechniqueSettings):
    """How long the encoder is trained before each step."""

    kind: Literal["aggressive"] = "aggressive"
    window: int = Field(15, ge=1, description="encoder steps over which their loss is averaged")
    most: int = Field(100, ge=1, description="encoder steps before a step")

    @property
    def needs_density(self) -> bool:
        """The mutual information ends it."""
        return True


class Aggressive(Technique):
    """Lets the encoder catch up before each step, until the mutual information falls."""

    Settings = AggressiveSettings

    def __init__(self, settings: AggressiveSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.freezes_encoder = True
        self.information: float | None = None  # nats, at the last look

    def before_step(self, train_encoder: TrainEncoder) -> None:
        """Train the encoder until it no longer gains."""
        if not self.freezes_encoder:
            return
        window, most = self.settings.window, self.settings.most
        last = math.inf
        for taken in range(0, most, window):
            loss = train_encoder(min(window, most - taken))
            if not loss <= last:
                return
            last = loss

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """End for good once the information falls."""
        found = float(
            record["mi_batch32"]
        )  # a collapsed one's is noise around 0: the first look alone tells nothing
        self.freezes_encoder = self.freezes_encoder and (
            self.information is None or found >= self.information
        )
        self.information = found

    def state_dict(self) -> dict[str, Any]:
        """Return whether it goes on, and the information of the last look."""
        return {"holds_encoder": self.freezes_encoder, "information": self.information}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over."""
        self.freezes_encoder, self.information = state["holds_encoder"], state["information"]
