"""The panel Compare."""

import gradio as gr

from textvae.explorer.actions.compare_actions import MAX_SENTENCES, CompareActions
from textvae.explorer.limits import MAX_CHARACTERS
from textvae.explorer.page import QUEUE, Page, answer_html
from textvae.explorer.rendering import render_comparison, render_hint, render_samples


def build_compare_panel(page: Page) -> None:
    """Build the panel; with one run, it says how to start the explorer with two."""
    actions = CompareActions(page.run, page.other)
    if page.other is None:
        gr.HTML(
            render_hint(
                "Start the explorer with two runs to see them side by side: "
                "textvae explore RUN --compare RUN2"
            )
        )
        return
    names = (page.run.name, page.other.name)
    with gr.Row():
        text = gr.Textbox(
            label=f"Sentences, one per line (up to {MAX_SENTENCES})",
            lines=4,
            max_length=MAX_CHARACTERS * MAX_SENTENCES,
            scale=4,
        )
        with gr.Column(scale=1, min_width=160):
            button = gr.Button("Compare", variant="primary")
            sample = gr.Button("Samples of both")
    table = gr.HTML(render_hint("What each run makes of the sentences."))

    button.click(
        answer_html(lambda sentences: render_comparison(names, actions.compare(sentences))),
        text,
        table,
        api_visibility="private",
        **QUEUE,
    )
    sample.click(
        answer_html(lambda: render_samples(names, actions.compare_samples(8))),
        None,
        table,
        api_visibility="private",
        **QUEUE,
    )
