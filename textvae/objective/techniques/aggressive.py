"""Aggressive training: train the encoder to convergence before each decoder step.

Early in training the true posterior moves faster than q can follow, and the decoder
learns to ignore z. Therefore the encoder first takes steps of its own, on batches of
its own, until their mean loss per token over `window` steps stops falling, or `most`
steps are taken; then the decoder takes its step, without the encoder. When an
evaluation finds less mutual information than the one before, this phase ends for good
(He et al. 2019, arXiv:1901.05534). The mutual information is `mi_batch32`, the
estimate of that paper, which evaluates once per epoch.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from textvae.objective.techniques.base import (
    ModelFacts,
    Requirement,
    Technique,
    TechniqueSettings,
    TrainEncoder,
)


class AggressiveSettings(TechniqueSettings):
    """How long the encoder is trained before each step."""

    kind: Literal["aggressive"] = "aggressive"
    window: int = Field(15, ge=1, description="encoder steps over which their loss is averaged")
    most: int = Field(100, ge=1, description="most encoder steps before each step")

    # The mutual information that ends the phase is computed from densities of z.
    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.DENSITY})


class Aggressive(Technique):
    """Train the encoder to convergence before each step, until the mutual information falls."""

    Settings = AggressiveSettings

    def __init__(self, settings: AggressiveSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.freezes_encoder = True
        self.mutual_information: float | None = None  # nats, at the last evaluation

    def before_step(self, train_encoder: TrainEncoder) -> None:
        """Train the encoder until its loss stops falling."""
        if not self.freezes_encoder:
            return
        window = self.settings.window
        most = self.settings.most
        last_loss = math.inf
        for taken in range(0, most, window):
            loss = train_encoder(min(window, most - taken))
            # Not `loss > last_loss`: that would train on after a loss that is not a number.
            if not loss <= last_loss:
                return
            last_loss = loss

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """End the aggressive phase for good once the mutual information falls."""
        mutual_information = float(record["mi_batch32"])
        # The first evaluation alone decides nothing: at the start, the latent is collapsed and
        # the estimate is noise around 0.
        has_fallen = (
            self.mutual_information is not None
            and not mutual_information >= self.mutual_information
        )
        if has_fallen:
            self.freezes_encoder = False
        self.mutual_information = mutual_information

    def state_dict(self) -> dict[str, Any]:
        """Return whether the phase goes on, and the last mutual information."""
        return {"holds_encoder": self.freezes_encoder, "information": self.mutual_information}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.freezes_encoder = state["holds_encoder"]
        self.mutual_information = state["information"]
