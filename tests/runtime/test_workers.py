"""Workers where Python cannot fork: the user's script is not started again in each of them."""

import json
import multiprocessing
import subprocess
import sys
import textwrap

import pytest

from textvae.runtime.workers import choose_worker_context

# It has no `if __name__ == "__main__"`, as most short scripts.
SCRIPT = """
import multiprocessing
import sys

multiprocessing.set_start_method(sys.argv[1])
print("the script runs")

import textvae
from tests.tiny_run import SENTENCES, SETTINGS

sections = {**SETTINGS, "data": {"processes": 2}}
sections["training"] = {**SETTINGS["training"], "workers": 1, "steps": 3}
textvae.train(60 * SENTENCES, output=sys.argv[2], device="cpu", **sections)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_script_without_a_guard_trains_with_workers(tmp_path, method):
    """Tokenizing and loading both start processes, the former only for thousands of sentences."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), method, str(tmp_path / "run")]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("the script runs") == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_forked_workers_start_as_torch_starts_them():
    """Without workers, DataLoader accepts no context."""
    is_fork = multiprocessing.get_start_method() == "fork"
    assert (choose_worker_context(1) is None) == is_fork
    assert choose_worker_context(0) is None


def test_choosing_a_context_does_not_fix_the_start_method():
    """The user's program can choose one afterwards."""
    code = """
    import json, multiprocessing
    from textvae.runtime.workers import choose_worker_context
    choose_worker_context(1)
    multiprocessing.set_start_method("spawn")
    print(json.dumps(choose_worker_context(1) is not None))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(process.stdout)
