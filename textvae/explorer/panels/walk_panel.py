"""The panel Walk."""

from typing import Any

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.actions.walk_actions import WalkActions
from textvae.explorer.limits import MAX_CHARACTERS
from textvae.explorer.page import QUEUE, Page, make_component, to_json
from textvae.explorer.panels.map_panel import MapPanel
from textvae.explorer.walk import MAX_STEPS

_PATHS = [
    ("straight", "linear"),
    ("spherical", "spherical"),
    ("where sentences are dense", "density"),
]


def build_walk_panel(page: Page, map_panel: MapPanel) -> None:
    """Build the panel."""
    actions = WalkActions(page.run)
    with gr.Row():
        first = gr.Textbox(label="From A", lines=2, max_length=MAX_CHARACTERS)
        second = gr.Textbox(label="To B", lines=2, max_length=MAX_CHARACTERS)
    with gr.Row():
        path = gr.Radio(_PATHS, value="linear", label="Path", scale=3)
        steps = gr.Slider(2, MAX_STEPS, 9, step=1, label="Steps", scale=2)
    button = gr.Button("Walk", variant="primary")
    strip = make_component(
        "strip", "Write two sentences, or pick them on the map, and walk from one to the other."
    )

    def show_walk(
        start: str, end: str, kind: str, count: float, label: str | None
    ) -> tuple[str, Any]:
        """Walk, and draw the path on the map."""
        try:
            places = actions.walk(start, end, kind, int(count), label)
        except TextVAEError as error:
            return to_json({"message": str(error)}), gr.skip()
        reply = to_json({"steps": places})
        if places[0]["x"] is None:
            return reply, gr.skip()
        path_on_map = [[place["x"], place["y"]] for place in places]
        ends = [{"x": x, "y": y} for x, y in (path_on_map[0], path_on_map[-1])]
        return reply, to_json({"a": ends[0], "b": ends[1], "path": path_on_map})

    gr.on(
        [button.click, first.submit, second.submit],
        show_walk,
        [first, second, path, steps, page.label],
        [strip, map_panel.map],
        api_visibility="private",
        show_progress_on=strip,
        **QUEUE,
    )
    # What is picked on the map is what the walk begins with, and the other way round.
    copy = "(text) => text"
    for here, there in ((first, map_panel.first), (second, map_panel.second)):
        there.change(None, there, here, js=copy)
        here.input(None, here, there, js=copy)
