"""A worker: loads the model once and writes the shards of its units, under any engine."""

from dataclasses import dataclass
from pathlib import Path

from textvae.bulk.plan import BulkPlan
from textvae.bulk.reading import UnitReader
from textvae.bulk.shards import shard_path, write_shard
from textvae.bulk.units import Unit
from textvae.bulk.verbs import VERBS
from textvae.schema import validate_settings
from textvae.vae import TextVAE


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to know; it can be sent to other processes.

    Attributes:
        run: the run folder of the model.
        plan: what to do, with the files of the corpus.
        root: the folder of the corpus; the names of files in the plan are relative to it.
        output: the folder of the shards.
        device: cpu or cuda; None for a GPU if there is one.
    """

    run: Path
    plan: BulkPlan
    root: Path
    output: Path
    device: str | None


class Worker:
    """Writes the shard of one unit after another."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.vae = TextVAE.from_pretrained(job.run, job.device)
        self.reader = UnitReader(job.root, job.plan.build_table_settings())
        self.verb = VERBS[job.plan.verb]
        self.settings = validate_settings(self.verb.Settings, job.plan.settings, job.plan.verb)

    def __call__(self, unit: Unit) -> None:
        """Write the unit's shard if it does not exist; an engine may pass the same unit twice."""
        if shard_path(self.job.output, unit.number).is_file():
            return
        table = self.verb.function(self.vae, unit, self.reader, self.settings)
        write_shard(self.job.output, unit.number, table)
