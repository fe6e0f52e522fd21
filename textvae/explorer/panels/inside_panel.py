"""The panel Inside: what the latent and the model do with one sentence, and as a whole."""

from collections.abc import Callable
from typing import Any, ParamSpec

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.actions.inside_actions import InsideActions
from textvae.explorer.limits import MAX_CHARACTERS
from textvae.explorer.page import QUEUE, Page, answer_html, answer_json, make_component
from textvae.explorer.panels.map_panel import MapPanel
from textvae.explorer.rendering import (
    render_anomaly,
    render_dimensions,
    render_hint,
    render_message,
    render_neighbors,
    render_surprisal,
    render_titled,
    render_verdict,
)
from textvae.explorer.walk import MAX_STEPS

P = ParamSpec("P")

_SURPRISAL = "Surprisal per token"
_GAUGE = "How unusual"
_NEIGHBORS = "Nearest sentences"
_DIMENSIONS = "Dimensions of the latent"
_VERDICT = "Is the latent used?"
_VERDICT_HINT = (
    "The doctor looks at the validation sentences, and says what is wrong with the model and what "
    "to change. That takes some seconds, unless the run has been evaluated."
)


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
            surprisal = _place_hint(_SURPRISAL, "Write a sentence, and press Look.")
            gauge = _place_hint(_GAUGE, "Where the sentence is among held-out ones.")
            neighbors = _place_hint(_NEIGHBORS, "The sentences of the map that are nearest to it.")
        with gr.Column(scale=2, min_width=320):
            dimensions = _place_hint(_DIMENSIONS, "The KL of each dimension.")
            with gr.Row():
                dimension = gr.Number(0, label="Dimension", precision=0, minimum=0, min_width=100)
                steps = gr.Slider(2, MAX_STEPS, 7, step=1, label="Steps", min_width=140)
            traverse = gr.Button("Move this dimension")
            strip = make_component(
                "strip", "The sentence, decoded while one dimension of its latent moves."
            )
    verdict = _place_hint(_VERDICT, _VERDICT_HINT)
    judge = gr.Button("Ask the doctor", size="sm")

    def move(sentence: str, number: float, count: float, label: str | None) -> dict[str, object]:
        """Decode the sentence while a dimension moves; the middle step is the reconstruction."""
        places = actions.traverse(sentence, number, int(count), label)  # type: ignore[arg-type]
        return {"steps": places, "start": len(places) // 2}

    def on_sentence(title: str, render: Callable[[str, str | None], str]) -> Any:
        """Return the handler of a part that shows something about the sentence."""
        return _under_title(title, answer_html(render))

    parts = {
        surprisal: on_sentence(
            _SURPRISAL, lambda one, label: render_surprisal(actions.surprisal(one, label))
        ),
        gauge: on_sentence(_GAUGE, lambda one, label: render_anomaly(actions.anomaly(one, label))),
        neighbors: on_sentence(
            _NEIGHBORS, lambda one, label: render_neighbors(actions.nearest(one))
        ),
    }
    for output, handler in parts.items():
        triggers = [button.click, text.submit]
        gr.on(triggers, handler, [text, page.label], output, api_visibility="private", **QUEUE)
    traverse.click(
        answer_json(move),
        [text, dimension, steps, page.label],
        strip,
        api_visibility="private",
        **QUEUE,
    )
    take.click(None, map_panel.first, text, js="(text) => text")

    def open_panel(number: float) -> tuple[str, Any, str]:
        """Show the KL of each dimension, choose the one with the highest, and a saved verdict."""
        try:
            found = actions.dimensions()
            saved = actions.saved_verdict()
        except TextVAEError as error:
            return render_titled(_DIMENSIONS, render_message(str(error))), gr.skip(), gr.skip()
        return (
            render_titled(_DIMENSIONS, render_dimensions(found)),
            gr.skip() if number else found[0]["dimension"],
            gr.skip() if saved is None else render_titled(_VERDICT, render_verdict(saved)),
        )

    def ask_doctor() -> str:
        """Show what the doctor says."""
        return render_verdict(actions.verdict())

    tab.select(
        open_panel,
        dimension,
        [dimensions, dimension, verdict],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    judge.click(
        _under_title(_VERDICT, answer_html(ask_doctor)),
        None,
        verdict,
        api_visibility="private",
        **QUEUE,
    )


def _place_hint(title: str, hint: str) -> gr.HTML:
    """Add a part of the panel, which says what it will show."""
    return gr.HTML(render_titled(title, render_hint(hint)))


def _under_title(title: str, render: Callable[P, str]) -> Callable[P, str]:
    """Return a handler that shows what another one returns below a title."""

    def handle(*arguments: P.args, **options: P.kwargs) -> str:
        return render_titled(title, render(*arguments, **options))

    return handle
