"""What the panels share: components of our own, and how an action's result or error is shown.

A component of our own is a fixed template and a script, which gets its data as JSON in the
component's value. Its script sets texts as text nodes, so no sentence can add markup. The
template is never filled in from data: Gradio evaluates templates as JavaScript.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, ParamSpec

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.rendering import render_message
from textvae.explorer.shared_run import SharedRun

P = ParamSpec("P")

# Actions that use the model run one at a time; the others wait in Gradio's queue.
QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}


@dataclass(frozen=True)
class Page:
    """The runs that a page shows, and the components that several panels use.

    Attributes:
        other: the run to compare with, if any.
        label: the label that a conditional model decodes with; hidden for other models.
    """

    run: SharedRun
    other: SharedRun | None
    label: gr.Dropdown


def read_asset(name: str) -> str:
    """Return a file of the folder `assets`."""
    return (files("textvae.explorer") / "assets" / name).read_text(encoding="utf-8")


def make_component(name: str, hint: str = "", **options: Any) -> gr.HTML:
    """Return a component of our own: the template and the script of this name.

    Args:
        hint: what it shows as long as there is nothing else.
    """
    return gr.HTML(
        value=to_json({"hint": hint}),
        html_template=read_asset(f"{name}.html"),
        js_on_load=read_asset(f"{name}.js"),
        apply_default_css=False,
        **options,
    )


def to_json(reply: Any) -> str:
    """Return the value of a component of our own."""
    return json.dumps(reply, ensure_ascii=False)


def answer_json(action: Callable[P, dict[str, Any]]) -> Callable[P, str]:
    """Return a handler for a component of our own: an error becomes a message in its place."""

    def handle(*arguments: P.args, **options: P.kwargs) -> str:
        try:
            return to_json(action(*arguments, **options))
        except TextVAEError as error:
            return to_json({"message": str(error)})

    return handle


def answer_html(action: Callable[P, str]) -> Callable[P, str]:
    """Return a handler for a plain HTML component: an error becomes a message in its place."""

    def handle(*arguments: P.args, **options: P.kwargs) -> str:
        try:
            return action(*arguments, **options)
        except TextVAEError as error:
            return render_message(str(error))

    return handle
