"""Interrupted and resumed runs: each ends exactly as the unbroken run does.

A killed run is what is on the disk at the moment of the kill. So most tests copy
the folder of an unbroken run at a chosen point and resume the copy. Two tests
really kill a process.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import textvae
from tests.corpora import write
from tests.tiny_run import SENTENCES, train_tiny
from textvae.errors import CheckpointError
from textvae.training import checkpoints
from textvae.training import fit as fitting
from textvae.training import schedule as schedule_module
from textvae.training.model_card import write_model_card
from textvae.training.trainer import VAETrainer

STREAM: dict[str, Any] = {"streaming": True, "buffer": 20, "sample": 100, "held_out_most": 8}
OPEN: dict[str, Any] = {
    "steps": None,
    "patience": 1,
    "evaluate_steps": 4,
    "learning_rate": 0.2,
    "most_epochs": 30,
}
RUNS: dict[str, dict[str, Any]] = {
    "default": {},
    "one worker": {"training": {"workers": 1}},
    "two workers": {"training": {"workers": 2, "steps": 24, "evaluations": 3}},
    "language model": {"objective": {"kind": "language_model"}, "training": {"logging_steps": 4}},
    "stream": {"data": STREAM},
    "stream with a worker": {"data": STREAM, "training": {"workers": 1}},
    "aggressive": {
        "objective": {"techniques": {"aggressive": {"window": 2, "most": 4}}},
        "training": {"workers": 1, "steps": 9, "evaluations": 3},
    },
    "autoencoder start": {"objective": {"techniques": {"autoencoder_start": {"share": 0.5}}}},
    "refit": {
        "objective": {"techniques": {"refit_posterior": {"share": 0.2}}},
        "training": {"steps": 20, "evaluations": 10},
    },
    "batch norm": {"model": {"posterior": {"kind": "batch_norm_gaussian"}}},
    "epochs": {
        "training": {"steps": None, "epochs": 1.5},
        "objective": {"techniques": {"word_dropout": {"rate": 0.3}}},
    },
    "whole epochs, accumulated": {
        "training": {"steps": None, "epochs": 2, "accumulate": 2, "evaluations": 4}
    },
    "minutes": {"training": {"steps": None, "max_minutes": 0.2, "evaluations": 4}},
    "open-ended": {"training": OPEN, "objective": {"techniques": {"target_kl": "off"}}},
    "open-ended with a refit": {
        "training": OPEN,
        "objective": {"techniques": {"target_kl": "off", "refit_posterior": {"share": 0.2}}},
    },
}
TIMES = ("tokens_per_second",)

# Seconds on a clock that only training steps and evaluations advance.
STEP_SECONDS = 0.75
EVALUATION_SECONDS = 0.5


@dataclass
class WatchedRun:
    """A run, copies of its folder after each checkpoint, and its trainer's state at the end."""

    folder: Path
    copies: dict[int, Path] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """The content of training.json, without what depends on the clock."""
        record = json.loads((self.folder / "training.json").read_text())
        history = [
            {name: entry[name] for name in entry if name not in TIMES}
            for entry in record["history"]
        ]
        return {"steps": record["steps"], "history": history, "stream": record.get("stream")}

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the finished model."""
        tensors: dict[str, torch.Tensor] = load_file(self.folder / "model.safetensors")
        return tensors


@contextmanager
def watch_run(folder: Path) -> Iterator[WatchedRun]:
    """Copy the run in `folder` after each checkpoint, and replace its clock."""
    watched = WatchedRun(folder)
    now = [0.0]
    finalize = VAETrainer.finalize_checkpoint
    training_step = VAETrainer.training_step
    evaluate = VAETrainer.evaluate
    evaluate_and_save = fitting.evaluate_and_save

    def copy_after_finalizing(trainer: VAETrainer) -> None:
        finalize(trainer)
        number = trainer.state.global_step
        watched.copies[number] = shutil.copytree(
            folder, folder.with_name(f"{folder.name}-killed-after-{number}")
        )

    def note_end(run: Any, trainer: VAETrainer, processes: Any) -> None:
        watched.end = read_end_state(trainer)
        evaluate_and_save(run, trainer, processes)

    def take_time(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def timed(*values: Any, **options: Any) -> Any:
            now[0] += seconds
            return function(*values, **options)

        return timed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VAETrainer, "finalize_checkpoint", copy_after_finalizing)
        patch.setattr(VAETrainer, "training_step", take_time(training_step, STEP_SECONDS))
        patch.setattr(VAETrainer, "evaluate", take_time(evaluate, EVALUATION_SECONDS))
        patch.setattr(fitting, "evaluate_and_save", note_end)
        patch.setattr(schedule_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        yield watched


def read_end_state(trainer: VAETrainer) -> dict[str, Any]:
    """Return the steps that each part of a trainer has counted, and its best checkpoint."""
    assert trainer.optimizer is not None
    assert trainer.lr_scheduler is not None
    return {
        "steps": (
            trainer.state.global_step,
            trainer.schedule.step,
            trainer.lr_scheduler.last_epoch,
        ),
        "optimizer": sorted({int(state["step"]) for state in trainer.optimizer.state.values()}),
        "encoder": trainer.schedule.encoder_steps,
        "techniques": trainer.objective.state_dict(),
        "best": (trainer.state.best_global_step, trainer.state.best_metric),
        "epoch": trainer.state.epoch,
        "random": torch.get_rng_state().sum(),
    }


def train(folder: Path, **changes: Any) -> WatchedRun:
    """Train a run to its end; a run on a stream reads a file next to it."""
    corpus: Any = SENTENCES
    if "data" in changes:
        corpus = str(write(folder.with_name("corpus.txt"), "\n".join(SENTENCES)))
    with watch_run(folder) as watched:
        train_tiny(folder, corpus, **changes)
    return watched


def resume(folder: Path) -> WatchedRun:
    """Resume a run and train it to its end."""
    with watch_run(folder) as watched:
        textvae.train(output=folder, resume=True, device="cpu")
    return watched


def copy_killed(unbroken: WatchedRun, step: int, folder: Path) -> Path:
    """Return a copy of a run, in `folder`, as it was after a checkpoint."""
    return shutil.copytree(unbroken.copies[step], folder / "killed")


def assert_same_end(unbroken: WatchedRun, resumed: WatchedRun) -> None:
    """Fail unless two runs ended with equal tensors, counts and records."""
    assert resumed.end == unbroken.end
    assert resumed.record == unbroken.record
    assert list_differing(unbroken.weights, resumed.weights) == []


def list_differing(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of the tensors that differ."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.fixture(scope="module")
def train_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], WatchedRun]:
    """Return a function that trains a run of the table once."""
    trained: dict[str, WatchedRun] = {}

    def once(name: str) -> WatchedRun:
        if name not in trained:
            trained[name] = train(tmp_path_factory.mktemp("unbroken") / "run", **RUNS[name])
        return trained[name]

    return once


@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_after_its_first_checkpoint_ends_as_the_unbroken_one(
    train_once, tmp_path, name
):
    """The property holds for all kinds of models, data and bounds."""
    unbroken = train_once(name)
    assert len(unbroken.copies) > 1
    assert_same_end(unbroken, resume(copy_killed(unbroken, min(unbroken.copies), tmp_path)))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_after_its_last_checkpoint_takes_no_further_step(train_once, tmp_path, name):
    """It only has to save the finished model."""
    unbroken = train_once(name)
    last = max(unbroken.copies)
    assert last == unbroken.record["steps"]
    resumed = resume(copy_killed(unbroken, last, tmp_path))
    assert resumed.copies == {}
    assert_same_end(unbroken, resumed)


def test_a_run_killed_in_its_cool_down_ends_when_the_unbroken_one_does(train_once, tmp_path):
    """The resumed run knows since when it has not improved, and when the cool-down ends."""
    unbroken = train_once("open-ended")
    cooling = [
        step for step, copy in unbroken.copies.items() if read_schedule(copy, step)["cooldown"]
    ]
    assert unbroken.record["steps"] < 100
    for step in (cooling[0] - OPEN["evaluate_steps"], cooling[0]):
        assert_same_end(unbroken, resume(copy_killed(unbroken, step, tmp_path / str(step))))


@pytest.mark.parametrize("step", [14, 16, 18])
def test_a_run_killed_around_its_refit_ends_as_the_unbroken_one(train_once, tmp_path, step):
    """It is killed before the refit, at its beginning, and in it."""
    unbroken = train_once("refit")
    assert read_schedule(unbroken.copies[18], 18)["refit_start"] == 16
    assert_same_end(unbroken, resume(copy_killed(unbroken, step, tmp_path)))


@pytest.mark.parametrize("step", [8, 16])
def test_a_refit_starts_from_the_best_checkpoint_of_the_main_phase(tmp_path, monkeypatch, step):
    """Also in a run that is resumed at the beginning of the refit, or before it."""
    monkeypatch.setattr(
        VAETrainer,
        "is_eligible_as_best",
        lambda trainer, kl: trainer.schedule.step == 4 or trainer.schedule.is_refitted,
    )
    unbroken = train(tmp_path / "run", **RUNS["refit"])
    best = load_file(unbroken.copies[4] / "checkpoint-4" / "model.safetensors")
    differing = list_differing(unbroken.weights, {name: best[name] for name in unbroken.weights})
    assert not any(name.startswith(("decoder.", "conditioning.")) for name in differing)
    resumed = resume(copy_killed(unbroken, step, tmp_path))
    assert_same_end(unbroken, resumed)


def read_schedule(copy: Path, step: int) -> dict[str, Any]:
    """Return the state of the schedule in a checkpoint."""
    state: dict[str, Any] = checkpoints.read_state(copy / f"checkpoint-{step}")["plan"]
    return state


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_beginning(train_once, tmp_path):
    """No checkpoint is left, and the seed is the same."""
    unbroken = train_once("two workers")
    first = min(unbroken.copies)
    copy = copy_killed(unbroken, first, tmp_path)
    shutil.rmtree(copy / f"checkpoint-{first}")
    assert_same_end(unbroken, resume(copy))


def test_the_time_of_an_evaluation_stays_used(train_once):
    """A checkpoint knows the time after its last step; the schedule follows that up to the step."""
    unbroken = train_once("minutes")
    step = min(unbroken.copies)
    schedule = read_schedule(unbroken.copies[step], step)
    assert schedule["seconds"] == step * STEP_SECONDS
    assert schedule["used"] == step * STEP_SECONDS + EVALUATION_SECONDS


@pytest.fixture
def early_best(monkeypatch) -> None:
    """Allow only the model of step 4 to become the best."""
    monkeypatch.setattr(
        VAETrainer, "is_eligible_as_best", lambda trainer, kl: trainer.schedule.step == 4
    )


@pytest.fixture
def overtaken(early_best, tmp_path) -> WatchedRun:
    """Return a run whose best checkpoint is the first of three."""
    return train(tmp_path / "run", training={"evaluations": 3})


@pytest.mark.parametrize("step", [4, 8, 12])
def test_the_best_model_is_kept_through_an_interruption(overtaken, step):
    """The finished weights are those of the best checkpoint, even if the folder was moved."""
    best = load_file(overtaken.copies[4] / "checkpoint-4" / "model.safetensors")
    last = load_file(overtaken.copies[12] / "checkpoint-12" / "model.safetensors")
    moved = overtaken.copies[step].rename(overtaken.folder.with_name("moved"))
    shutil.rmtree(overtaken.folder / "corpus")
    resumed = resume(moved)
    assert_same_end(overtaken, resumed)
    assert list_differing(resumed.weights, best) == []
    assert list_differing(resumed.weights, last) != []


def test_a_run_killed_while_it_is_being_finished_is_finished_later(
    train_once, tmp_path, monkeypatch
):
    """The final model was still in the staging folder."""

    def copy_run_first(run: Any, *rest: Any) -> None:
        shutil.copytree(run.folder, tmp_path / "killed")
        write_model_card(run, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "write_model_card", copy_run_first)
        train(tmp_path / "run")
    assert_same_end(train_once("default"), resume(tmp_path / "killed"))
    assert not list((tmp_path / "killed").glob("checkpoint-*"))


def delete(file: Path) -> None:
    """Delete a file."""
    file.unlink()


def empty(file: Path) -> None:
    """Remove the content of a file."""
    file.write_bytes(b"")


def truncate(file: Path) -> None:
    """Keep only the first half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_bit(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


STATES = (
    "rng_state.pth",
    "optimizer.pt",
    "scheduler.pt",
    "trainer_state.json",
    "textvae_state.json",
)


@pytest.mark.parametrize("damage", [delete, empty, truncate, flip_bit])
@pytest.mark.parametrize("name", [*STATES, "model.safetensors", "checksums.json"])
def test_a_checkpoint_with_a_damaged_file_is_not_complete(train_once, tmp_path, damage, name):
    """The random state is checked, too: without it a resumed run would draw other noise."""
    copy = copy_killed(train_once("default"), 6, tmp_path)
    assert checkpoints.find_newest_complete(copy) == copy / "checkpoint-6"
    damage(copy / "checkpoint-6" / name)
    assert checkpoints.find_newest_complete(copy) is None


def test_the_random_state_of_every_process_is_checked(train_once, tmp_path):
    """Several processes write a file each."""
    copy = copy_killed(train_once("default"), 6, tmp_path) / "checkpoint-6"
    state = copy / "rng_state.pth"
    for rank in (0, 1):
        shutil.copy(state, copy / f"rng_state_{rank}.pth")
    state.unlink()
    (copy / checkpoints.CHECKSUMS).unlink()
    checkpoints.write_checksums(copy)
    assert checkpoints.is_complete(copy)
    truncate(copy / "rng_state_1.pth")
    assert not checkpoints.is_complete(copy)


def test_a_run_continues_from_an_older_checkpoint_if_the_newest_is_damaged(overtaken, capsys):
    """It prints a warning, and ends as the unbroken run does."""
    truncate(overtaken.copies[12] / "checkpoint-12" / "rng_state.pth")
    resumed = resume(overtaken.copies[12])
    assert (
        "checkpoint-12/rng_state.pth is missing or damaged; the run continues from checkpoint-4"
        in capsys.readouterr().err
    )
    assert_same_end(overtaken, resumed)


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(train_once, tmp_path):
    """To start from the beginning would silently lose the training so far."""
    copy = copy_killed(train_once("default"), 6, tmp_path)
    empty(copy / "checkpoint-6" / "rng_state.pth")
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint is complete: .*rng_state\.pth is missing or damaged.*--overwrite",
    ):
        resume(copy)
    assert (copy / "checkpoint-6").is_dir()


def test_a_run_that_has_lost_its_best_checkpoint_is_refused(overtaken):
    """The finished run would silently get other weights."""
    shutil.rmtree(overtaken.copies[12] / "checkpoint-4")
    with pytest.raises(CheckpointError, match=r"no checkpoint is complete: .*checkpoint-4"):
        resume(overtaken.copies[12])


def update_checksums(checkpoint: Path) -> None:
    """Write the checksums of a checkpoint as it is now."""
    (checkpoint / checkpoints.CHECKSUMS).unlink()
    checkpoints.write_checksums(checkpoint)


def test_weights_that_lack_a_tensor_of_the_model_are_refused(train_once, tmp_path):
    """The file is intact, but the missing tensor would keep its initial value."""
    copy = copy_killed(train_once("default"), 6, tmp_path)
    file = copy / "checkpoint-6" / "model.safetensors"
    tensors = load_file(file)
    del tensors["decoder.bias"]
    save_file(tensors, file, {"format": "pt"})
    assert checkpoints.find_newest_complete(copy) is None
    update_checksums(copy / "checkpoint-6")
    with pytest.raises(CheckpointError, match=r"a checkpoint lacks decoder\.bias"):
        resume(copy)


class CreatesFile:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the function that loading the pickle calls, and its arguments."""
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["rng_state.pth", "optimizer.pt", "scheduler.pt"])
def test_no_code_in_a_checkpoint_is_executed(train_once, tmp_path, name):
    """The message does not suggest to load the pickle either."""
    copy = copy_killed(train_once("default"), 6, tmp_path)
    torch.save({"cpu": CreatesFile(tmp_path / "trace")}, copy / "checkpoint-6" / name)
    update_checksums(copy / "checkpoint-6")
    with pytest.raises(
        CheckpointError, match=r"does not fit this run \(a file holds pickled objects other than"
    ):
        resume(copy)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", ["{}", "[]", "null"])
def test_json_that_is_not_a_state_is_refused(train_once, tmp_path, content):
    """The file is well-formed JSON, and its checksum is right."""
    for name in ("trainer_state.json", "textvae_state.json"):
        copy = copy_killed(train_once("default"), 6, tmp_path / name)
        (copy / "checkpoint-6" / name).write_text(content)
        update_checksums(copy / "checkpoint-6")
        with pytest.raises(
            CheckpointError, match=f"{name} is missing or damaged|does not fit this run"
        ):
            resume(copy)


def test_a_foreign_file_in_a_checkpoint_is_left_alone(train_once, tmp_path):
    """Trainer would load it as the state of a scaler, which the run does not have."""
    copy = copy_killed(train_once("default"), 6, tmp_path)
    torch.save({}, copy / "checkpoint-6" / "scaler.pt")
    assert_same_end(train_once("default"), resume(copy))


def test_tensorboard_shows_each_step_once(tmp_path):
    """Steps that were logged before the interruption are replaced when they are logged again."""
    unbroken = train(tmp_path / "run", training={"trackers": ["tensorboard"], "logging_steps": 1})
    shutil.copytree(unbroken.folder / "logs", unbroken.copies[6] / "logs", dirs_exist_ok=True)
    resumed = resume(unbroken.copies[6])
    events = EventAccumulator(str(resumed.folder / "logs"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/kl")] == list(range(1, 13))


KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.tiny_run import train_tiny
from textvae.training.trainer import VAETrainer

finalize_checkpoint = VAETrainer.finalize_checkpoint

def kill_after_finalizing(trainer):
    finalize_checkpoint(trainer)
    if trainer.state.global_step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

VAETrainer.finalize_checkpoint = kill_after_finalizing
train_tiny(Path(sys.argv[1]), **json.loads(sys.argv[3]))
"""


@pytest.mark.parametrize(("name", "step"), [("two workers", 16), ("batch norm", 12)])
def test_a_process_that_was_killed_leaves_what_the_run_needs(train_once, tmp_path, name, step):
    """SIGKILL comes during an epoch that workers load, or after the last checkpoint."""
    unbroken = train_once(name)
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(tmp_path / "run"),
        str(step),
        json.dumps(RUNS[name]),
    ]
    null = subprocess.DEVNULL  # orphaned workers would keep a pipe open
    process = subprocess.run(command, check=False, env=environment, stdout=null, stderr=null)
    assert process.returncode == -signal.SIGKILL
    assert_same_end(unbroken, resume(tmp_path / "run"))
