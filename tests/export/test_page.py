"""The page in headless Chromium, served as plain files: its four forms work, and text stays text."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.tiny import SENTENCES
from textvae.export.runner import Runner

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.xdist_group("export_page"),  # one server and one browser
]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line on standard error for each."""

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="session")
def site(vae, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a served page, and its folder."""
    folder = tmp_path_factory.mktemp("exports") / "page"
    vae.export(folder, format="page", int8=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()


@pytest.fixture(scope="module")  # Playwright runs an event loop, which other tests must not meet
def browser():
    """Headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, site):
    """The page, loaded; whatever it logs as an error, or asks another host for, fails the test."""
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    tab.on("request", lambda request: check_host(request, site[0], problems))
    tab.goto(site[0])
    tab.wait_for_selector("#sample button:enabled")
    yield tab
    tab.close()
    assert problems == []


def check_host(request, address, problems):
    """Note a request to another host."""
    if not request.url.startswith((address, "data:")):
        problems.append(request.url)


def submit(page, form):
    """Press a form's button by keyboard and return the texts of its list."""
    page.focus(f"#{form} button")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"section:has(#{form}) .texts li")
    page.wait_for_selector("button:enabled")
    return page.locator(f"section:has(#{form}) .texts li").all_inner_texts()


def test_every_form_works_from_the_keyboard(page):
    """Each lists as many texts as its number says."""
    page.fill("#complete [name=text]", "two old")
    for name, text in zip(("first", "second"), SENTENCES, strict=False):
        page.fill(f"#walk [name={name}]", text)
    page.fill("#reconstruct [name=text]", SENTENCES[2])
    assert len(submit(page, "sample")) == 5
    assert len(submit(page, "reconstruct")) == 1
    assert len(submit(page, "walk")) == 7
    assert len(submit(page, "complete")) == 5
    assert "ms each" in page.inner_text("#status")


def test_the_page_reconstructs_what_the_python_runner_does(page, site):
    """From the same files, in 8 bits."""
    page.fill("#reconstruct [name=text]", "two dogs run .")
    (text,) = submit(page, "reconstruct")
    (expected,) = Runner(site[1]).reconstruct("two dogs run .")
    assert expected is not None
    assert " ".join(text.split()) == " ".join(expected.split())


def test_text_is_shown_as_text(page):
    """Tags in a sentence become no elements."""
    page.fill("#complete [name=text]", "<b>two</b>")
    page.fill("#complete [name=count]", "2")
    texts = submit(page, "complete")
    assert all(text.startswith("<b>two</b>") for text in texts)
    assert page.locator(".texts b").count() == 0


def test_wrong_input_is_explained_next_to_the_form(page):
    """A sentence of spaces is not accepted."""
    page.fill("#walk [name=first]", "  ")
    page.focus("#walk button")
    page.keyboard.press("Enter")
    page.wait_for_selector("section:has(#walk) .problem:not(:empty)")
    assert "blank" in page.inner_text("section:has(#walk) .problem")


def test_the_page_fits_a_phone(page):
    """Nothing is wider than the screen, and every field has a label."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.querySelectorAll('input')].every((x) => x.labels.length)")
