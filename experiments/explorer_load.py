"""Let many users at once use the explorer on this machine, and report errors, times and memory.

    python experiments/explorer_load.py RUN [--users 50] [--rounds 3]

It starts `textvae explore RUN` on 127.0.0.1, waits for the map, and lets every user call the
API a few times in each round. The number of calls is fixed, so it ends by itself.
"""

import argparse
import re
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from gradio_client import Client

SENTENCE = "a man riding a wave on a surfboard."
OTHER = "a plate of food on a table."
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/sample", {"n": 5}),
    ("/walk", {"first": SENTENCE, "second": OTHER}),
    ("/nearest", {"text": SENTENCE}),
    ("/surprisal", {"text": SENTENCE}),
    ("/decode_at", {"x": 0.5, "y": -0.5}),
    ("/search", {"words": "table"}),
    ("/reconstruct", {"text": ""}),  # a mistake, whose message is the right answer
]


def main() -> None:
    """Run the rounds and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=len(CALLS))
    options = parser.parse_args()
    server, address = start_server(options.run)
    try:
        wait_for_map(address)
        users = [Client(address, verbose=False) for _ in range(options.users)]
        print(f"{options.users} users, {read_memory(server.pid)} MB before the first round")
        for number in range(1, options.rounds + 1):
            started = time.perf_counter()
            seconds, errors = run_round(users, options.calls)
            wall = time.perf_counter() - started
            print(
                f"round {number}: {len(seconds)} calls in {wall:.1f} s, {len(errors)} errors, "
                f"median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s, "
                f"{read_memory(server.pid)} MB"
            )
            for error in errors[:3]:
                print(f"  {error}")
    finally:
        server.terminate()
        server.wait()


def start_server(run: str) -> tuple["subprocess.Popen[str]", str]:
    """Start the explorer; return its process and its address."""
    command = [sys.executable, "-m", "textvae", "explore", run]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            # Nobody else reads what it prints, and a full pipe would stop it.
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return server, found[0]
    raise SystemExit("the explorer did not start")


def wait_for_map(address: str) -> None:
    """Wait until an action that needs the map succeeds."""
    client = Client(address, verbose=False)
    for _ in range(600):
        try:
            client.predict(words="a", n=1, api_name="/search")
            return
        except Exception:
            time.sleep(1)
    raise SystemExit("the map was not ready after ten minutes")


def run_round(users: list[Client], calls: int) -> tuple[list[float], list[str]]:
    """Let all users make their calls at the same time; return the times and the errors."""
    seconds: list[float] = []
    errors: list[str] = []

    def use(number: int) -> None:
        for name, arguments in islice(cycle(CALLS), number, number + calls):
            started = time.perf_counter()
            try:
                users[number].predict(**arguments, api_name=name)
            except Exception as error:
                if "is empty" not in str(error):
                    errors.append(f"{name}: {error}")
            seconds.append(time.perf_counter() - started)

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(use, range(len(users))))
    return seconds, errors


def read_memory(process: int) -> int:
    """Return the resident memory of a process in megabytes (on Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) // 1024 if found else 0


if __name__ == "__main__":
    main()
