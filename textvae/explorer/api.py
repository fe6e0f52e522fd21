"""The API of the explorer: one endpoint per action, typed by the action's own signature."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.actions.compare_actions import CompareActions
from textvae.explorer.actions.inside_actions import InsideActions
from textvae.explorer.actions.map_actions import MapActions
from textvae.explorer.actions.training_actions import TrainingActions
from textvae.explorer.actions.walk_actions import WalkActions
from textvae.explorer.actions.write_actions import WriteActions
from textvae.explorer.page import QUEUE
from textvae.explorer.shared_run import SharedRun

P = ParamSpec("P")
R = TypeVar("R")


def list_actions(run: SharedRun, other: SharedRun | None) -> dict[str, Callable[..., object]]:
    """Return the actions by the name of their endpoint."""
    on_map = MapActions(run)
    write = WriteActions(run)
    inside = InsideActions(run)
    both = CompareActions(run, other)
    methods: list[Callable[..., object]] = [
        on_map.map_points,
        on_map.search,
        on_map.decode_at,
        on_map.locate,
        WalkActions(run).walk,
        write.sample,
        write.complete,
        write.fill_blanks,
        write.reconstruct,
        write.vary,
        write.edit,
        write.attributes,
        inside.dimensions,
        inside.traverse,
        inside.nearest,
        inside.surprisal,
        inside.anomaly,
        inside.verdict,
        TrainingActions(run).progress,
        both.compare,
        both.compare_samples,
    ]
    return {method.__name__: method for method in methods}


def add_endpoints(run: SharedRun, other: SharedRun | None) -> None:
    """Add an endpoint for each action to the app that is being built."""
    for name, action in list_actions(run, other).items():
        gr.api(_report_errors(action), api_name=name, **QUEUE)


def _report_errors(action: Callable[P, R]) -> Callable[P, R]:
    """Return an action whose errors reach the client as messages, without a traceback here."""

    @wraps(action)
    def answer(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return action(*arguments, **options)
        except TextVAEError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return answer
