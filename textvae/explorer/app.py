"""The app: all panels of one run, or of two, as Gradio blocks that can run anywhere."""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path

import gradio as gr

from textvae.data.labels import list_label_names
from textvae.data.texts import require_labels, require_texts
from textvae.errors import ConfigError, DataError
from textvae.explorer.api import add_endpoints
from textvae.explorer.defaults import DEFAULT_LIMIT, DEFAULT_POINTS
from textvae.explorer.latent_map import Sentences
from textvae.explorer.limits import (
    MAX_LIMIT,
    MAX_POINTS,
    MIN_LIMIT,
    require_count,
)
from textvae.explorer.page import Page, answer_html, read_asset
from textvae.explorer.panels.compare_panel import build_compare_panel
from textvae.explorer.panels.inside_panel import build_inside_panel
from textvae.explorer.panels.map_panel import build_map_panel
from textvae.explorer.panels.training_panel import build_training_panel
from textvae.explorer.panels.walk_panel import build_walk_panel
from textvae.explorer.panels.write_panel import build_write_panel
from textvae.explorer.projection import ProjectionKind, require_projection
from textvae.explorer.rendering import render_message
from textvae.explorer.shared_run import NO_LABEL, SharedRun
from textvae.inference.model_folder import check_model_folder
from textvae.runs.hub import locate_run
from textvae.runs.run import is_run
from textvae.runtime.paths import require_path
from textvae.vae import TextVAE

_MAX_WAITING = 500  # requests in the queue; more are refused with a message


def build_app(
    run: TextVAE | str | Path,
    *,
    compare: TextVAE | str | Path | None = None,
    texts: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    points: int = DEFAULT_POINTS,
    limit: int = DEFAULT_LIMIT,
    projection: ProjectionKind = "pca",
    device: str | None = None,
    before_training: bool = False,
) -> gr.Blocks:
    """Return the explorer as an app; `app.launch()` serves it.

    Args:
        run: a model, the folder of a run, which may still be in training, or the name of a model
            on the Hugging Face Hub, `owner/name`.
        compare: a second run, to see both side by side.
        texts: the sentences of the map; by default those of the run's corpus.
        labels: the label of each of them, for a conditional model.
        points: the most sentences on the map.
        limit: the most texts that one action writes.
        projection: `pca`, or `umap` where umap-learn is installed.
        device: where a run is loaded to.
        before_training: whether the run may not exist yet, because it is about to be trained.

    Raises:
        CheckpointError: there is no such run.
        ConfigError: a number is out of bounds, or there are labels without texts.
        DataError: there are not as many labels as texts, or a text is not a string.
    """
    share = partial(
        SharedRun,
        points=require_count(points, "points", MAX_POINTS),
        limit=require_count(limit, "limit", MAX_LIMIT, at_least=MIN_LIMIT),
        projection=require_projection(projection),
        device=device,
    )
    shared = share(_require_source(run, before_training), _collect_sentences(texts, labels))
    other = None if compare is None else share(_require_source(compare))
    return build_blocks(shared, other)


def build_blocks(run: SharedRun, other: SharedRun | None = None) -> gr.Blocks:
    """Return the app of one run, or of two.

    Raises:
        CheckpointError: a run is missing or damaged; one that is still in training is not.
    """
    for shared in (run, other):
        if shared is not None:
            shared.load_if_finished()
    if run.has_weights():
        run.start_map()
    with gr.Blocks(analytics_enabled=False, title=f"textvae: {run.name}") as app:
        gr.HTML(f"<style>{read_asset('style.css')}</style>", elem_classes="tv-style")
        head = gr.HTML(elem_classes="tv-head")
        known = run.labels
        label = gr.Dropdown(
            known or [NO_LABEL],
            value=run.chosen_label,
            label="Label that the model writes with",
            visible=bool(known),
        )
        page = Page(run, other, label)
        with gr.Tabs(selected="map" if run.has_weights() else "training"):
            with gr.Tab("Map", id="map"):
                map_panel = build_map_panel(page)
            with gr.Tab("Walk", id="walk"):
                build_walk_panel(page, map_panel)
            with gr.Tab("Write", id="write"):
                build_write_panel(page)
            with gr.Tab("Inside", id="inside") as inside:
                build_inside_panel(page, map_panel, inside)
            with gr.Tab("Training", id="training") as training:
                build_training_panel(page, training)
            with gr.Tab("Compare", id="compare"):
                build_compare_panel(page)
        app.load(
            answer_html(lambda: _render_head(run)),
            None,
            head,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        add_endpoints(run, other)
    app.queue(max_size=_MAX_WAITING, api_open=True)
    return app


def _render_head(run: SharedRun) -> str:
    """Return the title of the page, with a warning if the run has changed meanwhile."""
    change = run.describe_change()
    note = "" if change is None else render_message(change)
    return f"<h1>textvae <span>{escape(run.name)}</span></h1><p>{escape(run.describe())}</p>{note}"


def _require_source(run: object, is_coming: bool = False) -> TextVAE | Path:
    """Return a model, or the folder of a run, which may be in training, or on the hub.

    Args:
        is_coming: whether the run may not exist yet.

    Raises:
        CheckpointError: there is no such run.
    """
    if isinstance(run, TextVAE):
        return run
    folder = require_path(run, "run")
    if is_coming:
        return folder
    if isinstance(run, str):
        folder = locate_run(run)  # which may be that of a repository on the hub
    if not is_run(folder):
        check_model_folder(folder)
    return folder


def _collect_sentences(
    texts: Sequence[str] | None, labels: Sequence[str] | None
) -> Sentences | None:
    """Return the sentences of the map; None for those of the run.

    Blank texts are left out, with their labels.

    Raises:
        ConfigError: there are labels, but `texts` is None.
        DataError: there are not as many labels as texts, or a text is not a string.
    """
    if texts is None:
        if labels is not None:
            raise ConfigError(
                "labels has no effect without texts, because it gives the label of each text: "
                "give the texts as well, or leave labels out."
            )
        return None
    listed = require_texts(texts)
    rows = [row for row, text in enumerate(listed) if text.strip()]
    if labels is None:
        return Sentences([listed[row] for row in rows])
    names = list_label_names(require_labels(labels))
    if len(names) != len(listed):
        raise DataError(
            f"got {len(listed)} texts and {len(names)} labels; expected one label for each text."
        )
    return Sentences([listed[row] for row in rows], [names[row] for row in rows])
