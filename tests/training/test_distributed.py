"""Several processes train, evaluate and resume as one process does.

Most tests here share one launch of two processes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import textvae
from tests import two_processes
from tests.two_processes import LAST_BEFORE_STOP, MODELS, Recorder
from textvae.data.batch_shares import share_buckets
from textvae.data.batching import LengthBuckets
from textvae.errors import ConfigError
from textvae.model.posteriors import DiagonalGaussian
from textvae.runtime.processes import Processes
from textvae.runtime.seeds import derive_noise_seed
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints
from textvae.training import fit as fitting

pytestmark = pytest.mark.xdist_group("distributed")  # so that one worker makes the launch

EPOCH = 10  # batches
COMPARED_KEYS = (
    "encoder_steps",
    "loss",
    "reconstruction",
    "kl",
    "kl_weight",
    "grad_norm",
    "learning_rate",
    "eval_elbo",
    "eval_mi_full",
)


@pytest.fixture(scope="module")
def launch(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    """Train all runs with one process, then with two; the last of the second is killed."""
    folder = tmp_path_factory.mktemp("distributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "VAETrainer", Recorder)
        patch.setattr(DiagonalGaussian, "sample", lambda self: self.mean)
        for name in MODELS:
            two_processes.write_settings(folder, name)
            textvae.train(
                folder / "corpus.txt", folder / f"{name}1", folder / f"{name}.yaml", device="cpu"
            )
        patch.setattr(Recorder, "last_step", LAST_BEFORE_STOP)
        with pytest.raises(KeyboardInterrupt):
            textvae.train(
                folder / "corpus.txt", folder / "begun1", folder / "lstm.yaml", device="cpu"
            )
        patch.setattr(Recorder, "last_step", sys.maxsize)
        command = [
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            "-m",
            "tests.two_processes",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        job = subprocess.run(
            [sys.executable, "-m", *command, str(folder)],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        yield folder, job


@pytest.fixture(scope="module")
def folder(launch: tuple[Path, Any]) -> Path:
    """Return the folder of the runs and their records."""
    assert (launch[0] / "measures1.json").is_file(), launch[1].stderr
    return launch[0]


def read_records(folder: Path, run: str, rank: int = 0, count: int = 1) -> list[dict[str, Any]]:
    """Return the records of a process, one per batch."""
    return [
        json.loads(line)
        for line in (folder / f"{run}.{rank}of{count}.jsonl").read_text().splitlines()
    ]


def list_sentences(batches: list[dict[str, Any]]) -> list[list[tuple[int, ...]]]:
    """Return the sentences of each batch, without padding."""
    return [
        [tuple(token for token in row if token >= 0) for row in batch["seen"]] for batch in batches
    ]


def read_history(run: Path) -> list[dict[str, float]]:
    """Return the losses and measures that were logged."""
    entries = json.loads((run / "training.json").read_text())["history"]
    return [{name: entry[name] for name in COMPARED_KEYS if name in entry} for entry in entries]


def assert_same_history(one: Path, other: Path) -> None:
    """Fail unless two runs have logged the same, up to rounding."""
    first = read_history(one)
    second = read_history(other)
    assert len(first) == len(second) > EPOCH
    for mine, yours in zip(first, second, strict=True):
        assert mine == pytest.approx(yours, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_give_the_gradients_of_one(folder, name):
    """Also with unequal shares, batch statistics and accumulated batches."""
    alone = load_file(folder / f"{name}1.0of1.gradients")
    for rank in (0, 1):
        together = load_file(folder / f"{name}2.{rank}of2.gradients")
        assert together.keys() == alone.keys()
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_give_the_losses_and_measures_of_one(folder, name):
    """They agree at every step up to rounding, which adds up over the run."""
    assert_same_history(folder / f"{name}1", folder / f"{name}2")


@pytest.mark.parametrize("name", MODELS)
def test_each_process_sees_its_own_share_of_every_batch(folder, name):
    """The shares are disjoint and complete, and differ by at most one sentence."""
    shares = [list_sentences(read_records(folder, f"{name}2", rank, 2)) for rank in (0, 1)]
    whole = list_sentences(read_records(folder, f"{name}1"))
    for one, other, both in zip(*shares, whole, strict=True):
        assert sorted(one + other) == sorted(both)
        assert len(one) - len(other) in (0, 1)
    assert any(len(both) % 2 for both in whole)


@pytest.mark.parametrize("name", MODELS)
def test_the_state_of_techniques_agrees_across_processes(folder, name):
    """It is equal on both to the last bit, and up to rounding to that of a single process."""
    one, other = (read_records(folder, f"{name}2", rank, 2) for rank in (0, 1))
    for mine, yours, alone in zip(one, other, read_records(folder, f"{name}1"), strict=True):
        assert mine["state"] == yours["state"]
        assert mine["state"]["target_kl"] == pytest.approx(alone["state"]["target_kl"], abs=1e-4)
    assert mine["state"]["target_kl"] != {"log_weight": 0.0}


def test_each_process_draws_different_noise(folder):
    """Each has a different seed; the first has the seed of a run of one process."""
    alone, *together = (
        read_records(folder, *run)[0]["seed"]
        for run in (("lstm1",), ("lstm2", 0, 2), ("lstm2", 1, 2))
    )
    assert together == [alone, derive_noise_seed(alone, step=0, rank=1)]
    assert len(set(together)) == 2


def test_measures_do_not_depend_on_the_number_of_processes(folder):
    """They are equal to the last bit, including noise and importance samples."""
    records = [json.loads((folder / f"measures{rank}.json").read_text()) for rank in (0, 1)]
    assert records[0]["together"]["iw_nll"] > 0
    assert (
        records[0]["together"]
        == records[0]["alone"]
        == records[1]["together"]
        == records[1]["alone"]
    )


def test_a_run_of_one_process_is_resumed_by_two(folder):
    """Batches and losses are those of an unbroken run; each epoch has every sentence once."""
    start = find_resumed_step(folder, "begun1", count=2)
    before = list_sentences(read_records(folder, "begun1"))[:start]
    shares = [list_sentences(read_records(folder, "begun1", rank, 2)) for rank in (0, 1)]
    batches = before + [one + other for one, other in zip(*shares, strict=True)]
    assert_two_whole_epochs(batches, list_sentences(read_records(folder, "lstm1")))
    assert_same_history(folder / "begun1", folder / "lstm1")


def test_a_killed_process_stops_the_job_with_a_message(launch, folder):
    """The message comes once, with the command to continue, and a complete checkpoint is left."""
    job = launch[1]
    assert job.returncode != 0
    assert job.stderr.count("textvae train: another process of this run has died") == 1
    assert f"textvae train --output {folder / 'begun2'} --resume" in job.stderr
    assert checkpoints.find_newest_complete(folder / "begun2") is not None
    assert not (folder / "begun2" / "model.safetensors").exists()


def test_a_run_of_two_processes_is_resumed_by_one(folder):
    """One of the two was killed before."""
    textvae.train(output=folder / "begun2", resume=True, device="cpu")
    start = find_resumed_step(folder, "begun2", count=1)
    shares = [list_sentences(read_records(folder, "begun2", rank, 2))[:start] for rank in (0, 1)]
    batches = [one + other for one, other in zip(*shares, strict=True)] + list_sentences(
        read_records(folder, "begun2")
    )
    assert_two_whole_epochs(batches, list_sentences(read_records(folder, "lstm1")))
    assert_same_history(folder / "begun2", folder / "lstm1")


def find_resumed_step(folder: Path, run: str, count: int) -> int:
    """Return the step at which `count` processes resumed, and check that it is inside an epoch."""
    start = read_records(folder, run, 0, count)[0]["step"]
    assert 0 < start <= LAST_BEFORE_STOP
    assert start % EPOCH
    return int(start)


def assert_two_whole_epochs(
    batches: list[list[tuple[int, ...]]], unbroken: list[list[tuple[int, ...]]]
) -> None:
    """Fail unless the batches are those of the unbroken run, and an epoch has each sentence once."""
    assert [sorted(batch) for batch in batches] == [sorted(batch) for batch in unbroken]
    first, second = (sorted(chain(*batches[start : start + EPOCH])) for start in (0, EPOCH))
    assert len(batches) == 2 * EPOCH
    assert first == second
    assert len(set(first)) == len(first)


LENGTHS = np.random.default_rng(0).integers(1, 40, 203)


@pytest.mark.parametrize("processes", [3, 8, 50])
def test_too_small_batches_are_refused_with_a_sufficient_budget(processes):
    """With the budget that the message names, every batch has a sentence for each process."""
    with pytest.raises(
        ConfigError, match=r"batch_tokens = 64 .* smallest batch is 1.*batch_tokens=\d+"
    ) as refusal:
        share_buckets(LENGTHS, TrainingSettings(batch_tokens=64), Processes(0, processes))
    budget = int(str(refusal.value).split("batch_tokens=")[1].split(",")[0])
    assert (
        share_buckets(
            LENGTHS, TrainingSettings(batch_tokens=budget), Processes(0, processes)
        ).smallest_batch
        >= processes
    )


def test_more_processes_than_sentences_are_refused_without_a_budget():
    """No budget would be enough, so the message asks for fewer processes."""
    with pytest.raises(
        ConfigError, match=r"each of the 300 .*\. Reduce the number of processes to 1\."
    ):
        share_buckets(LENGTHS, TrainingSettings(batch_tokens=64), Processes(0, 300))
    with pytest.raises(ConfigError, match=r"training\.batch_sentences = 2"):
        share_buckets(LENGTHS, TrainingSettings(batch_sentences=2), Processes(0, 3))


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_shares_make_up_the_batches_of_one_process(processes):
    """Together they have the same sentences, whatever the number of processes."""
    whole = LengthBuckets(LENGTHS, 400, None, seed=1)
    shares = [LengthBuckets(LENGTHS, 400, None, 1, rank, processes) for rank in range(processes)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(chain(*parts)) == sorted(batch)
        assert all(parts)


def test_a_sum_over_processes_does_not_change_its_argument(monkeypatch):
    """The meter uses its sums again after it has added them up."""
    monkeypatch.setattr("torch.distributed.all_reduce", lambda total, group: total.mul_(2))
    values = torch.tensor([1.0, 2.0])
    assert Processes(0, 2).sum(values).tolist() == [2.0, 4.0]
    assert values.tolist() == [1.0, 2.0]
