"""The meter: sums of what the batches cost, read at logging intervals without stopping the device in between."""

import time

import torch
from torch import Tensor

from textvae.batching import Batch
from textvae.objective import Terms


class Meter:
    """Averages since it was last read."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.sums: Tensor | None = None
        self.batches = 0
        self.tokens: Tensor | int = 0
        self.since = time.monotonic()

    def add(self, terms: Terms, batch: Batch) -> None:
        """Count one batch."""
        values = torch.stack([terms.loss.detach(), terms.reconstruction, terms.kl, terms.paid_kl])
        self.sums = values if self.sums is None else self.sums + values
        self.batches += 1
        self.tokens = self.tokens + batch["attention_mask"].sum()

    def is_finite(self) -> bool:
        """Whether every loss since the last reading was a number."""
        return self.sums is None or bool(torch.isfinite(self.sums).all())

    def read(self) -> dict[str, float]:
        """Return the averages in nats per sentence, the weight a nat of KL had, and the speed; then start anew."""
        if self.sums is None:
            return {}
        loss, reconstruction, kl, paid = (self.sums / self.batches).tolist()
        speed = float(self.tokens) / max(1e-9, time.monotonic() - self.since)
        self.clear()
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_weight": paid / max(kl, 1e-9),
            "tokens_per_second": speed,
        }
