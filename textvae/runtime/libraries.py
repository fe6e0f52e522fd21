"""The settings of other libraries, which are changed for a while and then restored."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence transformers and datasets inside the block: only our own bar and messages are shown.

    Afterwards their verbosity and their progress bars are what they were.
    """
    verbosity = transformers_logging.get_verbosity()
    with hide_loading_bars(), hide_datasets_bars():
        transformers_logging.set_verbosity_error()
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)


@contextmanager
def hide_loading_bars() -> Iterator[None]:
    """Hide the progress bars of transformers and of the hub inside the block."""
    has_bars = transformers_logging.is_progress_bar_enabled()
    has_hub_bars = not are_progress_bars_disabled()
    with _no_warnings():
        transformers_logging.disable_progress_bar()  # and those of the hub
    try:
        yield
    finally:
        with _no_warnings():
            if has_bars:
                transformers_logging.enable_progress_bar()  # and those of the hub
                if not has_hub_bars:
                    disable_progress_bars()
            elif has_hub_bars:
                enable_progress_bars()


@contextmanager
def hide_datasets_bars() -> Iterator[None]:
    """Hide the progress bars of datasets inside the block."""
    import datasets  # takes long, and many verbs do not need it

    has_bars = not datasets.are_progress_bars_disabled()
    with _no_warnings():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if has_bars:
            datasets.enable_progress_bars()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide the warnings that a variable of the environment takes precedence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
