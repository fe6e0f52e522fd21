"""What the tests of distributed training run: alone in this process, or under torchrun as `-m tests.two_processes`.

Random draws are off: z is the posterior's mean and nothing is dropped. Runs
leave a record of every step on every process beside their folder.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

import textvae
from tests.tiny_run import SETTINGS, write_corpus
from textvae.cli import main as cli
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import STANDARD_MEASURES
from textvae.inference.checkpoint import load_bundle
from textvae.model.posteriors import DiagonalGaussian
from textvae.runs.run import Run
from textvae.runtime.processes import SINGLE_PROCESS, join_processes
from textvae.training import fit as fitting
from textvae.training.trainer import VAETrainer

TECHNIQUES = {
    "target_kl": {"nats": 1.0, "warmup": 0.0, "gain": 0.5},
    "unit_floor": {"floor": 0.5},
    "kl_weight": {"schedule": "constant", "weight": 0.7},
}
LSTM = {"kind": "lstm", "embedding": 16, "hidden": 24, "dropout": 0.0}
ATTENTION = {"hidden": 16, "layers": 1, "heads": 2}
READER = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
WRITER = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"encoder": LSTM, "decoder": LSTM},
    "course": {"encoder": LSTM, "decoder": LSTM},
    "transformer": {
        "encoder": {"kind": "transformer", **ATTENTION, "options": READER},
        "decoder": {"kind": "transformer", **ATTENTION, "options": WRITER},
        "conditioning": ["prefix"],
    },
}
FREE_BITS: dict[str, dict[str, Any]] = {
    "lstm": {"floor": 0.02, "scope": "dimension"},
    "course": {"floor": 0.02, "scope": "dimension"},
    "transformer": {"floor": 0.1, "scope": "total"},
}
COURSE = {"autoencoder_start": {"share": 0.3}, "aggressive": {"window": 2, "most": 6}}
LAST_BEFORE_STOP = 8  # of 20 steps, 10 an epoch; the first checkpoint is at 7


def write_settings(folder: Path, name: str) -> Path:
    """Write the settings of a run of two epochs, its batches of odd sizes.

    The transformer's steps have two batches; `course` begins anew, and trains its encoder alone.
    """
    write_corpus(folder)
    file = folder / f"{name}.yaml"
    training = {
        **SETTINGS["training"],
        "steps": None,
        "epochs": 2,
        "batch_tokens": 71,
        "evaluations": 3,
        "logging_steps": 1,
        "bf16": False,
        "accumulate": 2 if name == "transformer" else 1,
    }
    techniques = {
        **TECHNIQUES,
        "free_bits": FREE_BITS[name],
        **(COURSE if name == "course" else {}),
    }
    model = {"latent_dim": 4, **MODELS[name]}
    settings = {
        **SETTINGS,
        "model": model,
        "objective": {"techniques": techniques},
        "training": training,
    }
    file.write_text(yaml.safe_dump(settings))
    return file


class Recorder(VAETrainer):
    """Records each step: the seed, the sentences seen, the techniques' state, the first step's gradients."""

    last_step = sys.maxsize

    def training_step(
        self, model: Any, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Write the record, flushed: this process may be killed."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        beside = f"{self.run_folder}.{self.processes.rank}of{self.processes.count}"
        with open(f"{beside}.jsonl", "a") as file:
            line = {
                "step": self.state.global_step,
                "seed": torch.initial_seed(),
                "seen": inputs["labels"].tolist(),
            }
            file.write(json.dumps({**line, "state": self.objective.state_dict()}) + "\n")
        if self.accelerator.sync_gradients and self.state.global_step == 0:
            save_file(
                {name: p.grad for name, p in self.bundle.model.named_parameters()},
                f"{beside}.gradients",
            )
        if (
            self.state.global_step >= self.last_step
            and self.processes.rank == self.processes.count - 1
        ):
            self.stop()
        return loss

    def stop(self) -> None:
        """Die at once, or let the caller go on where there is no other process."""
        if self.processes.count == 1:
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, settings: str, name: str, *more: str) -> int:
    """Train as the command line does, in `folder/name`."""
    start = (
        [str(folder / "corpus.txt"), "--config", str(folder / f"{settings}.yaml")]
        if "--resume" not in more
        else []
    )
    return cli.main(["train", *start, "--output", str(folder / name), "--device", "cpu", *more])


def measured(run: Run) -> dict[str, Any]:
    """Return the measures of a run, with their noise, by these processes together and by each alone."""
    processes, _ = join_processes(torch.device("cpu"))
    bundle, split = load_bundle(run.folder, "cpu"), run.open_split("validation")
    texts = {"together": processes, "alone": SINGLE_PROCESS}
    return {
        name: evaluate(bundle, split, 3, STANDARD_MEASURES, processes=who)
        for name, who in texts.items()
    }


def main(folder: Path) -> None:
    """Train both models, measure, resume a run that one process began, then die in the middle of another."""
    fitting.VAETrainer = Recorder
    noisy = DiagonalGaussian.sample
    DiagonalGaussian.sample = lambda self: self.mean
    for name in MODELS:
        textvae.train(
            folder / "corpus.txt", folder / f"{name}2", folder / f"{name}.yaml", device="cpu"
        )
    textvae.train(output=folder / "begun1", resume=True, device="cpu")
    processes, _ = join_processes(torch.device("cpu"))
    DiagonalGaussian.sample = noisy
    (folder / f"measures{processes.rank}.json").write_text(
        json.dumps(measured(Run(folder / "lstm2")))
    )
    DiagonalGaussian.sample = lambda self: self.mean
    Recorder.last_step = LAST_BEFORE_STOP
    sys.exit(train(folder, "lstm", "begun2"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
