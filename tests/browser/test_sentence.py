"""Sentence and Roles in a real browser with every request to another host refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from bhpvas.data.reading import sample_splits
from bhpvas.interpret.sentence import contributions
from bhpvas.model.classifier import load_classifier
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=alert(1)> made <b>this</b> film great ."
SENTENCE, ROLES = ".st-key-arcs .main-svg", ".st-key-role-map .main-svg"


class Watched:
    """A browser page that reaches our server alone, and what it tried besides."""

    def __init__(self, page: Page, address: str) -> None:
        self.refused: list[str] = []
        self.alerts: list[str] = []
        self.faults: list[str] = []
        ours = (address, address.replace("http", "ws", 1), "data:", "blob:", "about:")

        def guard(route: Any) -> None:
            if route.request.url.startswith(ours):
                route.continue_()
            else:
                self.refused.append(route.request.url)
                route.abort()

        page.route("**/*", guard)
        page.on("dialog", lambda dialog: (self.alerts.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page = page
        self.app = Workbench(page, address)
        self.app.open()
        self.app.settle()

    def view(self, name: str) -> Frame:
        """One of bertviz's views, drawn."""
        self.page.locator(".st-key-bertviz").get_by_text(name, exact=True).click()
        self.app.settle()
        handle = self.page.locator(".st-key-bertviz-frame iframe").element_handle()
        frame = handle.content_frame()
        assert frame is not None
        frame.locator("svg line").first.wait_for(state="attached")
        return frame


@pytest.fixture
def watched(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    scheme = getattr(request, "param", "light")
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    found = Watched(page, address)
    yield found
    assert found.app.complaints() == []
    assert (found.refused, found.alerts, found.faults) == ([], [], [])
    page.close()


#: For what chooses its colours itself, as the frame of bertviz does.
in_both_schemes = pytest.mark.parametrize("watched", ["light", "dark"], indirect=True)


def type_sentence(watched: Watched, text: str) -> None:
    page = watched.page
    watched.app.go("Sentence", SENTENCE)
    page.locator(".st-key-sentence-from").get_by_text("Typed", exact=True).click()
    box = page.get_by_placeholder("Type a sentence")
    box.fill(text)
    box.press("Enter")
    watched.app.settle()


@in_both_schemes
def test_hostile_tokens_are_drawn_as_text(watched: Watched) -> None:
    type_sentence(watched, HOSTILE)
    page = watched.page
    page.locator(".st-key-units").get_by_text("words", exact=True).click()
    drawn = page.locator(".st-key-arcs svg text").all_text_contents()
    assert any("onerror" in text for text in drawn) and "great" in drawn
    assert page.locator("img[src=x]").count() == 0
    for name in ("Head view", "Model view"):
        frame = watched.view(name)
        assert frame.locator("img").count() == 0
        assert frame.locator("svg line").count() > 100
    ground, text = frame.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector"
        "('svg text')).fill]"
    )
    assert (
        brightness(ground) - brightness(text) > 150 or brightness(text) - brightness(ground) > 150
    )


def brightness(colour: str) -> float:
    """Mean of the three channels of rgb(…), 0 to 255."""
    return sum(int(part) for part in colour.strip("rgb()").split(",")[:3]) / 3


@in_both_schemes
def test_bertviz_names_every_token_and_layer(watched: Watched) -> None:
    watched.app.go("Sentence", SENTENCE)
    frame = watched.view("Head view")
    tokens = frame.locator("#left text").all_text_contents()
    assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]"
    layers = frame.locator("#layer option").all_text_contents()
    assert layers == [str(layer) for layer in range(6)]
    frame.locator("#layer").select_option("5")
    expect(frame.locator("svg #attention line")).to_have_count(12 * len(tokens) ** 2)


def test_a_click_switches_a_head_off_and_the_probability_moves(watched: Watched) -> None:
    watched.app.go("Sentence", SENTENCE)
    classifier, data = load_classifier(), sample_splits().evaluation
    found = contributions(classifier, data.texts[0])
    before = watched.page.locator("#answers").inner_text()
    assert "Here" not in before
    watched.app.click_head(3, 9, "contribution-map")
    after = watched.page.locator("#answers").inner_text()
    assert "Here, 71 of 72 heads" in after
    exact = softmax(found.removed_logits[3, 9])
    assert f"{100 * exact.max():.1f}%" in after
    assert watched.app.fact("heads") == "72 of 72 kept"
    watched.app.click_head(3, 9, "contribution-map")
    assert watched.page.locator("#answers").inner_text() == before


def softmax(logits: Any) -> Any:
    from scipy.special import softmax as of

    return of(logits.astype(float))


def test_heads_selected_on_the_map_are_drawn_below_the_words(watched: Watched) -> None:
    watched.app.go("Sentence", SENTENCE)
    page = watched.page
    page.locator(".st-key-click").get_by_text("selects", exact=True).click()
    watched.app.settle()
    watched.app.click_head(2, 0, "contribution-map")
    watched.app.click_head(2, 5, "contribution-map")
    legend = page.locator(".st-key-arcs .legendtext").all_text_contents()
    assert {"L2H0", "L2H5"} <= set(legend)
    watched.app.go("Workbench", ".st-key-head-map .nsewdrag")
    watched.app.expect_selected("L2H0", "L2H5")


def test_a_cell_of_the_relations_shows_examples_that_open(watched: Watched) -> None:
    watched.app.go("Roles", ROLES)
    page = watched.page
    area = page.locator(".st-key-wide-relation-map .nsewdrag").first
    area.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = area.bounding_box()
    assert box is not None
    rows = page.locator(".st-key-wide-relation-map .ytick").count()
    x, y = box["x"] + box["width"] * 20.5 / 72, box["y"] + box["height"] * 0.5 / rows
    page.mouse.move(x - 2, y - 2)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)
    page.mouse.click(x, y)
    watched.app.settle()
    expect(page.locator("h2.title", has_text="L1H8 and det")).to_be_visible()
    example = page.locator(".example").first.inner_text()
    page.locator("[class*=st-key-example-] button").first.click()
    page.locator(SENTENCE).first.wait_for()
    watched.app.settle()
    chosen = page.locator(".st-key-sentence-row input").input_value()
    assert chosen.partition(" · ")[2] == example.strip()
    assert page.locator(".st-key-sentence-from button[aria-checked=true]").inner_text() == (
        "Calibration"
    )


def test_a_narrow_screen_scrolls_figures_and_not_the_page(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    watched = Watched(page, address)
    for title, sign, wide in (
        ("Sentence", SENTENCE, "arcs"),
        ("Roles", ROLES, "relation-map"),
    ):
        watched.app.go(title, sign)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        held = page.locator(f".st-key-wide-{wide}")
        assert held.evaluate("element => element.scrollWidth > element.clientWidth")
    page.close()
    assert (watched.refused, watched.alerts, watched.faults) == ([], [], [])
