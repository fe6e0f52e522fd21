"""The panel Look inside."""

import gradio as gr

from textvae.explorer.actions.inside_actions import InsideActions
from textvae.explorer.limits import MAX_CHARACTERS
from textvae.explorer.page import QUEUE, Page, answer_html, answer_json, make_component
from textvae.explorer.panels.map_panel import MapPanel
from textvae.explorer.rendering import (
    render_anomaly,
    render_dimensions,
    render_hint,
    render_neighbors,
    render_surprisal,
    render_verdict,
)
from textvae.explorer.walk import MAX_STEPS


def build_inside_panel(page: Page, map_panel: MapPanel, tab: gr.Tab) -> None:
    """Build the panel; the model's own figures are computed when its tab is opened."""
    actions = InsideActions(page.run)
    with gr.Row():
        text = gr.Textbox(label="Sentence", max_length=MAX_CHARACTERS, scale=4)
        with gr.Column(scale=1, min_width=140):
            button = gr.Button("Look", variant="primary")
            take = gr.Button("Take A from the map", size="sm")
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            _title("Surprisal per token")
            surprisal = gr.HTML(render_hint("Write a sentence, and press Look."))
            _title("How unusual")
            gauge = gr.HTML(render_hint("Where the sentence is among held-out ones."))
            _title("Nearest sentences")
            neighbors = gr.HTML(render_hint("The sentences of the map that are nearest to it."))
        with gr.Column(scale=2, min_width=320):
            _title("Dimensions of the latent")
            dimensions = gr.HTML(render_hint("The KL of each dimension."))
            with gr.Row():
                dimension = gr.Number(0, label="Dimension", precision=0, minimum=0, min_width=100)
                steps = gr.Slider(2, MAX_STEPS, 7, step=1, label="Steps", min_width=140)
            traverse = gr.Button("Move this dimension")
            strip = make_component(
                "strip", "The sentence, decoded while one dimension of its latent moves."
            )
            _title("Is the latent used?")
            verdict = gr.HTML(render_hint("The doctor's verdict, with its reasons."))

    def move(sentence: str, number: float, count: float, label: str | None) -> dict[str, object]:
        """Decode the sentence while a dimension moves; the middle step is the reconstruction."""
        places = actions.traverse(sentence, number, int(count), label)  # type: ignore[arg-type]
        return {"steps": places, "start": len(places) // 2}

    handlers = {
        surprisal: lambda sentence, label: render_surprisal(actions.surprisal(sentence, label)),
        gauge: lambda sentence, label: render_anomaly(actions.anomaly(sentence, label)),
        neighbors: lambda sentence, label: render_neighbors(actions.nearest(sentence)),
    }
    for output, handler in handlers.items():
        gr.on(
            [button.click, text.submit],
            answer_html(handler),
            [text, page.label],
            output,
            api_visibility="private",
            **QUEUE,
        )
    traverse.click(
        answer_json(move),
        [text, dimension, steps, page.label],
        strip,
        api_visibility="private",
        **QUEUE,
    )
    take.click(None, map_panel.first, text, js="(text) => text")
    tab.select(
        answer_html(lambda: render_dimensions(actions.dimensions())),
        None,
        dimensions,
        api_visibility="private",
        **QUEUE,
    )
    tab.select(
        answer_html(lambda: render_verdict(actions.verdict())),
        None,
        verdict,
        api_visibility="private",
        **QUEUE,
    )


def _title(text: str) -> None:
    """Add a title over a part of the panel."""
    gr.HTML(f'<h3 class="tv-title">{text}</h3>')
