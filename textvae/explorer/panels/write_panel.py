"""The panel Write."""

from typing import Any, get_args

import gradio as gr

from textvae.errors import TextVAEError
from textvae.explorer.actions.dials import (
    MAX_BEAMS,
    MAX_SEED,
    MAX_TEMPERATURE,
    MAX_TOKENS,
    MIN_TEMPERATURE,
    STRATEGIES,
)
from textvae.explorer.actions.write_actions import WriteActions
from textvae.explorer.limits import MAX_CHARACTERS
from textvae.explorer.page import QUEUE, Page, make_component, to_json
from textvae.explorer.write import LENGTH, MAX_SPREAD, MAX_STRENGTH
from textvae.inference.settings import DEFAULT_TEMPERATURE
from textvae.uses.settings import InfillMethod

# What can be done: the label of the text box, and its placeholder.
_MODES = {
    "Sample": None,
    "Complete": ("Beginning", "a man"),
    "Fill blanks": ("Sentence with blanks, each written ___", "a ___ sitting on a ___"),
    "Reconstruct": ("Sentence", "a sentence to encode and decode again"),
    "Vary": ("Sentence", "a sentence to write variants of"),
    "Edit": ("Sentence", "a sentence to change along an attribute"),
}
_HINT = "Choose what to do, and press Write."
_COUNTED = ("Sample", "Complete", "Fill blanks", "Vary")


def build_write_panel(page: Page) -> None:
    """Build the panel."""
    actions = WriteActions(page.run)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            mode = gr.Radio([*_MODES], value="Sample", label="What to do")
            text = gr.Textbox(label="Sentence", lines=2, max_length=MAX_CHARACTERS, visible=False)
            count = gr.Slider(1, page.run.limit, min(8, page.run.limit), step=1, label="How many")
            spread = gr.Slider(
                0, MAX_SPREAD, 1, step=0.1, label="Spread around the sentence", visible=False
            )
            attribute = gr.Dropdown(
                [LENGTH], value=LENGTH, label="Attribute", visible=False, allow_custom_value=False
            )
            strength = gr.Slider(
                -MAX_STRENGTH, MAX_STRENGTH, 2, step=0.1, label="Strength", visible=False
            )
            method = gr.Dropdown(
                [*get_args(InfillMethod)], value="sampling", label="Method", visible=False
            )
            dials = _build_dials()
            button = gr.Button("Write", variant="primary")
        with gr.Column(scale=3, min_width=320):
            results = make_component("results", _HINT)

    def write(
        chosen: str,
        sentence: str,
        n: float,
        width: float,
        name: str,
        step: float,
        how: str,
        strategy: str,
        temperature: float,
        top_p: float,
        beams: float,
        max_tokens: float,
        seed: float | None,
        is_new: bool,
        label: str | None,
    ) -> tuple[str, Any]:
        """Do what was chosen."""
        number = None if is_new else seed
        decoding = (strategy, temperature, top_p, beams, max_tokens, number, label)
        try:
            if chosen == "Fill blanks":
                filled = actions.fill_blanks(sentence, n, how, 4, number, label)  # type: ignore[arg-type]
                rows = [{"text": one["text"], "score": one["score"]} for one in filled["fills"]]
                return _reply(chosen, rows, filled["seed"], sentence), filled["seed"]
            if chosen == "Sample":
                written = actions.sample(n, *decoding)  # type: ignore[arg-type]
            elif chosen == "Complete":
                written = actions.complete(sentence, n, *decoding)  # type: ignore[arg-type]
            elif chosen == "Reconstruct":
                written = actions.reconstruct(sentence, *decoding)  # type: ignore[arg-type]
            elif chosen == "Vary":
                written = actions.vary(sentence, n, width, *decoding)  # type: ignore[arg-type]
            else:
                written = actions.edit(sentence, name, step, *decoding)  # type: ignore[arg-type]
        except TextVAEError as error:
            return to_json({"message": str(error)}), gr.skip()
        rows = [{"text": one} for one in written["texts"]]
        return _reply(chosen, rows, written["seed"], sentence), written["seed"]

    def show_fields(chosen: str) -> tuple[Any, ...]:
        """Show the fields that this mode uses."""
        box = _MODES[chosen]
        names = box or ("Sentence", "")
        return (
            gr.update(visible=box is not None, label=names[0], placeholder=names[1]),
            gr.update(visible=chosen in _COUNTED),
            gr.update(visible=chosen == "Vary"),
            gr.update(visible=chosen == "Edit", choices=_offer_attributes(actions)),
            gr.update(visible=chosen == "Edit"),
            gr.update(visible=chosen == "Fill blanks"),
        )

    gr.on(
        [button.click, text.submit],
        write,
        [mode, text, count, spread, attribute, strength, method, *dials, page.label],
        [results, dials[-2]],
        api_visibility="private",
        show_progress_on=results,
        **QUEUE,
    )
    mode.change(
        show_fields,
        mode,
        [text, count, spread, attribute, strength, method],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _build_dials() -> list[Any]:
    """Build the decoding settings and the seed; the last two are the seed and whether it is new."""
    with gr.Accordion("Decoding settings", open=False):
        strategy = gr.Radio([*STRATEGIES], value="usual", label="Decoding")
        temperature = gr.Slider(
            MIN_TEMPERATURE,
            MAX_TEMPERATURE,
            DEFAULT_TEMPERATURE,
            step=0.05,
            label="Temperature (sampling)",
        )
        top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top p (sampling)")
        beams = gr.Slider(2, MAX_BEAMS, 4, step=1, label="Beams (beam search)")
        max_tokens = gr.Slider(
            0, MAX_TOKENS, 0, step=1, label="Most tokens (0: the model's own limit)"
        )
    with gr.Row():
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, min_width=120)
        is_new = gr.Checkbox(True, label="A new seed each time", min_width=120)
    return [strategy, temperature, top_p, beams, max_tokens, seed, is_new]


def _offer_attributes(actions: WriteActions) -> list[str]:
    """Return the attributes of the run; the length is always offered."""
    return list(dict.fromkeys([LENGTH, *actions.attributes()]))


def _reply(mode: str, rows: list[dict[str, Any]], seed: int, sentence: str) -> str:
    """Return the value of the results."""
    if not rows:
        return to_json({"message": "nothing was found; try another sentence or more tokens."})
    count = "1 text" if len(rows) == 1 else f"{len(rows)} texts"
    reply: dict[str, Any] = {"rows": rows, "note": f"{count}, seed {seed}", "action": mode}
    if _MODES.get(mode) is not None:
        reply["input"] = sentence
    return to_json({**reply, "seed": seed})
