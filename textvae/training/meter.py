"""The meter: averages of the loss terms from one log entry to the next.

The sums stay on the device until they are read, so that adding a batch does not
wait for the device. The speed is that of the steps: evaluations and checkpoints stop
the meter's clock, and their time is counted separately.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.objective.elbo import LossTerms
from textvae.runtime.processes import Processes


class Meter:
    """Averages over the sentences of all processes since the last reading.

    Attributes:
        seconds: of the whole run, spent on evaluations and on checkpoints.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.seconds = {"evaluation": 0.0, "saving": 0.0}
        self.pause_start: float | None = None  # None while the clock runs
        self.clear()

    def clear(self) -> None:
        """Reset the sums and the clock."""
        # Loss, reconstruction, KL, KL as shaped by techniques (all in nats), sentences, tokens:
        # shape (6,), for this process alone.
        self.sums: Tensor | None = None
        self.start_time = self._read_clock()

    def _read_clock(self) -> float:
        """Return the time, which stands still during a pause."""
        return time.monotonic() if self.pause_start is None else self.pause_start

    @contextmanager
    def pause(self, reason: Literal["evaluation", "saving"]) -> Iterator[None]:
        """Stop the clock for what is not a step, and add its time to `seconds`."""
        self.pause_start = time.monotonic()
        try:
            yield
        finally:
            duration = time.monotonic() - self.pause_start
            self.pause_start = None
            self.start_time += duration
            self.seconds[reason] += duration

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
        speed = tokens / max(1e-9, self._read_clock() - self.start_time)
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
        return {
            "sums": sums,
            "seconds": self._read_clock() - self.start_time,
            "paused_seconds": dict(self.seconds),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.start_time = self._read_clock() - state["seconds"]
        self.seconds |= state.get("paused_seconds", {})  # earlier versions did not count them
        self.sums = None
        if state["sums"] is not None:
            self.sums = torch.tensor(state["sums"], dtype=torch.float64)
            # Reading adds the sums of all processes, so only one of them may have the total.
            if not self.processes.is_first:
                self.sums.zero_()
