"""Ctrl-C, SIGTERM and SIGHUP: a run saves a checkpoint, and continues as if it had not been stopped."""

import contextlib
import json
import multiprocessing
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from safetensors.torch import load_file

import textvae
from tests.corpora import write
from tests.tiny_run import SENTENCES, train_tiny, write_corpus
from textvae.cli.main import main
from textvae.runtime.signals import StopSignals
from textvae.training import preparation
from textvae.training import train as training
from textvae.training.trainer import VAETrainer

STOPPED_AFTER = 4  # of 12 steps; evaluations are after 6 and 12
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
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
    "two workers": {"training": {"workers": 2}},
    "stream": {"data": STREAM},
    "aggressive": {"objective": {"techniques": {"aggressive": {"window": 2, "most": 4}}}},
    "accumulated": {"training": {"accumulate": 2}},
    "open-ended": {"training": OPEN, "objective": {"techniques": {"target_kl": "off"}}},
}


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Let the signals have their usual effect, as in a terminal; a background job ignores SIGINT."""
    usual = dict.fromkeys(SIGNALS, signal.SIG_DFL)
    previous = {}
    for number, handler in (usual | {signal.SIGINT: signal.default_int_handler}).items():
        previous[number] = signal.signal(number, handler)
    yield
    for number, before in previous.items():
        signal.signal(number, before)


def send_in_step(monkeypatch, number, step=STOPPED_AFTER, times=1):
    """Send a signal to this process in the middle of a training step."""
    training_step = VAETrainer.training_step

    def send_and_train(trainer, *batch, **options):
        if trainer.state.global_step == step - 1:
            for _ in range(times):
                signal.raise_signal(number)
        return training_step(trainer, *batch, **options)

    monkeypatch.setattr(VAETrainer, "training_step", send_and_train)


def train(folder, name="default"):
    """Train a run of the table; a run on a stream reads a file next to it."""
    corpus: Any = SENTENCES
    if "data" in RUNS[name]:
        corpus = str(write(folder.with_name("corpus.txt"), "\n".join(SENTENCES)))
    train_tiny(folder, corpus, **RUNS[name])


def stop(folder, monkeypatch, number=signal.SIGTERM, name="default"):
    """Train until a signal stops the run; return the exception."""
    with monkeypatch.context() as patch:
        send_in_step(patch, number)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as stopped:
            train(folder, name)
    return stopped.value


def list_differing(one, other):
    """Return the names of the tensors of two runs that differ."""
    weights = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert weights[0].keys() == weights[1].keys()
    return [name for name in weights[0] if not weights[0][name].equal(weights[1][name])]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_step_saves_a_checkpoint_of_that_step(tmp_path, monkeypatch, number):
    """No evaluation was due. The handlers are restored."""
    before = [signal.getsignal(each) for each in SIGNALS]
    stop(tmp_path / "run", monkeypatch, number)
    checkpoints = [path.name for path in (tmp_path / "run").glob("checkpoint-*")]
    assert checkpoints == [f"checkpoint-{STOPPED_AFTER}"]
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("name", RUNS)
def test_a_run_stopped_by_a_signal_ends_as_the_unbroken_one(tmp_path, monkeypatch, name):
    """An additional checkpoint changes neither the weights nor the log."""
    for folder in ("unbroken", "stopped"):
        (tmp_path / folder).mkdir()
    train(tmp_path / "unbroken" / "run", name)
    stop(tmp_path / "stopped" / "run", monkeypatch, name=name)
    textvae.train(output=tmp_path / "stopped" / "run", resume=True, device="cpu")
    assert list_differing(tmp_path / "unbroken" / "run", tmp_path / "stopped" / "run") == []
    histories = []
    for folder in ("unbroken", "stopped"):
        log = json.loads((tmp_path / folder / "run" / "training.json").read_text())
        histories.append([{**entry, "tokens_per_second": 0} for entry in log["history"]])
    assert histories[0] == histories[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_terminating_signals_exit_with_their_code(tmp_path, monkeypatch, capsys, number, code):
    """The message says what was saved, and how to continue and to finish."""
    stopped = stop(tmp_path / "run", monkeypatch, number)
    assert stopped.code == code
    printed = capsys.readouterr().err
    assert (
        f"stopped by {number.name}. The last checkpoint is {tmp_path}/run/checkpoint-4" in printed
    )
    assert f"textvae train --output {tmp_path}/run --resume" in printed
    assert f"textvae finish {tmp_path}/run" in printed
    assert "\\n" not in printed


def test_ctrl_c_exits_with_130_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    """On the command line, no traceback is printed."""
    send_in_step(monkeypatch, signal.SIGINT)
    arguments = ["training.batch_tokens=64", "model.encoder.hidden=8", "training.trackers=[]"]
    corpus = str(write_corpus(tmp_path))
    assert main(["train", corpus, "--output", str(tmp_path / "run"), *arguments]) == 130
    printed = capsys.readouterr().err
    assert f"interrupted. The last checkpoint is {tmp_path}/run/checkpoint-4" in printed
    assert printed.count("textvae finish") == 1
    assert "\\n" not in printed


def test_a_second_ctrl_c_stops_at_once(tmp_path, monkeypatch):
    """No checkpoint is saved, and the run can start from its beginning."""
    send_in_step(monkeypatch, signal.SIGINT, times=2)
    with pytest.raises(KeyboardInterrupt, match="There is no checkpoint yet"):
        train(tmp_path / "run")
    assert not list((tmp_path / "run").glob("checkpoint-*"))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_preparation_leaves_nothing(tmp_path, monkeypatch, capsys, number):
    """The message says so; the exception or the exit code is that of the signal."""
    prepare = preparation.prepare_run

    def send_after_preparing(*values):
        prepare(*values)
        signal.raise_signal(number)

    monkeypatch.setattr(training, "prepare_run", send_after_preparing)
    with pytest.raises((KeyboardInterrupt, SystemExit)) as stopped:
        train(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    printed = str(stopped.value) + capsys.readouterr().err
    assert f"Nothing was written to {tmp_path}/run: run the same command again" in printed


def test_a_signal_while_a_run_is_being_replaced_leaves_the_old_run(tiny_run, tmp_path, monkeypatch):
    """The old run is complete, and nothing is next to it."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    monkeypatch.setattr(training, "prepare_run", lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit):
        train_tiny(run, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert sorted(path.name for path in run.iterdir()) == sorted(
        path.name for path in tiny_run.iterdir()
    )


def test_a_signal_that_the_program_ignores_or_handles_is_left_alone():
    """SIGHUP is ignored under nohup, and a program may have a handler of its own."""
    received = []
    previous = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: received.append("TERM")),
    }
    signals = StopSignals()
    try:
        with signals.handle():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    assert (signals.received, received) == (None, ["TERM"])


def test_training_in_another_thread_changes_no_handlers(tmp_path):
    """Python allows handlers in the main thread only; training works all the same."""
    failures = []

    def run():
        try:
            train(tmp_path / "run")
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


def test_loading_workers_survive_the_ctrl_c_of_a_terminal(tmp_path, monkeypatch):
    """A terminal sends it to all processes; the main one decides, and needs its workers until then."""
    training_step = VAETrainer.training_step
    interrupted = []

    def interrupt_workers(trainer, *batch, **options):
        for worker in multiprocessing.active_children():
            assert worker.pid
            os.kill(worker.pid, signal.SIGINT)
            interrupted.append(worker.pid)
        return training_step(trainer, *batch, **options)

    monkeypatch.setattr(VAETrainer, "training_step", interrupt_workers)
    train(tmp_path / "run", "two workers")
    assert len(set(interrupted)) == 2
    assert (tmp_path / "run" / "model.safetensors").is_file()


TRAIN_FOREVER = """
import sys
from pathlib import Path
from tests.tiny_run import train_tiny
train_tiny(Path(sys.argv[1]), training={"steps": 1000000, "evaluations": 10000})
"""


def test_a_run_whose_terminal_is_closed_saves_a_checkpoint(tmp_path):
    """Its messages have nowhere to go; that must not keep it from saving."""
    main_end, terminal = pty.openpty()
    command = [sys.executable, "-c", TRAIN_FOREVER, str(tmp_path / "run")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(terminal), os.O_RDWR)),
    )
    os.close(terminal)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
        os.set_blocking(main_end, False)
        with contextlib.suppress(BlockingIOError):
            os.read(main_end, 100_000)
    os.close(main_end)  # the terminal sends SIGHUP to its processes
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    steps = [int(path.name.split("-")[1]) for path in (tmp_path / "run").glob("checkpoint-*")]
    assert max(steps) % 100  # evaluations are at multiples of 100
