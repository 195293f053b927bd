"""Page of a report in a browser: every figure is drawn and saved, nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect


@pytest.fixture
def opened(browser: Browser, report) -> Page:
    """The file in a browser that refuses every request for anything else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text))
    page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    context.route(re.compile("^https?:"), lambda route: route.abort())
    page.goto(report[1].as_uri())
    page.locator("html[data-drawn]").wait_for()
    yield page
    assert page.locator("img").count() == 0
    outside = [one for one in asked if not one.startswith(("file:", "data:", "blob:"))]
    assert (outside, complaints) == ([], [])
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme_of_colours", ["light", "dark"])
def test_every_figure_is_drawn(opened: Page, page_of, width, scheme_of_colours):
    opened.set_viewport_size({"width": width, "height": 900})
    opened.emulate_media(color_scheme=scheme_of_colours)
    plots = opened.locator("figure.picture .plot")
    expect(plots).to_have_count(len(page_of.specs))
    opened.wait_for_function(
        "width => [...document.querySelectorAll('.plot')].every("
        "one => one.querySelector('.main-svg')?.clientWidth <= one.clientWidth + 1)",
        arg=width,
    )
    for plot in plots.all():
        box = plot.locator(".main-svg").first.bounding_box()
        assert box is not None and box["height"] > 40 and box["x"] + box["width"] <= width
        assert plot.locator(".trace, .hm, image").count() > 0
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    ink = opened.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill")
    bright = sum(map(int, re.findall(r"\d+", ink)[:3])) > 384
    assert bright == (scheme_of_colours == "dark")


@pytest.mark.browser
@pytest.mark.parametrize("format", ["svg", "png"])
def test_a_figure_is_saved(opened: Page, format, tmp_path):
    figure = opened.locator("#curves figure").first
    with opened.expect_download() as download:
        figure.get_by_role("button", name=format.upper()).click()
    assert download.value.suggested_filename == f"curves.{format}"
    content = Path(download.value.path()).read_bytes()
    if format == "svg":
        assert b"this scheme&#39;s order" in content or b"this scheme's order" in content
    else:
        assert content.startswith(b"\x89PNG")


@pytest.mark.browser
def test_a_figures_data_is_saved(opened: Page, page_of):
    with opened.expect_download() as download:
        opened.locator("#curves figure").first.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "curves.csv"
    saved = Path(download.value.path()).read_text(encoding="utf-8")
    assert saved == page_of.files["curves.csv"]
