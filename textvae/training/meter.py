"""The meter: averages of the loss terms from one log entry to the next.

The sums stay on the device until they are read, so that adding a batch does not
wait for the device.
"""

import time
from typing import Any

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.objective.elbo import LossTerms
from textvae.runtime.processes import Processes


class Meter:
    """Averages over the sentences of all processes since the last reading."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.clear()

    def clear(self) -> None:
        """Reset the sums and the clock."""
        # Loss, reconstruction, KL, KL as shaped by techniques (all in nats), sentences, tokens:
        # shape (6,), for this process alone.
        self.sums: Tensor | None = None
        self.start_time = time.monotonic()

    def add(self, terms: LossTerms, batch: Batch) -> None:
        """Add the terms of one batch, which are averages over its sentences."""
        mask = batch["attention_mask"]
        sentences = len(mask)
        averages = torch.stack(
            [terms.loss.detach(), terms.reconstruction, terms.kl, terms.shaped_kl]
        )
        costs = (averages * sentences).double()
        values = torch.cat([costs, costs.new_full((1,), sentences), mask.sum().view(1)])
        self.sums = values if self.sums is None else self.sums.to(values.device) + values

    def is_finite(self) -> bool:
        """Return whether all losses since the last reading were finite; every process must call it."""
        return self.sums is None or bool(torch.isfinite(self.processes.sum(self.sums)).all())

    def read_and_clear(self) -> dict[str, float]:
        """Return the averages and start again; every process must call it.

        Returns:
            Loss, reconstruction and KL in nats per sentence, the factor by which the KL counts
            in the loss (`kl_weight`), and tokens per second. Empty if there was no batch.
        """
        if self.sums is None:
            return {}
        *costs, sentences, tokens = self.processes.sum(self.sums).tolist()
        loss, reconstruction, kl, shaped_kl = (cost / sentences for cost in costs)
        speed = tokens / max(1e-9, time.monotonic() - self.start_time)
        self.clear()
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_weight": shaped_kl / max(kl, 1e-9),
            "tokens_per_second": speed,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the sums over all processes and the time, as JSON; every process must call it."""
        sums = None if self.sums is None else self.processes.sum(self.sums).tolist()
        return {"sums": sums, "seconds": time.monotonic() - self.start_time}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.start_time = time.monotonic() - state["seconds"]
        self.sums = None
        if state["sums"] is not None:
            self.sums = torch.tensor(state["sums"], dtype=torch.float64)
            # Reading adds the sums of all processes, so only one of them may have the total.
            if not self.processes.is_first:
                self.sums.zero_()
