"""The page in a browser: every panel, at both widths, in both themes, and with the keyboard alone."""

import re

import pytest

from tests.explorer.conftest import HOSTILE
from tests.tiny_run import SENTENCES

pytest.importorskip("gradio")
pytest.importorskip("playwright")

pytestmark = pytest.mark.xdist_group("explorer")

A, B = SENTENCES[0], SENTENCES[-1]
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}


@pytest.fixture(scope="module", params=["desktop-light", "phone-dark"])
def page(request, server, browser):
    """The page with its map, in both views."""
    yield from open_page(server, browser, *request.param.split("-"))


@pytest.fixture(scope="module")
def desktop(server, browser):
    """The page with its map, on a wide screen, for what does not depend on the view."""
    yield from open_page(server, browser, "desktop", "dark")


def open_page(server, browser, size, theme):
    """Yield the page with its map; what it asks for and complains about is noted."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height})
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.requested = []
    opened.problems = []
    opened.on("request", lambda sent: opened.requested.append(sent.url))
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("console", lambda note: note.type == "error" and opened.problems.append(note.text))
    opened.goto(f"{server}?__theme={theme}")
    opened.wait_for_function("document.querySelector('.tv-wait')?.hidden")
    opened.wait_for_function("document.querySelector('[data-part=found]').textContent")
    yield opened
    context.close()


# Moves the pointer over the canvas until a sentence is shown.
FIND_POINT = """canvas => {
  const box = canvas.getBoundingClientRect();
  for (let x = 5; x < box.width; x += 6) for (let y = 5; y < box.height; y += 6) {
    canvas.dispatchEvent(new PointerEvent("pointermove", {clientX: box.x + x, clientY: box.y + y}));
    if (!canvas.parentNode.querySelector(".tv-tip").hidden) return [x, y];
  }
}"""


def open_panel(page, name):
    """Open a panel; on a narrow screen some are in a menu."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() and tab.first.is_visible():
        tab.first.click()
    else:
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text=name).click()


def shown(page, selector):
    """Return the visible elements of a selector."""
    return page.locator(f"{selector}:visible")


def test_the_map_has_every_sentence(page):
    open_panel(page, "Map")
    assert page.locator("[data-part=found]").inner_text() == "104 sentences"
    colors = page.get_by_label("Color the points by").locator("option").all_inner_texts()
    assert colors == ["length", "log-likelihood", "cluster"]


def test_sentences_are_searched_and_picked(page):
    open_panel(page, "Map")
    search = page.get_by_label("Search the sentences")
    for letter, text in (("A", A), ("B", B)):
        search.fill(text)
        page.get_by_role("button", name=f"Use as {letter}: {text}").click()
        box = page.get_by_label(f"Sentence {letter}", exact=True)
        page.wait_for_function(
            "([box, text]) => box.value === text", arg=[box.element_handle(), text]
        )
    search.fill("")
    page.wait_for_function("!document.querySelector('.tv-hits').children.length")


def test_a_point_is_hovered_and_clicked(page):
    open_panel(page, "Map")
    canvas = page.locator(".tv-stage canvas")
    page.get_by_role("button", name="Whole map").click()
    page.get_by_role("button", name="A", exact=True).first.click()
    x, y = canvas.evaluate(FIND_POINT)
    place = {"x": x, "y": y}
    canvas.hover(position=place)
    text = page.locator(".tv-tip").evaluate("tip => tip.firstChild.textContent")
    assert text in [*SENTENCES, *HOSTILE]
    canvas.click(position=place)
    box = page.get_by_label("Sentence A", exact=True)
    page.wait_for_function("([box, text]) => box.value === text", arg=[box.element_handle(), text])


def test_an_empty_place_is_decoded(page):
    open_panel(page, "Map")
    page.locator(".tv-stage canvas").click(position={"x": 3, "y": 3})
    page.wait_for_function(
        "document.querySelector('textarea[placeholder=\"Click between the points\"]').value"
    )


def test_the_map_works_with_the_keyboard(desktop):
    """Arrows move it, plus zooms, and Enter decodes its middle."""
    open_panel(desktop, "Map")
    canvas = desktop.locator(".tv-stage canvas")
    canvas.focus()
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    for key in ("ArrowLeft", "ArrowUp", "+", "-", "+"):
        desktop.keyboard.press(key)
    desktop.wait_for_timeout(100)
    assert canvas.evaluate("canvas => canvas.toDataURL()") != before
    with desktop.expect_request(re.compile("queue/join")):
        desktop.keyboard.press("Enter")
    desktop.get_by_label("Search the sentences").focus()
    desktop.keyboard.type("the dog")
    desktop.locator(".tv-hits li").first.wait_for()
    desktop.keyboard.press("Tab")
    desktop.keyboard.press("Tab") if desktop.locator(".tv-hits:focus").count() else None
    assert desktop.evaluate("document.activeElement.textContent") == "A"
    desktop.keyboard.press("Enter")
    desktop.get_by_label("Search the sentences").fill("")


def test_markup_in_sentences_is_shown_as_text(page):
    open_panel(page, "Map")
    search = page.get_by_label("Search the sentences")
    for text in HOSTILE[:3]:
        search.fill(text)
        page.locator(".tv-hits").get_by_text(text, exact=True).wait_for()
        page.get_by_role("button", name="Use as A").first.click()
    search.fill("")
    open_panel(page, "Inside")
    page.get_by_label("Sentence", exact=True).last.fill(HOSTILE[0])
    page.get_by_role("button", name="Look", exact=True).click()
    shown(page, ".tv-token").first.wait_for()
    assert page.title() != "hacked"
    assert page.locator("img[src=x]").count() == 0


def test_a_walk_has_a_strip_and_a_slider(page):
    open_panel(page, "Walk")
    page.get_by_label("From A").fill(A)
    page.get_by_label("To B").fill(B)
    page.get_by_role("button", name="Walk", exact=True).click()
    shown(page, ".tv-steps li").nth(8).wait_for()
    slider = page.get_by_label("Step of the path").locator("visible=true")
    slider.focus()
    page.keyboard.press("End")
    assert page.locator("[data-part=where]:visible").inner_text() == "Step 9 of 9"
    assert "nats" in shown(page, ".tv-now").inner_text()


def test_a_walk_without_sentences_says_what_to_do(desktop):
    open_panel(desktop, "Walk")
    desktop.get_by_label("From A").fill("   ")
    desktop.get_by_role("button", name="Walk", exact=True).click()
    message = shown(desktop, ".tv-strip .tv-message")
    message.wait_for()
    assert message.inner_text() == "sentence A is empty; write at least one word."


@pytest.mark.parametrize(
    "mode", ["Sample", "Complete", "Fill blanks", "Reconstruct", "Vary", "Edit"]
)
def test_the_model_writes(desktop, mode):
    open_panel(desktop, "Write")
    desktop.get_by_label(mode, exact=True).check()
    if mode != "Sample":
        text = shown(desktop, "textarea").first
        text.wait_for()
        text.fill("a man ___ a bike." if mode == "Fill blanks" else "a man")
    with desktop.expect_response(re.compile("queue/data")):
        desktop.get_by_role("button", name="Write", exact=True).click()
    desktop.wait_for_function(
        "mode => [...document.querySelectorAll('.tv-results')].some("
        "part => part.querySelector('[data-part=note]').textContent.includes('seed'))",
        arg=mode,
    )
    assert shown(desktop, ".tv-texts li").count() > 0


@pytest.mark.parametrize("kind", ["JSON", "CSV"])
def test_texts_are_downloaded(desktop, kind):
    open_panel(desktop, "Write")
    desktop.get_by_label("Sample", exact=True).check()
    desktop.get_by_role("button", name="Write", exact=True).click()
    shown(desktop, ".tv-texts li").first.wait_for()
    with desktop.expect_download() as download:
        desktop.get_by_role("button", name=kind, exact=True).click()
    content = download.value.path().read_text(encoding="utf-8")
    assert download.value.suggested_filename == f"textvae.{kind.lower()}"
    assert "text" in content


def test_bad_input_gives_a_message_in_the_page(desktop):
    open_panel(desktop, "Write")
    desktop.get_by_label("Reconstruct", exact=True).check()
    text = shown(desktop, "textarea").first
    text.wait_for()
    text.fill(" \n ")
    desktop.get_by_role("button", name="Write", exact=True).click()
    message = shown(desktop, ".tv-results .tv-message")
    message.wait_for()
    assert message.inner_text() == "the sentence is empty; write at least one word."


def test_the_inside_of_a_sentence_is_shown(page):
    open_panel(page, "Inside")
    shown(page, ".tv-bars li").first.wait_for()
    page.get_by_label("Sentence", exact=True).last.fill(A)
    page.get_by_role("button", name="Look", exact=True).click()
    for part in (".tv-token", ".tv-gauge", ".tv-texts li"):
        shown(page, part).first.wait_for()
    page.get_by_role("button", name="Move this dimension").click()
    shown(page, ".tv-steps li").nth(6).wait_for()


def test_the_training_has_curves(page):
    open_panel(page, "Training")
    shown(page, ".tv-charts figure").first.wait_for()
    page.get_by_text("has finished").wait_for()


def test_reconstructions_are_seen_without_scrolling(page):
    """Sentences and reconstructions stand side by side, also on a telephone."""
    open_panel(page, "Training")
    pairs = shown(page, ".tv-pairs").first
    pairs.wait_for()
    assert pairs.evaluate("table => table.scrollWidth <= table.clientWidth")


def test_two_runs_are_compared(page):
    open_panel(page, "Compare")
    page.get_by_label("Sentences, one per line").fill(f"{A}\n{HOSTILE[0]}")
    page.get_by_role("button", name="Compare", exact=True).click()
    shown(page, ".tv-table td").first.wait_for()
    assert HOSTILE[0] in shown(page, ".tv-table").inner_text()
    page.get_by_role("button", name="Samples of both").click()
    page.get_by_text("Samples from the prior of each run.").last.wait_for()


def test_every_control_has_an_accessible_name(desktop):
    """As the browser computes it: from a label, an aria-label or the text."""
    unnamed = []
    for panel in ("Map", "Walk", "Write", "Inside", "Training", "Compare"):
        open_panel(desktop, panel)
        desktop.wait_for_timeout(200)
        for role in (
            "button",
            "textbox",
            "searchbox",
            "slider",
            "combobox",
            "checkbox",
            "radio",
            "spinbutton",
        ):
            for control in desktop.get_by_role(role).all():
                name = re.match(r"""- '?\w+ "[^"]""", control.aria_snapshot())
                if name is None:
                    unnamed.append((panel, role, control.evaluate("node => node.outerHTML")[:150]))
    assert unnamed == []


def test_nothing_is_wider_than_the_screen(page):
    for panel in ("Map", "Walk", "Write", "Inside", "Training", "Compare"):
        open_panel(page, panel)
        page.wait_for_timeout(100)
        width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, panel


def test_the_page_asks_this_machine_alone_and_reports_no_errors(page, server):
    """It works offline: no fonts, scripts or telemetry from elsewhere."""
    allowed = (server, "data:", "blob:")
    assert [url for url in page.requested if not url.startswith(allowed)] == []
    assert page.problems == []
