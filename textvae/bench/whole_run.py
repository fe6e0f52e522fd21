"""The speed of a whole run: what its evaluations, logs and checkpoints leave of the speed of its steps."""

import time
from itertools import islice
from typing import Any

from textvae.bench.case import BenchmarkCase
from textvae.bench.memory import PeakMemory
from textvae.bench.training import count_tokens, repeat_epochs, wait_for_device
from textvae.data.training_batches import BucketBatches
from textvae.runs.run import SETTINGS_FILE
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.training.fit import build_trainer, evaluate_and_save

_SECONDS_PER_MINUTE = 60


def whole_run(case: BenchmarkCase) -> dict[str, Any]:
    """Return the tokens per second of a run of the case's seconds, and of its steps alone.

    The run is bounded by its minutes and has the default number of evaluations, each with a
    checkpoint. The evaluation after its end is timed on its own.
    """
    settings = case.run.read_settings()
    bounds = {"steps": None, "max_minutes": case.seconds / _SECONDS_PER_MINUTE, "keep": "best"}
    training = settings.training.model_copy(update=bounds)
    settings = settings.model_copy(update={"training": training})
    settings.save(case.run.folder / SETTINGS_FILE)
    trainer = build_trainer(case.run, settings, case.bundle, case.device)
    start = time.perf_counter()
    with PeakMemory(case.device) as memory:
        trainer.train()
        wait_for_device(case.device)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    evaluate_and_save(case.run, trainer, SINGLE_PROCESS)
    final_seconds = time.perf_counter() - start
    batches = trainer.batches
    assert isinstance(batches, BucketBatches), "a benchmark prepares its corpus"
    indices = list(islice(repeat_epochs(batches.buckets), trainer.schedule.step))
    tokens = count_tokens(case, indices)
    paused = sum(trainer.meter.seconds.values())
    return {
        "tokens_per_second": tokens / seconds,
        "tokens_per_second_of_steps": tokens / (seconds - paused),
        "share_of_steps": 1 - paused / seconds,
        "steps": trainer.schedule.step,
        "seconds": seconds,
        "evaluation_seconds": trainer.meter.seconds["evaluation"],
        "saving_seconds": trainer.meter.seconds["saving"],
        "final_evaluation_seconds": final_seconds,
        **memory.describe(),
    }
