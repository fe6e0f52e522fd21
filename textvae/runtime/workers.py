"""Worker processes of torch's DataLoader: how they start, and which signals they ignore.

Where Python cannot fork (Windows, macOS, and Linux from Python 3.14 on), a new process
imports the user's script again, to find what the script defines. A script that does not begin
with `if __name__ == "__main__"` would then train a second time in each worker. Our workers need
nothing from the script, so they start without it.
"""

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from textvae.runtime.signals import ignore_terminal_signals


def choose_worker_context(workers: int) -> SpawnContext | None:
    """Return how a DataLoader should start its workers; None for torch's default.

    Args:
        workers: the number of workers; DataLoader refuses a context without any.
    """
    # The first of all methods is the default. Asking for the method itself would fix it, and the
    # user's program could not choose another one any more.
    method = multiprocessing.get_start_method(allow_none=True)
    if workers == 0 or (method or multiprocessing.get_all_start_methods()[0]) == "fork":
        return None
    return _ScriptlessContext()


def prepare_worker(worker: int) -> None:
    """Leave Ctrl-C and a closed terminal to the main process; a DataLoader calls it in each worker."""
    ignore_terminal_signals()


class _ScriptlessProcess(SpawnProcess):
    """A process that does not import the script that was started."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's name
        """Start the process while the script has no name."""
        with _hide_script():
            return SpawnProcess._Popen(process_obj)


class _ScriptlessContext(SpawnContext):
    """A start method like `spawn`, whose processes do not import the script."""

    Process = _ScriptlessProcess


@contextmanager
def _hide_script() -> Iterator[None]:
    """Remove for a moment the names by which multiprocessing finds the script."""
    main = sys.modules["__main__"]
    hidden = {name: main.__dict__.pop(name, None) for name in ("__file__", "__spec__")}
    main.__spec__ = None
    try:
        yield
    finally:
        for name, value in hidden.items():
            if value is not None:
                setattr(main, name, value)
