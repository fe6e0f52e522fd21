"""Take the pictures of docs/explore.md, and time the page while doing so.

    python experiments/explorer_pictures.py RUN [--compare RUN2] [--output docs/pictures]

It needs Chromium and Playwright. Every panel is used as a reader would; the times are those
from the click to the result on the screen.
"""

import argparse
import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from textvae.explorer.app import build_blocks
from textvae.explorer.launch import serve, silence_gradio
from textvae.explorer.shared_run import SharedRun

A = "a man in a wet suit riding a wave on a surfboard."
B = "a man pulling a slice of pizza away from a pizza."
# The pictures of the page; --all takes those of every panel in every view.
IN_DOCS = {(name, "desktop") for name in ("map", "write", "inside", "training")} | {
    ("map", "phone")
}
VIEWS = (("desktop", 1200, 820, "light"), ("phone", 390, 844, "dark"), ("dark", 1200, 820, "dark"))


def main() -> None:
    """Serve the run, and go through the panels in each view."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--all", action="store_true", help="every panel in every view")
    options = parser.parse_args()
    silence_gradio()
    run = SharedRun(options.run)
    run.load_if_finished()
    run.wait_for_map()
    other = None if options.compare is None else SharedRun(options.compare)
    address = serve(build_blocks(run, other), "127.0.0.1")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for view, width, height, theme in VIEWS:
            page = browser.new_page(viewport={"width": width, "height": height})
            print(f"{view}:")
            Photographer(page, options.output, view, options.all).visit(
                f"{address}?__theme={theme}"
            )
        browser.close()


class Photographer:
    """Goes through the panels of a page."""

    def __init__(self, page: Page, output: Path, view: str, takes_all: bool) -> None:
        self.page = page
        self.output = output
        self.view = view
        self.takes_all = takes_all

    def visit(self, address: str) -> None:
        """Use every panel, and take a picture of each."""
        page = self.page
        self.time(
            "first paint",
            lambda: page.goto(address),
            lambda: page.get_by_role("tab", name="Map").wait_for(),
        )
        ready = "document.querySelector('[data-part=found]')?.textContent.includes('sentences')"
        self.time("map with its sentences", lambda: None, lambda: page.wait_for_function(ready))
        self.use_map()
        self.open("Walk")
        self.time("walk", self.press("Walk"), self.await_part(".tv-steps li", 8))
        self.take("walk")
        page.get_by_label("where sentences are dense").check()
        self.press("Walk")()  # not timed: the strip of the first walk is there already
        page.wait_for_timeout(1500)
        self.open("Map")
        page.wait_for_timeout(500)
        self.take("map")
        self.open("Write")
        self.time("sample", self.press("Write"), self.await_part(".tv-texts li", 7))
        self.take("write")
        page.get_by_label("Fill blanks", exact=True).check()
        page.get_by_label("Sentence with blanks").fill("a man ___ on a ___ .")
        scored = page.locator(".tv-texts li small", has_text="nats")
        self.time("fill blanks", self.press("Write"), lambda: scored.first.wait_for())
        self.take("fill")
        self.open("Inside")
        self.await_part(".tv-bars li", 0)()
        page.get_by_role("button", name="Take A from the map").click()
        for part in (".tv-token", ".tv-gauge", ".tv-texts li"):
            self.time(f"look ({part})", self.press("Look"), self.await_part(part, 0))
        self.time("traverse", self.press("Move this dimension"), self.await_part(".tv-steps li", 6))
        self.take("inside")
        self.open("Training")
        self.await_part(".tv-charts figure", 0)()
        self.take("training")
        self.open("Compare")
        if page.get_by_role("button", name="Compare", exact=True).count():
            page.get_by_label("Sentences, one per line").fill(f"{A}\n{B}\ntwo dogs ride a train.")
            self.time("compare", self.press("Compare"), self.await_part(".tv-table td", 5))
            self.take("compare")

    def use_map(self) -> None:
        """Search, pick A and B, decode a place, and point at a sentence."""
        page = self.page
        search = page.get_by_label("Search the sentences")
        for letter, text in (("A", A), ("B", B)):
            search.fill(text)
            self.time("search", lambda: None, self.await_part(".tv-hits li", 0))
            page.get_by_role("button", name=f"Use as {letter}: ").first.click()
        search.fill("")
        page.wait_for_timeout(400)
        canvas = page.locator(".tv-stage canvas")
        filled = (
            "document.querySelector('textarea[placeholder=\"Click between the points\"]').value"
        )
        self.time(
            "decode a place",
            lambda: canvas.click(position={"x": 40, "y": 60}),
            lambda: page.wait_for_function(filled),
        )
        page.get_by_label("Color the points by").select_option(label="cluster")
        size: Any = canvas.bounding_box()
        canvas.hover(position={"x": size["width"] / 2, "y": size["height"] / 2})
        page.wait_for_timeout(300)
        self.take("points")

    def open(self, name: str) -> None:
        """Open a panel; on a narrow screen some are in a menu."""
        tab = self.page.get_by_role("tab", name=name, exact=True)
        if tab.count() and tab.first.is_visible():
            tab.first.click()
        else:
            self.page.locator(".overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
        self.page.wait_for_timeout(500)

    def press(self, name: str) -> Callable[[], None]:
        """Return a function that presses a button."""
        return lambda: self.page.get_by_role("button", name=name, exact=True).click()

    def await_part(self, selector: str, index: int) -> Callable[[], None]:
        """Return a function that waits until a part is visible."""
        return lambda: self.page.locator(f"{selector}:visible").nth(index).wait_for()

    def time(self, what: str, act: Callable[[], object], wait: Callable[[], object]) -> None:
        """Print how long something takes."""
        started = time.perf_counter()
        act()
        wait()
        print(f"  {what}: {time.perf_counter() - started:.2f} s")

    def take(self, name: str) -> None:
        """Save a picture of the page as WebP."""
        if not self.takes_all and (name, self.view) not in IN_DOCS:
            return
        self.page.wait_for_timeout(300)
        picture = Image.open(io.BytesIO(self.page.screenshot(full_page=True)))
        file = self.output / f"explore_{name}_{self.view}.webp"
        picture.convert("RGB").save(file, quality=72, method=6)


if __name__ == "__main__":
    main()
