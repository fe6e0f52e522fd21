"""Exactly once: killed at any moment, on one process or several, under any engine, the rows are the same."""

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
from textvae.errors import ConfigError, OutputError
from textvae.runtime import files

ROOT = Path(__file__).parents[2]
HAS_RAY = importlib.util.find_spec("ray") is not None
KILL_ITSELF = """
import os, signal, sys
from pathlib import Path
from textvae import bulk
calls, replace = [], Path.replace
def dies(beside, file):
    calls.append(file)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(beside, file)
Path.replace = dies
bulk.run("score", sys.argv[1], sys.argv[2], sys.argv[3], shard_rows=7, device="cpu", samples=2)
"""


@pytest.fixture
def corpus(tmp_path):
    return write_files(tmp_path / "corpus")


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_killed_just_before_a_shard_gets_its_name(tiny_run, corpus, tmp_path, environment):
    """Written to the end but not there yet: it is done again, and no other is."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILL_ITSELF, str(tiny_run), str(out), str(corpus)]
    assert subprocess.run(command, check=False, cwd=tmp_path).returncode == -signal.SIGKILL
    assert (
        len(list(out.glob("part-*"))) == 3
    )  # the first of five was the plan, the fifth did not come about
    assert list(out.glob(".part-00003*"))
    record = bulk.run("score", tiny_run, out, str(corpus), shard_rows=ROWS, device="cpu", samples=2)
    assert record["written_now"] == record["shards"] - 3
    assert rows_in(out) == work("score", tiny_run, tmp_path / "whole", corpus, samples=2)
    assert not list(out.glob(".part-*"))


def test_killed_from_outside_at_any_moment(tiny_run, tmp_path, environment):
    """Some shards stand; the same command makes the others."""
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "textvae",
        "generate",
        str(tiny_run),
        "-n",
        "150",
        "--output",
        str(out),
    ]
    running = subprocess.Popen(
        [*command, "--shard-rows", "1", "--device", "cpu", "--json"], cwd=tmp_path
    )
    while running.poll() is None and len(list(out.glob("part-*"))) < 5:
        time.sleep(0.005)
    running.kill()
    running.wait()
    assert 5 <= len(list(out.glob("part-*"))) < 150
    rows = work("generate", tiny_run, out, count=150, shard_rows=1)
    assert rows == work("generate", tiny_run, tmp_path / "whole", count=150, shard_rows=1)
    assert [row["row"] for row in rows] == list(range(1, 151))


def test_two_ranks_write_the_same_rows_as_one_process(tiny_run, corpus, tmp_path, environment):
    """Started by torchrun, joined by gloo; one line is printed, not two."""
    ports = ["--standalone", "--nproc_per_node", "2"]
    script = [
        str(ROOT / "scripts" / "encode.py"),
        str(tiny_run),
        str(corpus),
        "--output",
        str(tmp_path / "out"),
    ]
    command = [sys.executable, "-m", "torch.distributed.run", *ports, *script]
    shown = subprocess.run(
        [*command, "--shard-rows", str(ROWS), "--device", "cpu", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert (
        shown.stdout.count('"rows": 61, "shards": 10, "written_now": 10')
        == len(shown.stdout.splitlines())
        == 1
    )
    assert rows_in(tmp_path / "out") == work("encode", tiny_run, tmp_path / "one", corpus)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_ranks_share_the_units_without_overlap_or_gap(ranks):
    """In stretches whose lengths differ by one at most."""
    shares = [slice_for_rank(list(range(7)), rank, ranks) for rank in range(ranks)]
    assert [unit for share in shares for unit in share] == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


needs_ray = pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")


@needs_ray
def test_ray_goes_on_with_what_another_engine_began(tiny_run, corpus, tmp_path, environment):
    """The shards do not tell who made them."""
    out = tmp_path / "out"
    before = work("score", tiny_run, out, corpus, samples=2)
    for number in (1, 4, 8):
        (out / f"part-0000{number}.parquet").unlink()
    assert work("score", tiny_run, out, corpus, samples=2, engine="ray") == before


@needs_ray
def test_an_error_in_an_actor_of_ray_comes_out_as_ours(tiny_run, corpus, tmp_path, environment):
    """Not wrapped in Ray's own; what stood before stays."""
    out = tmp_path / "out"
    work("encode", tiny_run, out, corpus)
    (out / "part-00008.parquet").unlink()
    (out / "part-00008.parquet.d").mkdir()
    (out / "part-00008.parquet.d").rename(out / "part-00008.parquet")
    with pytest.raises(OutputError, match="cannot be written"):
        work("encode", tiny_run, out, corpus, engine="ray")
    assert len([file for file in out.glob("part-*") if file.is_file()]) == 9


def test_without_ray_the_mend_is_named(tiny_run, tmp_path, monkeypatch):
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ConfigError, match=re.escape("engine = 'ray' wants Ray Data: pip install 'textvae[ray]'")
    ):
        bulk.run("generate", tiny_run, tmp_path / "out", count=3, engine="ray")
    assert not (tmp_path / "out").exists()


def test_a_file_that_another_process_is_writing_into_the_folder_stays(tmp_path):
    """Only temporary files of shards are swept: the lock is held for these alone."""
    out = tmp_path / "out"
    for name in ("z.npy", "part-00000.parquet"):
        out.mkdir(exist_ok=True)
        files._temporary(out / name, "new").touch()
    remove_partial_shards(out)
    assert [files.TEMPORARY.fullmatch(path.name)["stem"] for path in out.iterdir()] == ["z.npy"]
