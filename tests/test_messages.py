"""Messages: printed on standard error by default, and silenced or redirected as Python's logging is."""

import logging
import subprocess
import sys

import pytest

from textvae.messages import (
    LOGGER,
    prepare_logger,
    print_lines,
    print_note,
    print_warning,
    quiet,
)


@pytest.fixture
def bare_logger():
    """Return the logger as it is before `import textvae`, and restore it afterwards."""
    before = (LOGGER.handlers, LOGGER.level, LOGGER.propagate)
    LOGGER.handlers, LOGGER.propagate = [], True
    LOGGER.setLevel(logging.NOTSET)
    yield LOGGER
    LOGGER.handlers, LOGGER.propagate = before[0], before[2]
    LOGGER.setLevel(before[1])


class Collector(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a message."""
        self.records.append(record)


def print_all():
    """Print one message of each kind."""
    print_note("a note with \x1b and 100% of it")
    print_warning("a warning")
    print_lines("two\nlines")


def test_messages_are_printed_on_standard_error(capsys):
    """Notes and warnings say what they are, and have no control characters."""
    print_all()
    output = capsys.readouterr()
    assert output.out == ""
    expected = "note: a note with \\x1b and 100% of it\nwarning: a warning\ntwo\nlines\n"
    assert output.err == expected


def test_a_quiet_block_prints_warnings_only(capsys):
    """A level that is set already stays."""
    with quiet():
        print_all()
    with quiet(False):
        print_note("again")
    assert capsys.readouterr().err == "warning: a warning\nnote: again\n"


def test_a_level_and_handlers_of_the_program_are_kept(bare_logger, capsys):
    """They may be set before textvae is imported; then nothing is printed in addition."""
    handler = Collector()
    bare_logger.addHandler(handler)
    bare_logger.setLevel(logging.WARNING)
    prepare_logger()
    print_all()
    assert [record.getMessage() for record in handler.records] == ["a warning"]
    assert bare_logger.handlers == [handler]
    assert bare_logger.propagate
    assert capsys.readouterr().err == ""


def test_a_program_that_configures_logging_sees_each_message_once(bare_logger, capsys, caplog):
    """The handlers of the root logger get them only if the program asks for it."""
    prepare_logger()
    prepare_logger()
    print_warning("once")
    assert capsys.readouterr().err == "warning: once\n"
    assert caplog.messages == []
    bare_logger.propagate = True
    print_warning("twice")
    assert caplog.messages == ["twice"]


def test_importing_textvae_prepares_the_logger():
    """It imports neither tqdm nor torch for it."""
    code = (
        "import logging, sys, textvae; "
        "print(len(logging.getLogger('textvae').handlers), 'tqdm' in sys.modules, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "False", "False"]
