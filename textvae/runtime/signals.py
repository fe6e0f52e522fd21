"""Signals that ask a program to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP of a closed terminal.

By default SIGTERM and SIGHUP end a process where it is, so nothing is tidied up. With
`StopSignals` they raise an exception as Ctrl-C does, and files that are being written are
removed on the way out. In a loop that can save its state, a signal is only noted, and the
loop ends when it has saved.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_STANDARD_STREAMS = (1, 2)  # file descriptors of standard output and standard error
_SIGNAL_EXIT_CODE = 128  # plus the number of the signal, as in shells

# Windows has no SIGHUP.
_STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# A closed terminal sends these to all of its processes, and so to workers, too.
_TERMINAL_SIGNALS = [number for number in _STOP_SIGNALS if number != signal.SIGTERM]


class StopSignals:
    """Handles the signals that ask this process to stop.

    Attributes:
        received: the first signal that came; None before it.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._process = os.getpid()
        self._is_deferred = False
        self._terminals = [stream for stream in _STANDARD_STREAMS if _is_terminal(stream)]

    @contextmanager
    def handle(self) -> Iterator[None]:
        """Handle the signals inside the block, and restore their handlers after it.

        A signal that the program ignores (as with nohup) or handles itself is left alone. Python
        allows handlers in the main thread only; in any other thread, nothing changes.
        """
        previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in _STOP_SIGNALS:
                handler = signal.getsignal(number)
                if handler in (signal.SIG_DFL, signal.default_int_handler):
                    previous[number] = handler
                    signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def defer(self) -> Iterator[None]:
        """Only note a signal inside the block, which has to call `stop` soon; a second one stops at once."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def stop(self) -> NoReturn:
        """Stop as the received signal asks.

        Raises:
            KeyboardInterrupt: for SIGINT, or if only another process has received a signal.
            SystemExit: for SIGTERM and SIGHUP, with the exit code that a shell has for them.
        """
        if self.received is None or self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(_SIGNAL_EXIT_CODE + self.received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if os.getpid() != self._process:
            _receive_in_worker(number)
            return
        is_first = self.received is None
        if is_first:
            self.received = signal.Signals(number)
        self._leave_closed_terminals()
        # torchrun sends SIGTERM in addition to the SIGINT of the terminal, so only a second
        # Ctrl-C is a wish to stop at once.
        if not self._is_deferred or (number == signal.SIGINT and not is_first):
            self.stop()

    def _leave_closed_terminals(self) -> None:
        """Send to nowhere what is written to a closed terminal; each message would raise an error."""
        for stream in self._terminals:
            if not _is_terminal(stream):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)


def ignore_terminal_signals() -> None:
    """Ignore in a worker process the signals that a terminal sends to all of its processes.

    The main process decides what happens, and its workers end with it.
    """
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _receive_in_worker(number: int) -> None:
    """Handle a signal in a worker process that was forked with the handlers of its main process."""
    if number in _TERMINAL_SIGNALS:
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _is_terminal(stream: int) -> bool:
    """Return whether a file descriptor is an open terminal."""
    try:
        return os.isatty(stream)
    except OSError:
        return False
