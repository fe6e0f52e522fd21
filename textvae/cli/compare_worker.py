"""The worker: the process of one run, that does its verbs one after another.

It is started with its verbs as JSON, and a standard input on which nothing
comes: when that closes, whoever started it is gone, and it ends too. Otherwise
a comparison that was killed would train on beside the one that goes on.
"""

import json
import os
import sys
from pathlib import Path
from threading import Thread

from textvae.cli import main as cli

_ORPHANED_EXIT_CODE = 3  # the exit code


def main(arguments: list[str]) -> int:
    """Do the verbs; return the exit code of the first that fails."""
    Thread(target=_end_with_parent, daemon=True).start()
    for verb, *rest in json.loads(arguments[0]):
        if verb == "summarize":
            _write_model_summary(*rest)
        elif code := cli.main([verb, *rest]):
            return code
    return 0


def _end_with_parent() -> None:
    """Wait until standard input closes, then end."""
    os.read(sys.stdin.fileno(), 1)  # no buffer, whose lock would be held at the end
    os._exit(_ORPHANED_EXIT_CODE)


def _write_model_summary(folder: str, _: str = "--device", device: str | None = None) -> None:
    """Save the summary of a run's model, for the report, in its folder."""
    from textvae.comparison.report.model_summary import SUMMARY_FILE, summarize_model
    from textvae.inference.checkpoint import load_bundle
    from textvae.runs.run import Run

    run = Run(Path(folder))
    run.write_json(SUMMARY_FILE, summarize_model(run, load_bundle(folder, device)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
