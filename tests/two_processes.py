"""The runs that the tests of distributed training compare.

They run in the test's own process, or in two processes under torchrun as
`-m tests.two_processes`. They draw no random numbers: z is the posterior's mean,
and there is no dropout. Each process writes a record of every step next to the
run's folder.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

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
ENCODER_OPTIONS = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
DECODER_OPTIONS = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"encoder": LSTM, "decoder": LSTM},
    "phases": {"encoder": LSTM, "decoder": LSTM},
    "transformer": {
        "encoder": {"kind": "transformer", **ATTENTION, "options": ENCODER_OPTIONS},
        "decoder": {"kind": "transformer", **ATTENTION, "options": DECODER_OPTIONS},
        "conditioning": ["prefix"],
    },
}
FREE_BITS: dict[str, dict[str, Any]] = {
    "lstm": {"floor": 0.02, "scope": "dimension"},
    "phases": {"floor": 0.02, "scope": "dimension"},
    "transformer": {"floor": 0.1, "scope": "total"},
}
PHASES: dict[str, dict[str, Any]] = {
    "autoencoder_start": {"share": 0.3},
    "aggressive": {"window": 2, "most": 6},
    "refit_posterior": {"share": 0.2},
    "bag_of_words": {"hidden": 8},
}
LAST_BEFORE_STOP = 8  # of 20 steps, 10 per epoch; the first checkpoint is at step 7


def write_settings(folder: Path, name: str) -> Path:
    """Write the settings of a run of two epochs, whose batches have odd sizes.

    A step of the transformer has two batches. `phases` begins with pretraining, trains its
    encoder in additional steps, and ends with a refit of the posterior.
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
        **(PHASES if name == "phases" else {}),
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
    """Records each step: seed, sentences, state of techniques; of the first step the gradients."""

    last_step = sys.maxsize

    def training_step(
        self, model: Any, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Train a step, and write and flush its record, since this process may be killed."""
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        prefix = f"{self.run_folder}.{self.processes.rank}of{self.processes.count}"
        with open(f"{prefix}.jsonl", "a") as file:
            line = {
                "step": self.state.global_step,
                "seed": torch.initial_seed(),
                "seen": inputs["labels"].tolist(),
            }
            file.write(json.dumps({**line, "state": self.objective.state_dict()}) + "\n")
        if self.accelerator.sync_gradients and self.state.global_step == 0:
            save_file(
                {name: p.grad for name, p in self.bundle.model.named_parameters()},
                f"{prefix}.gradients",
            )
        is_last_process = self.processes.rank == self.processes.count - 1
        if is_last_process and self.state.global_step >= self.last_step:
            self.stop()
        return loss

    def stop(self) -> None:
        """Kill this process; if it is the only one, raise an error that the caller can catch."""
        if self.processes.count == 1:
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, settings: str, name: str, *more: str) -> int:
    """Train in `folder/name` with the command line's function."""
    start = []
    if "--resume" not in more:
        start = [str(folder / "corpus.txt"), "--config", str(folder / f"{settings}.yaml")]
    return cli.main(["train", *start, "--output", str(folder / name), "--device", "cpu", *more])


def measure(run: Run) -> dict[str, Any]:
    """Return the measures of a run, computed by all processes together and by each alone."""
    processes, _ = join_processes(torch.device("cpu"))
    bundle = load_bundle(run.folder, "cpu")
    split = run.open_split("validation")
    groups = {"together": processes, "alone": SINGLE_PROCESS}
    return {
        name: evaluate(bundle, split, 3, STANDARD_MEASURES, processes=group)
        for name, group in groups.items()
    }


def main(folder: Path) -> None:
    """Train all models, evaluate, resume a run of one process, then be killed during another run."""
    mock.patch.object(fitting, "VAETrainer", Recorder).start()
    without_noise = mock.patch.object(DiagonalGaussian, "sample", lambda self: self.mean)
    without_noise.start()
    for name in MODELS:
        textvae.train(
            folder / "corpus.txt", folder / f"{name}2", folder / f"{name}.yaml", device="cpu"
        )
    textvae.train(output=folder / "begun1", resume=True, device="cpu")
    processes, _ = join_processes(torch.device("cpu"))
    without_noise.stop()
    (folder / f"measures{processes.rank}.json").write_text(
        json.dumps(measure(Run(folder / "lstm2")))
    )
    without_noise.start()
    Recorder.last_step = LAST_BEFORE_STOP
    sys.exit(train(folder, "lstm", "begun2"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
