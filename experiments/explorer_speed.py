"""Measure how long the explorer takes to show its page, and for each action: one user, no other work.

    python experiments/explorer_speed.py RUN [--repeats 5]

It starts `textvae explore RUN` on 127.0.0.1 and waits for the map. The page is loaded in headless
Chromium (its first contentful paint counts), and each action is called through the API. The numbers
are medians in seconds.
"""

import argparse
import shutil
import statistics
import time
from typing import Any

from explorer_load import OTHER, SENTENCE, start_server, wait_for_map
from gradio_client import Client
from playwright.sync_api import sync_playwright

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("map_points", {}),
    ("search", {"words": "table"}),
    ("decode_at", {"x": 0.5, "y": -0.5}),
    ("locate", {"text": SENTENCE}),
    ("walk", {"first": SENTENCE, "second": OTHER}),
    ("walk", {"first": SENTENCE, "second": OTHER, "path": "density"}),
    ("sample", {"n": 10}),
    ("complete", {"prefix": "a man"}),
    ("fill_blanks", {"text": "a man ___ a wave on a ___."}),
    ("reconstruct", {"text": SENTENCE}),
    ("vary", {"text": SENTENCE}),
    ("edit", {"text": SENTENCE}),
    ("dimensions", {}),
    ("traverse", {"text": SENTENCE}),
    ("nearest", {"text": SENTENCE}),
    ("surprisal", {"text": SENTENCE}),
    ("anomaly", {"text": SENTENCE}),
    ("verdict", {}),
    ("progress", {}),
]
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    """Print a line per action."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    server, address = start_server(options.run)
    try:
        wait_for_map(address)
        print("| action | median, s | slowest, s |\n|---|---|---|")
        report("first paint of the page", measure_paint(address, options.repeats))
        client = Client(address, verbose=False)
        for name, arguments in CALLS:
            seconds = []
            for _ in range(options.repeats):
                start = time.perf_counter()
                client.predict(**arguments, api_name=f"/{name}")
                seconds.append(time.perf_counter() - start)
            report(f"`/{name}` {arguments.get('path', '')}", seconds)
    finally:
        server.terminate()
        server.wait()


def measure_paint(address: str, repeats: int) -> list[float]:
    """Return the seconds until the page shows something, each time without a cache."""
    seconds = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(repeats):
            page = browser.new_page()
            page.goto(address, wait_until="load")
            page.wait_for_function(f"{_PAINT.split('.startTime')[0]} !== undefined")
            seconds.append(float(page.evaluate(_PAINT)) / 1000)
            page.close()
        browser.close()
    return seconds


def report(what: str, seconds: list[float]) -> None:
    """Print a row of the table."""
    print(f"| {what} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |", flush=True)


if __name__ == "__main__":
    main()
