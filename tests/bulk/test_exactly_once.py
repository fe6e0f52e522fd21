"""Every row is written exactly once: after kills, on several processes, under any engine."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bulk.shards import ROWS, rows_in, work, write_files
from textvae import bulk
from textvae.bulk.engines.ranks import slice_for_rank
from textvae.bulk.shards import remove_partial_shards
from textvae.bulk.units import Unit
from textvae.errors import ConfigError, OutputError
from textvae.runtime import files

ROOT = Path(__file__).parents[2]
HAS_RAY = importlib.util.find_spec("ray") is not None
# Each file gets its name by a rename. The first one is the plan, so the fifth is the fourth shard.
KILL_AT_THE_FIFTH_RENAME = """
import os, signal, sys
from pathlib import Path
from textvae import bulk

calls = []
original = Path.replace

def replace(temporary, file):
    calls.append(file)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(temporary, file)

Path.replace = replace
bulk.run("score", sys.argv[1], sys.argv[2], sys.argv[3], shard_rows=7, device="cpu", samples=2)
"""


@pytest.fixture
def corpus(tmp_path):
    return write_files(tmp_path / "corpus")


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_shard_that_was_not_renamed_is_made_again(tiny_run, corpus, tmp_path, environment):
    """The job is killed just before the rename; the shards that it finished before stay."""
    out = tmp_path / "out"
    script = [sys.executable, "-c", KILL_AT_THE_FIFTH_RENAME]
    command = [*script, str(tiny_run), str(out), str(corpus)]
    assert subprocess.run(command, check=False, cwd=tmp_path).returncode == -signal.SIGKILL
    assert len(list(out.glob("part-*"))) == 3
    assert list(out.glob(".part-00003*"))
    record = bulk.run("score", tiny_run, out, str(corpus), shard_rows=ROWS, device="cpu", samples=2)
    assert record is not None
    assert record["written_now"] == record["shards"] - 3
    assert rows_in(out) == work("score", tiny_run, tmp_path / "unbroken", corpus, samples=2)
    assert not list(out.glob(".part-*"))


def test_a_job_that_was_killed_from_outside_continues(tiny_run, tmp_path, environment):
    """The same command keeps the finished shards and makes the others."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "textvae", "generate", str(tiny_run), "-n", "150"]
    options = ["--output", str(out), "--shard-rows", "1", "--device", "cpu", "--json"]
    running = subprocess.Popen([*command, *options], cwd=tmp_path)
    while running.poll() is None and len(list(out.glob("part-*"))) < 5:
        time.sleep(0.005)
    running.kill()
    running.wait()
    assert 5 <= len(list(out.glob("part-*"))) < 150
    rows = work("generate", tiny_run, out, n=150, shard_rows=1)
    assert rows == work("generate", tiny_run, tmp_path / "unbroken", n=150, shard_rows=1)
    assert [row["row"] for row in rows] == list(range(1, 151))


def test_two_ranks_write_the_same_rows_as_one_process(tiny_run, corpus, tmp_path, environment):
    """The ranks are started by torchrun and connected by gloo; one of them prints a record."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    script = [str(ROOT / "scripts" / "encode.py"), str(tiny_run), str(corpus)]
    options = ["--output", str(tmp_path / "out"), "--shard-rows", str(ROWS), "--device", "cpu"]
    finished = subprocess.run(
        [*launcher, "--nproc_per_node", "2", *script, *options, "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert len(finished.stdout.splitlines()) == 1
    assert '"rows": 61, "shards": 10, "written_now": 10' in finished.stdout
    assert rows_in(tmp_path / "out") == work("encode", tiny_run, tmp_path / "one", corpus)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_ranks_share_the_units_without_overlap_or_gap(ranks):
    """Their slices are contiguous, and their lengths differ by one at most."""
    units = [Unit(number, 0, 1) for number in range(7)]
    shares = [slice_for_rank(units, rank, ranks) for rank in range(ranks)]
    assert [unit for share in shares for unit in share] == units
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


needs_ray = pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")


@needs_ray
def test_ray_continues_what_another_engine_began(tiny_run, corpus, tmp_path, environment):
    """Shards do not depend on the engine that made them."""
    out = tmp_path / "out"
    before = work("score", tiny_run, out, corpus, samples=2)
    for number in (1, 4, 8):
        (out / f"part-0000{number}.parquet").unlink()
    assert work("score", tiny_run, out, corpus, samples=2, engine="ray") == before


@needs_ray
def test_an_error_in_a_ray_actor_keeps_its_own_type(tiny_run, corpus, tmp_path, environment):
    """The error is not wrapped in one of Ray's, and the finished shards remain."""
    out = tmp_path / "out"
    work("encode", tiny_run, out, corpus)
    # A folder with the name of a shard makes the shard impossible to write.
    (out / "part-00008.parquet").unlink()
    (out / "part-00008.parquet.d").mkdir()
    (out / "part-00008.parquet.d").rename(out / "part-00008.parquet")
    with pytest.raises(OutputError, match="cannot be written"):
        work("encode", tiny_run, out, corpus, engine="ray")
    assert len([file for file in out.glob("part-*") if file.is_file()]) == 9


def test_a_missing_ray_is_refused_with_the_command_that_installs_it(
    tiny_run, tmp_path, monkeypatch
):
    """The error is raised before anything is written."""
    monkeypatch.setitem(sys.modules, "ray", None)
    message = "engine = 'ray' needs Ray Data: pip install 'textvae[ray]'"
    with pytest.raises(ConfigError, match=re.escape(message)):
        bulk.run("generate", tiny_run, tmp_path / "out", n=3, engine="ray")
    assert not (tmp_path / "out").exists()


def test_a_file_that_another_process_is_writing_into_the_folder_stays(tmp_path):
    """Only temporary files of shards are removed, because the lock keeps out only bulk jobs."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("z.npy", "part-00000.parquet"):
        files._temporary(out / name, "new").touch()
    remove_partial_shards(out)
    matches = [files.TEMPORARY.fullmatch(path.name) for path in out.iterdir()]
    assert [match and match["stem"] for match in matches] == ["z.npy"]
