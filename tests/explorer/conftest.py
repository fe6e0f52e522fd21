"""A tiny run with its map, and a server and a browser that the tests of the page share."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import SENTENCES
from textvae.explorer.latent_map import Sentences
from textvae.explorer.shared_run import SharedRun
from textvae.vae import TextVAE

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _BROWSERS)), None)

# Sentences that are no ordinary text, on the map beside the ordinary ones.
HOSTILE = [
    "<img src=x onerror=\"document.title='hacked'\"> is shown",
    "<script>document.title = 'hacked'</script> is shown",
    "${document.title = 'hacked'} {{constructor}} `ticks` are shown",
    "ein Mädchen läuft, 少年在跑步, ولد يركض 🏃",
]


@pytest.fixture(scope="session")
def explored_folder(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run, in which maps may be saved."""
    folder = tmp_path_factory.mktemp("explored") / "tiny"
    shutil.copytree(tiny_run, folder)
    return folder


@pytest.fixture(scope="session")
def explored(explored_folder: Path) -> SharedRun:
    """The tiny run with a map of its own sentences; tests only read it."""
    run = SharedRun(explored_folder, points=60, limit=10)
    run.wait_for_map()
    assert run.latent_map is not None, run.status
    return run


@pytest.fixture(scope="session")
def server(explored_folder: Path, labelled_run: Path) -> Iterator[str]:
    """The address of an explorer of the tiny run, whose map has hostile sentences, too."""
    import gradio

    from textvae.explorer.app import build_blocks
    from textvae.explorer.launch import serve

    vae = TextVAE.from_pretrained(explored_folder)
    run = SharedRun(vae, Sentences([*SENTENCES, *HOSTILE]), limit=10)
    run.wait_for_map()
    app = build_blocks(run, SharedRun(labelled_run, limit=10))
    yield serve(app, "127.0.0.1")
    gradio.close_all()


@pytest.fixture(scope="module")  # Playwright runs an event loop, which other tests must not meet
def browser() -> Iterator[Any]:
    """A headless Chromium; tests are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # No sandbox: containers often run as root, where Chromium refuses to start with one.
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()
