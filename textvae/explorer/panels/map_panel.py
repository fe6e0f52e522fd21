"""The panel Map."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.actions.map_actions import MapActions, describe_wait, pack_map
from textvae.explorer.limits import MAX_CHARACTERS
from textvae.explorer.page import QUEUE, Page, make_component
from textvae.explorer.rendering import render_hint, render_message


@dataclass(frozen=True)
class MapPanel:
    """The components of the map that other panels use."""

    map: gr.HTML
    first: gr.Textbox
    second: gr.Textbox


def build_map_panel(page: Page) -> MapPanel:
    """Build the panel."""
    run = page.run
    actions = MapActions(run)

    def points(_: Any = None) -> dict[str, Any]:
        """Return the packed points, or how far the map is."""
        if run.has_weights():
            run.start_map()
        latent_map = run.latent_map
        return describe_wait(run) if latent_map is None else pack_map(latent_map)

    def sentences(_: Any = None) -> list[str]:
        """Return the sentences of the points."""
        return run.require_map().sentences.texts

    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            component = make_component("map", server_functions=[points, sentences])
        with gr.Column(scale=2, min_width=300):
            first = gr.Textbox(label="Sentence A", lines=2, max_length=MAX_CHARACTERS)
            second = gr.Textbox(label="Sentence B", lines=2, max_length=MAX_CHARACTERS)
            here = gr.Textbox(
                label="Decoded from the place you clicked",
                lines=2,
                interactive=False,
                placeholder="Click between the points",
                buttons=["copy"],
            )
            note = gr.HTML(
                render_hint(
                    "A click on a point picks A, the next one B. A click between the points "
                    "decodes that place. Then go to Walk."
                )
            )
            with gr.Row():
                to_first = gr.Button("Use as A", size="sm")
                to_second = gr.Button("Use as B", size="sm")

    def pick(event: gr.EventData) -> tuple[Any, Any]:
        """Put the picked sentence into its box."""
        text = str(event.text)[:MAX_CHARACTERS]
        return (text, gr.skip()) if event.name == "a" else (gr.skip(), text)

    def decode(label: str | None, event: gr.EventData) -> tuple[str, str]:
        """Decode the clicked place."""
        try:
            place = actions.decode_at(event.x, event.y, label)
        except TextVAEError as error:
            return "", render_message(str(error))
        text = place["text"] or "(an empty text)"
        if place["log_likelihood"] is None:
            return text, ""
        return text, f'<p class="tv-note">log-likelihood {place["log_likelihood"]:.1f} nats</p>'

    component.pick(pick, None, [first, second], queue=False, api_visibility="private")
    component.place(decode, [page.label], [here, note], api_visibility="private", **QUEUE)
    copy = "(text) => text"
    to_first.click(None, here, first, js=copy)
    to_second.click(None, here, second, js=copy)
    return MapPanel(component, first, second)
