"""The meter: sums of what the batches cost, read at logging intervals without stopping the device in between."""

import time
from typing import Any

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.objective.elbo import LossTerms
from textvae.runtime.processes import Processes


class Meter:
    """Averages over sentences, all processes' together, since it was last read."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.sums: Tensor | None = None
        self.since = time.monotonic()

    def add(self, terms: LossTerms, batch: Batch) -> None:
        """Count one batch."""
        mask = batch["attention_mask"]
        costs = torch.stack(
            [terms.loss.detach(), terms.reconstruction, terms.kl, terms.shaped_kl]
        ) * len(mask)
        values = torch.cat([costs.double(), costs.new_full((1,), len(mask)), mask.sum().view(1)])
        self.sums = values if self.sums is None else self.sums.to(values.device) + values

    def is_finite(self) -> bool:
        """Whether every loss since the last reading was a number."""
        return self.sums is None or bool(torch.isfinite(self.processes.sum(self.sums)).all())

    def read(self) -> dict[str, float]:
        """Return the averages in nats per sentence, the weight a nat of KL had, and the speed; then start anew."""
        if self.sums is None:
            return {}
        *costs, sentences, tokens = self.processes.sum(self.sums).tolist()
        loss, reconstruction, kl, paid = (cost / sentences for cost in costs)
        speed = tokens / max(1e-9, time.monotonic() - self.since)
        self.clear()
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_weight": paid / max(kl, 1e-9),
            "tokens_per_second": speed,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of all processes and the time they took, as JSON; every process must ask."""
        sums = None if self.sums is None else self.processes.sum(self.sums).tolist()
        return {"sums": sums, "seconds": time.monotonic() - self.since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over; the first process has the sums, for they are added up when they are read."""
        self.since = time.monotonic() - state["seconds"]
        self.sums = None
        if state["sums"] is not None:
            sums = torch.tensor(state["sums"], dtype=torch.float64)
            self.sums = sums if self.processes.is_first else torch.zeros_like(sums)
