"""The worker of a comparison: a process that executes the verbs of one run, one after another.

Its one argument is the list of verbs with their arguments, as JSON. Its standard input
is a pipe from the comparison, on which nothing is ever sent: when the pipe closes, the
comparison has ended, and the worker ends too. Otherwise the worker of a killed
comparison would go on training next to the comparison that continues it.
"""

import json
import os
import sys
from pathlib import Path
from threading import Thread

from textvae.cli import main as cli

_ORPHANED_EXIT_CODE = 3


def main(arguments: list[str]) -> int:
    """Execute the verbs; return the exit code of the first that fails, or 0."""
    Thread(target=_end_with_parent, daemon=True).start()
    for verb, *rest in json.loads(arguments[0]):
        if verb == "summarize":  # not a verb of the command line
            _write_model_summary(*rest)
            continue
        code = cli.main([verb, *rest])
        if code:
            return code
    return 0


def _end_with_parent() -> None:
    """Wait until standard input is closed, then end the process."""
    # Not sys.stdin.read: its buffer has a lock, which a normal exit would wait for.
    os.read(sys.stdin.fileno(), 1)
    os._exit(_ORPHANED_EXIT_CODE)


def _write_model_summary(folder: str, _: str = "--device", device: str | None = None) -> None:
    """Save a summary of a run's model in its folder, for the report of the comparison.

    The parameters are the words of the command `summarize FOLDER [--device DEVICE]`.
    """
    from textvae.comparison.report.model_summary import SUMMARY_FILE, summarize_model
    from textvae.inference.checkpoint import load_bundle
    from textvae.runs.run import Run

    run = Run(Path(folder))
    run.write_json(SUMMARY_FILE, summarize_model(run, load_bundle(folder, device)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
