"""Runs of the Hugging Face Hub in the explorer."""

import pytest

from tests.tiny_run import SENTENCES
from textvae.errors import CheckpointError
from textvae.explorer.app import build_app
from textvae.vae import TextVAE

NAME = "me/tiny"


def test_a_model_of_the_hub_is_explored(hub, tiny_run):
    """It is published without its corpus, so the sentences of the map come from the caller."""
    TextVAE.from_pretrained(tiny_run).push_to_hub(NAME)
    app = build_app(NAME, compare=NAME, texts=SENTENCES)
    assert app.title == f"textvae: {NAME}"


def test_a_name_that_is_not_on_the_hub_is_refused(hub):
    with pytest.raises(CheckpointError, match=NAME):
        build_app(NAME)
