"""Sentence and Roles in a real browser, which may ask no other host for anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Frame, expect

from bhpvas.data.reading import sample_splits
from bhpvas.interpret.sentence import contributions
from bhpvas.model.classifier import load_classifier
from tests.browser.watching import by_itself
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=alert(1)> made <b>this</b> film great ."
SENTENCE, ROLES = ".st-key-arcs .main-svg", ".st-key-role-map .main-svg"


@pytest.fixture
def sample(app: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """The app, settled on the sample; it may ask no other host for anything, and open no dialog."""
    app.page.emulate_media(color_scheme=getattr(request, "param", "light"))
    with by_itself(app):
        app.open()
        app.settle()
        yield app
        assert app.complaints() == []


def bertviz(app: Workbench, name: str) -> Frame:
    """One of bertviz's views, drawn."""
    app.page.locator(".st-key-bertviz").get_by_text(name, exact=True).click()
    app.settle()
    handle = app.page.locator(".st-key-bertviz-frame iframe").element_handle()
    frame = handle.content_frame()
    assert frame is not None
    frame.locator("svg line").first.wait_for(state="attached")
    return frame


#: For what chooses its colours itself, as the frame of bertviz does.
in_both_schemes = pytest.mark.parametrize("sample", ["light", "dark"], indirect=True)


def type_sentence(app: Workbench, text: str) -> None:
    page = app.page
    app.go("Sentence", SENTENCE)
    page.locator(".st-key-sentence-from").get_by_text("Typed", exact=True).click()
    box = page.get_by_placeholder("Type a sentence")
    box.fill(text)
    box.press("Enter")
    app.settle()


@in_both_schemes
def test_hostile_tokens_are_drawn_as_text(sample: Workbench) -> None:
    type_sentence(sample, HOSTILE)
    page = sample.page
    page.locator(".st-key-units").get_by_text("words", exact=True).click()
    drawn = page.locator(".st-key-arcs svg text").all_text_contents()
    assert any("onerror" in text for text in drawn) and "great" in drawn
    assert page.locator("img[src=x]").count() == 0
    for name in ("Head view", "Model view"):
        frame = bertviz(sample, name)
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
def test_bertviz_names_every_token_and_layer(sample: Workbench) -> None:
    sample.go("Sentence", SENTENCE)
    frame = bertviz(sample, "Head view")
    tokens = frame.locator("#left text").all_text_contents()
    assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]"
    layers = frame.locator("#layer option").all_text_contents()
    assert layers == [str(layer) for layer in range(6)]
    frame.locator("#layer").select_option("5")
    expect(frame.locator("svg #attention line")).to_have_count(12 * len(tokens) ** 2)


def test_a_click_switches_a_head_off_and_the_probability_moves(sample: Workbench) -> None:
    sample.go("Sentence", SENTENCE)
    classifier, data = load_classifier(), sample_splits().evaluation
    found = contributions(classifier, data.texts[0])
    before = sample.page.locator("#answers").inner_text()
    assert "Here" not in before
    sample.click_head(3, 9, "contribution-map")
    after = sample.page.locator("#answers").inner_text()
    assert "Here, 71 of 72 heads" in after
    exact = softmax(found.removed_logits[3, 9])
    assert f"{100 * exact.max():.1f}%" in after
    assert sample.fact("heads") == "72 of 72 kept"
    sample.click_head(3, 9, "contribution-map")
    assert sample.page.locator("#answers").inner_text() == before


def softmax(logits: Any) -> Any:
    from scipy.special import softmax as of

    return of(logits.astype(float))


def test_heads_selected_on_the_map_are_drawn_below_the_words(sample: Workbench) -> None:
    sample.go("Sentence", SENTENCE)
    page = sample.page
    page.locator(".st-key-click").get_by_text("selects", exact=True).click()
    sample.settle()
    sample.click_head(2, 0, "contribution-map")
    sample.click_head(2, 5, "contribution-map")
    legend = page.locator(".st-key-arcs .legendtext").all_text_contents()
    assert {"L2H0", "L2H5"} <= set(legend)
    sample.go("Workbench", ".st-key-head-map .nsewdrag")
    sample.expect_selected("L2H0", "L2H5")


def test_a_cell_of_the_relations_shows_examples_that_open(sample: Workbench) -> None:
    sample.go("Roles", ROLES)
    page = sample.page
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
    sample.settle()
    expect(page.locator("h2.title", has_text="L1H8 and det")).to_be_visible()
    example = page.locator(".example").first.inner_text()
    page.locator("[class*=st-key-example-] button").first.click()
    page.locator(SENTENCE).first.wait_for()
    sample.settle()
    chosen = page.locator(".st-key-sentence-row input").input_value()
    assert chosen.partition(" · ")[2] == example.strip()
    assert page.locator(".st-key-sentence-from button[aria-checked=true]").inner_text() == (
        "Calibration"
    )


def test_a_narrow_screen_scrolls_figures_and_not_the_page(app: Workbench) -> None:
    page = app.page
    page.set_viewport_size({"width": 390, "height": 844})
    with by_itself(app):
        app.open()
        app.settle()
        for title, sign, wide in (
            ("Sentence", SENTENCE, "arcs"),
            ("Roles", ROLES, "relation-map"),
        ):
            app.go(title, sign)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            held = page.locator(f".st-key-wide-{wide}")
            assert held.evaluate("element => element.scrollWidth > element.clientWidth")
