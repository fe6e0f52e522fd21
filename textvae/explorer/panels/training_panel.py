"""The panel Training, which follows a run that is being trained."""

from typing import Any

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.actions.training_actions import TrainingActions
from textvae.explorer.curves import render_evaluation, render_progress
from textvae.explorer.page import Page
from textvae.explorer.rendering import render_hint, render_message

_SECONDS = 4.0  # between two looks at the run, as long as it is being trained


def build_training_panel(page: Page, tab: gr.Tab) -> None:
    """Build the panel; it reads the run when its tab is opened, and again as long as it trains."""
    actions = TrainingActions(page.run)
    timer = gr.Timer(_SECONDS, active=False)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            progress = gr.HTML(render_hint("Reading the run"))
        with gr.Column(scale=2, min_width=320):
            step = gr.Dropdown([], label="Evaluation after step", visible=False)
            texts = gr.HTML()

    def refresh(chosen: int | None) -> tuple[Any, ...]:
        """Show how far the run is; the timer goes on as long as it is being trained."""
        try:
            found = actions.progress()
        except TextVAEError as error:
            return render_message(str(error)), gr.skip(), gr.skip(), gr.update(active=False)
        steps = [evaluation["step"] for evaluation in found["evaluations"]]
        # Whoever looks at the last evaluation is shown the next one when it is there.
        is_kept = chosen in steps[1:]
        value = chosen if is_kept else next(iter(steps), None)
        offered = gr.update(choices=steps, value=value, visible=bool(steps))
        shown = render_evaluation(found["evaluations"], value)
        is_live = found["state"] == "training" or not page.run.has_weights()
        return render_progress(found), shown, offered, gr.update(active=is_live)

    def show(chosen: int | None) -> str:
        """Show what the model wrote at an evaluation."""
        try:
            return render_evaluation(actions.progress()["evaluations"], chosen)
        except TextVAEError as error:
            return render_message(str(error))

    outputs = [progress, texts, step, timer]
    options: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    tab.select(refresh, step, outputs, **options)
    timer.tick(refresh, step, outputs, **options)
    step.input(show, step, texts, **options)
