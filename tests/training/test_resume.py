"""Interrupted and resumed: whatever the run, wherever it stopped, it ends as the unbroken run does.

A kill leaves what is on the disk at that moment, so a copy of the run folder taken at a chosen point of an unbroken
run is a killed run. Two tests kill a process for good measure.
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
from textvae.training import schedule as plan_module
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
}
TIMES = ("tokens_per_second",)
STEP, EVALUATION = 0.75, 0.5  # seconds of a clock that only these move


@dataclass
class Watched:
    """What a run left: copies of its folder as they were after each checkpoint, and its trainer's state at the end."""

    folder: Path
    copies: dict[int, Path] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """What the run says of itself, without the time of day."""
        record = json.loads((self.folder / "training.json").read_text())
        history = [
            {name: entry[name] for name in entry if name not in TIMES}
            for entry in record["history"]
        ]
        return {"steps": record["steps"], "history": history, "stream": record.get("stream")}

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The finished model's."""
        return load_file(self.folder / "model.safetensors")


@contextmanager
def watching(folder: Path) -> Iterator[Watched]:
    """Note what the run in `folder` does, on a clock that only training steps and evaluations move."""
    watched, now = Watched(folder), [0.0]
    publish, step, evaluate = VAETrainer.publish, VAETrainer.training_step, VAETrainer.evaluate

    def copy_after_publishing(trainer: VAETrainer) -> None:
        publish(trainer)
        number = trainer.state.global_step
        watched.copies[number] = shutil.copytree(
            folder, folder.with_name(f"{folder.name}-killed-after-{number}")
        )

    def note_end(run: Any, trainer: VAETrainer, processes: Any) -> None:
        watched.end = state_at_end(trainer)
        finish(run, trainer, processes)

    def take_time(work: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def timed(*values: Any, **options: Any) -> Any:
            now[0] += seconds
            return work(*values, **options)

        return timed

    finish = fitting.evaluate_and_save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VAETrainer, "publish", copy_after_publishing)
        patch.setattr(VAETrainer, "training_step", take_time(step, STEP))
        patch.setattr(VAETrainer, "evaluate", take_time(evaluate, EVALUATION))
        patch.setattr(fitting, "evaluate_and_save", note_end)
        patch.setattr(plan_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        yield watched


def state_at_end(trainer: VAETrainer) -> dict[str, Any]:
    """Return how many steps each part of a trainer has counted, and what it has found best."""
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


def train(folder: Path, **changes: Any) -> Watched:
    """Train to the end; a run on a stream reads a file next to it."""
    corpus: Any = SENTENCES
    if "data" in changes:
        corpus = str(write(folder.with_name("corpus.txt"), "\n".join(SENTENCES)))
    with watching(folder) as watched:
        train_tiny(folder, corpus, **changes)
    return watched


def resume(folder: Path) -> Watched:
    """Go on to the end."""
    with watching(folder) as watched:
        textvae.train(output=folder, resume=True, device="cpu")
    return watched


def killed(whole: Watched, step: int, folder: Path) -> Path:
    """Return a copy of a run, in `folder`, as it was after a checkpoint."""
    return shutil.copytree(whole.copies[step], folder / "killed")


def assert_same_end(straight: Watched, resumed: Watched) -> None:
    """Fail unless both ended alike: every tensor to the last bit, every count, every record."""
    assert resumed.end == straight.end
    assert resumed.record == straight.record
    assert differing(straight.weights, resumed.weights) == []


def differing(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of the tensors that are not the same."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Watched]:
    """Trains a run of the table, once."""
    trained: dict[str, Watched] = {}

    def once(name: str) -> Watched:
        if name not in trained:
            trained[name] = train(tmp_path_factory.mktemp("straight") / "run", **RUNS[name])
        return trained[name]

    return once


@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_after_its_first_checkpoint_ends_as_the_unbroken_one(straight, tmp_path, name):
    """Whatever is trained, and whatever bounds it."""
    whole = straight(name)
    assert len(whole.copies) > 1
    assert_same_end(whole, resume(killed(whole, min(whole.copies), tmp_path)))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_after_its_last_checkpoint_takes_no_further_step(straight, tmp_path, name):
    """It has only to be finished."""
    whole = straight(name)
    last = max(whole.copies)
    assert last == whole.record["steps"]
    resumed = resume(killed(whole, last, tmp_path))
    assert resumed.copies == {}
    assert_same_end(whole, resumed)


def test_a_run_killed_in_its_cool_down_ends_when_the_unbroken_one_does(straight, tmp_path):
    """It stopped improving, long before its bound; the interrupted one knows since when it has and when it ends."""
    whole = straight("open-ended")
    cooling = [step for step, copy in whole.copies.items() if plan_of(copy, step)["cooldown"]]
    assert whole.record["steps"] < 100
    for step in (cooling[0] - OPEN["evaluate_steps"], cooling[0]):
        assert_same_end(whole, resume(killed(whole, step, tmp_path / str(step))))


def plan_of(copy: Path, step: int) -> dict[str, Any]:
    """Return the plan as a checkpoint holds it."""
    plan: dict[str, Any] = checkpoints.read_state(copy / f"checkpoint-{step}")["plan"]
    return plan


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_beginning(straight, tmp_path):
    """Nothing that was trained is left, and the seed is the same."""
    whole = straight("two workers")
    first = min(whole.copies)
    copy = killed(whole, first, tmp_path)
    shutil.rmtree(copy / f"checkpoint-{first}")
    assert_same_end(whole, resume(copy))


def test_time_that_an_evaluation_took_stays_used(straight):
    """A checkpoint knows of the time after its last step; schedules go by the time up to that step."""
    whole = straight("minutes")
    step = min(whole.copies)
    plan = plan_of(whole.copies[step], step)
    assert plan["seconds"] == step * STEP
    assert plan["used"] == step * STEP + EVALUATION


@pytest.fixture
def early_best(monkeypatch) -> None:
    """Let only the model of step 4 become the best."""
    monkeypatch.setattr(VAETrainer, "is_eligible", lambda trainer, kl: trainer.schedule.step == 4)


@pytest.fixture
def overtaken(early_best, tmp_path) -> Watched:
    """A run whose best checkpoint is its first, of three."""
    return train(tmp_path / "run", training={"evaluations": 3})


@pytest.mark.parametrize("step", [4, 8, 12])
def test_the_best_model_is_kept_through_an_interruption(overtaken, step):
    """The finished weights are those of the best checkpoint, and not of the last, wherever the folder is now."""
    best, last = (
        load_file(overtaken.copies[n] / f"checkpoint-{n}" / "model.safetensors") for n in (4, 12)
    )
    moved = overtaken.copies[step].rename(overtaken.folder.with_name("moved"))
    shutil.rmtree(overtaken.folder / "corpus")
    resumed = resume(moved)
    assert_same_end(overtaken, resumed)
    assert differing(resumed.weights, best) == []
    assert differing(resumed.weights, last) != []


def test_a_run_killed_while_it_is_being_finished_is_finished_later(straight, tmp_path, monkeypatch):
    """The model is staged, its place is empty."""
    write_card = fitting.write_model_card

    def copy_first(run: Any, *rest: Any) -> None:
        shutil.copytree(run.folder, tmp_path / "killed")
        write_card(run, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "write_model_card", copy_first)
        train(tmp_path / "run")
    assert_same_end(straight("default"), resume(tmp_path / "killed"))
    assert not list((tmp_path / "killed").glob("checkpoint-*"))


def lose(file: Path) -> None:
    """Delete a file."""
    file.unlink()


def empty(file: Path) -> None:
    """Leave nothing in a file."""
    file.write_bytes(b"")


def tear(file: Path) -> None:
    """Leave the first half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
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


@pytest.mark.parametrize("harm", [lose, empty, tear, flip])
@pytest.mark.parametrize("name", [*STATES, "model.safetensors", "checksums.json"])
def test_a_checkpoint_with_a_damaged_file_is_not_whole(straight, tmp_path, harm, name):
    """Random state included: without it a resumed run would draw other noise."""
    copy = killed(straight("default"), 6, tmp_path)
    assert checkpoints.find_newest_complete(copy) == copy / "checkpoint-6"
    harm(copy / "checkpoint-6" / name)
    assert checkpoints.find_newest_complete(copy) is None


def test_the_random_state_of_every_process_is_looked_at(straight, tmp_path):
    """As several processes write them."""
    copy = killed(straight("default"), 6, tmp_path) / "checkpoint-6"
    state = copy / "rng_state.pth"
    for rank in (0, 1):
        shutil.copy(state, copy / f"rng_state_{rank}.pth")
    state.unlink()
    (copy / checkpoints.CHECKSUMS).unlink()
    checkpoints.write_checksums(copy)
    assert checkpoints.is_complete(copy)
    tear(copy / "rng_state_1.pth")
    assert not checkpoints.is_complete(copy)


def test_a_run_goes_on_from_an_older_checkpoint_where_the_newest_is_damaged(overtaken, capsys):
    """It says so, and ends as the unbroken one."""
    tear(overtaken.copies[12] / "checkpoint-12" / "rng_state.pth")
    resumed = resume(overtaken.copies[12])
    assert (
        "checkpoint-12/rng_state.pth is missing or damaged; the run goes on from checkpoint-4"
        in capsys.readouterr().err
    )
    assert_same_end(overtaken, resumed)


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_in_one_sentence(straight, tmp_path):
    """Starting from the beginning would be a silent loss."""
    copy = killed(straight("default"), 6, tmp_path)
    empty(copy / "checkpoint-6" / "rng_state.pth")
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint is whole: .*rng_state\.pth is missing or damaged.*--overwrite",
    ):
        resume(copy)
    assert (copy / "checkpoint-6").is_dir()


def test_a_run_that_has_lost_its_best_checkpoint_is_refused(overtaken):
    """Its finished weights would silently be others."""
    shutil.rmtree(overtaken.copies[12] / "checkpoint-4")
    with pytest.raises(CheckpointError, match=r"no checkpoint is whole: .*checkpoint-4"):
        resume(overtaken.copies[12])


def seal(checkpoint: Path) -> None:
    """Write the checksums of a checkpoint as it is now."""
    (checkpoint / checkpoints.CHECKSUMS).unlink()
    checkpoints.write_checksums(checkpoint)


def test_weights_that_lack_a_tensor_of_the_model_are_refused(straight, tmp_path):
    """Though the file is sound: the tensor would keep its first value."""
    copy = killed(straight("default"), 6, tmp_path)
    file = copy / "checkpoint-6" / "model.safetensors"
    tensors = load_file(file)
    del tensors["decoder.bias"]
    save_file(tensors, file, {"format": "pt"})
    assert checkpoints.find_newest_complete(copy) is None
    seal(copy / "checkpoint-6")
    with pytest.raises(CheckpointError, match=r"a checkpoint lacks decoder\.bias"):
        resume(copy)


class Pickled:
    """Leaves a file where a pickle of it is executed."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle reader is asked to call."""
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["rng_state.pth", "optimizer.pt", "scheduler.pt"])
def test_no_code_in_a_checkpoint_is_executed(straight, tmp_path, name):
    """Nor is there advice to execute it."""
    copy = killed(straight("default"), 6, tmp_path)
    torch.save({"cpu": Pickled(tmp_path / "trace")}, copy / "checkpoint-6" / name)
    seal(copy / "checkpoint-6")
    with pytest.raises(
        CheckpointError, match=r"does not fit this run \(a file holds a pickle of more than numbers"
    ):
        resume(copy)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", ["{}", "[]", "null"])
def test_a_state_that_is_none_is_refused(straight, tmp_path, content):
    """Well-formed JSON, and its checksum is right."""
    for name in ("trainer_state.json", "textvae_state.json"):
        copy = killed(straight("default"), 6, tmp_path / name)
        (copy / "checkpoint-6" / name).write_text(content)
        seal(copy / "checkpoint-6")
        with pytest.raises(
            CheckpointError, match=f"{name} is missing or damaged|does not fit this run"
        ):
            resume(copy)


def test_a_foreign_file_in_a_checkpoint_is_left_alone(straight, tmp_path):
    """The library would read it as the state of a scaler that the run does not have."""
    copy = killed(straight("default"), 6, tmp_path)
    torch.save({}, copy / "checkpoint-6" / "scaler.pt")
    assert_same_end(straight("default"), resume(copy))


def test_tensorboard_shows_each_step_once(tmp_path):
    """What was logged between the checkpoint and the interruption is forgotten when it is logged again."""
    whole = train(tmp_path / "run", training={"trackers": ["tensorboard"], "logging_steps": 1})
    shutil.copytree(whole.folder / "logs", whole.copies[6] / "logs", dirs_exist_ok=True)
    resumed = resume(whole.copies[6])
    events = EventAccumulator(str(resumed.folder / "logs"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/kl")] == list(range(1, 13))


KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.tiny_run import train_tiny
from textvae.training.trainer import VAETrainer

publish = VAETrainer.publish

def kill_after_publishing(trainer):
    publish(trainer)
    if trainer.state.global_step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

VAETrainer.publish = kill_after_publishing
train_tiny(Path(sys.argv[1]), **json.loads(sys.argv[3]))
"""


@pytest.mark.parametrize(("name", "step"), [("two workers", 16), ("batch norm", 12)])
def test_a_process_that_was_killed_leaves_what_the_run_needs(straight, tmp_path, name, step):
    """SIGKILL amid an epoch that workers load, and after the last checkpoint."""
    whole = straight(name)
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(tmp_path / "run"),
        str(step),
        json.dumps(RUNS[name]),
    ]
    null = subprocess.DEVNULL  # its orphaned workers would hold a pipe open
    process = subprocess.run(command, check=False, env=environment, stdout=null, stderr=null)
    assert process.returncode == -signal.SIGKILL
    assert_same_end(whole, resume(tmp_path / "run"))
