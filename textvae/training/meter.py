"""The meter: sums of what the batches cost, read at logging intervals without stopping the device in between."""

import time

import torch
from torch import Tensor

from textvae.batching import Batch
from textvae.objective import Terms
from textvae.processes import Processes


class Meter:
    """Averages over sentences, all processes' together, since it was last read."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.sums: Tensor | None = None
        self.since = time.monotonic()

    def add(self, terms: Terms, batch: Batch) -> None:
        """Count one batch."""
        mask = batch["attention_mask"]
        costs = torch.stack([terms.loss.detach(), terms.reconstruction, terms.kl, terms.paid_kl]) * len(mask)
        values = torch.cat([costs.double(), costs.new_full((1,), len(mask)), mask.sum().view(1)])
        self.sums = values if self.sums is None else self.sums + values

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
