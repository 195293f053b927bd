"""Work survives in a real browser: a reload, a killed server, a second tab, a shared link."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.server import MortalServer
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(kept_results: dict[str, str]) -> Iterator[MortalServer]:
    """A server that every test may kill, if it starts it again."""
    found = MortalServer(kept_results)
    yield found
    found.kill()


@pytest.fixture(scope="module")
def hosted_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where a server that is not hosted would keep work."""
    return tmp_path_factory.mktemp("hosted")


@pytest.fixture(scope="module")
def hosted(kept_results: dict[str, str], hosted_home: Path) -> Iterator[MortalServer]:
    """The same for strangers, whose work it does not keep."""
    found = MortalServer(kept_results | {"BHPVAS_HOSTED": "1", "BHPVAS_HOME": str(hosted_home)})
    yield found
    found.kill()


def remove(workbench: Workbench, layer: int, head: int) -> None:
    workbench.click_head(layer, head)
    workbench.press("Remove 1 head")


def opened(browser: Browser, address: str, **options: Any) -> Workbench:
    """Another browser, which shares nothing with the first, at an address."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, **options).new_page()
    found = Workbench(page, address)
    found.open()
    found.settle()
    return found


def link_of(workbench: Workbench) -> str:
    """The address that the app offers to share."""
    page = workbench.page
    page.get_by_test_id("stSidebar").get_by_role("button", name="Link").click()
    text = page.get_by_test_id("stPopoverBody").get_by_test_id("stCode").inner_text()
    page.keyboard.press("Escape")
    return text.strip()


def test_a_reload_finds_scheme_selection_settings_and_page(workbench: Workbench) -> None:
    remove(workbench, 2, 5)
    workbench.choose("layer")
    workbench.click_head(4, 7)
    accuracy = workbench.fact("accuracy")
    workbench.page.reload()
    workbench.page.locator(".st-key-head-map .nsewdrag").first.wait_for()
    workbench.settle()
    workbench.expect_fact("heads", "71 of 72 kept")
    workbench.expect_fact("accuracy", accuracy)
    workbench.expect_selected(*(f"L4H{head}" for head in range(12)))
    pressed = workbench.page.locator(".st-key-pointer [aria-checked=true]")
    expect(pressed).to_have_text("layer")
    workbench.go("Schemes", ".st-key-tree-chart .main-svg")
    assert "work=" in workbench.page.url
    workbench.page.reload()
    workbench.page.locator(".st-key-tree-chart .main-svg").first.wait_for()
    workbench.settle()
    workbench.expect_fact("heads", "71 of 72 kept")


def test_a_killed_server_comes_back_with_everything(app: Workbench, server: MortalServer) -> None:
    page, workbench, app.address = app.page, app, server.address
    workbench.open()
    workbench.settle()
    remove(workbench, 2, 5)
    remove(workbench, 3, 1)
    accuracy = workbench.fact("accuracy")
    workbench.click_head(0, 0)
    # In mid-evaluation: what was asked and is not yet measured must not be lost either.
    page.get_by_role("button", name="Remove each of 70 heads alone and measure").click()
    cancel = page.get_by_role("button", name="Cancel")
    cancel.wait_for()
    server.kill()
    # The page finds the server again by itself, and the session that it lost.
    with workbench.drawn_by_the_next_server("Cancel"):
        server.start()
    cancel.click()
    expect(cancel).to_have_count(0)
    workbench.settle()
    workbench.expect_fact("heads", "70 of 72 kept")
    workbench.expect_fact("accuracy", accuracy)
    workbench.expect_selected("L0H0")
    workbench.click_head(1, 1)  # and none of the clicks before counts again
    workbench.expect_selected("L0H0", "L1H1")
    workbench.press("Undo")
    workbench.expect_fact("heads", "71 of 72 kept")
    workbench.settle()
    server.kill()
    # A page at rest, too, is drawn again without a click: else Save would lead nowhere.
    with workbench.drawn_by_the_next_server():
        server.start()
    assert workbench.saved().mask.kept_count == 71
    assert workbench.complaints() == []


def test_a_server_killed_while_the_page_was_being_drawn(page: Page, server: MortalServer) -> None:
    held = list[tuple[Route, APIResponse]]()
    # The code of download buttons arrives only when the server that they would ask is gone.
    page.route("**/DownloadButton*.js", lambda route: held.append((route, route.fetch())))
    workbench = Workbench(page, server.address)
    workbench.open()
    workbench.settle()
    page.get_by_test_id("stDataFrame").first.wait_for()
    assert held
    server.kill()
    page.locator("[data-test-connection-state=PINGING_SERVER]").wait_for()
    for route, answer in held:
        route.fulfill(response=answer)
    # An error in its place, unless some other part of the page has asked for the server before.
    failed = page.get_by_text("not connected to a server")
    failed.or_(page.get_by_role("button", name="Save", exact=True)).first.wait_for()
    with workbench.drawn_by_the_next_server():
        server.start()
    assert workbench.complaints() == []
    assert workbench.saved().mask.kept_count == 72


def test_a_server_killed_before_it_answers_to_a_link_to_another_page(
    app: Workbench, server: MortalServer
) -> None:
    page, workbench, app.address = app.page, app, server.address
    workbench.open()
    workbench.settle()
    remove(workbench, 2, 5)
    os.kill(server.process, signal.SIGSTOP)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Export", exact=True).click()
    page.wait_for_timeout(500)
    server.kill()
    with workbench.drawn_by_the_next_server():
        server.start()
    assert workbench.complaints() == []
    assert workbench.saved().mask.kept_count == 71


@pytest.mark.parametrize("kind", ["server", "hosted"])
def test_a_server_killed_when_it_has_just_begun_another_page(
    page: Page, request: pytest.FixtureRequest, kind: str
) -> None:
    server: MortalServer = request.getfixturevalue(kind)
    clicked, begun = threading.Event(), threading.Event()

    def until_begun(route: WebSocketRoute) -> None:
        """Hand nothing on to the page once it has been told that another one begins."""
        connected = route.connect_to_server()

        def hand_on(message: str | bytes) -> None:
            if not begun.is_set():
                route.send(message)
                assert isinstance(message, bytes)
                if clicked.is_set() and ForwardMsg.FromString(message).HasField("navigation"):
                    begun.set()

        connected.on_message(hand_on)

    page.route_web_socket("**/_stcore/stream", until_begun)
    workbench = Workbench(page, server.address)
    workbench.open()
    workbench.settle()
    remove(workbench, 2, 5)
    clicked.set()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Export", exact=True).click()
    page.wait_for_url(re.compile("/export"))
    server.kill()
    clicked.clear()
    begun.clear()
    with workbench.drawn_by_the_next_server():
        server.start()
    workbench.expect_fact("heads", "71 of 72 kept")
    assert workbench.complaints() == []


def test_two_tabs_on_one_work_keep_both(workbench: Workbench, browser: Browser) -> None:
    remove(workbench, 2, 5)
    other = opened(browser, workbench.page.url)
    remove(other, 0, 1)
    expect(other.page.get_by_text("copy of its own")).to_have_count(0)
    remove(workbench, 1, 1)
    address = workbench.page.url
    assert re.search("work=[0-9a-f]{12}", address)
    assert address != other.page.url
    for found, heads in ((workbench, "L1H1, L2H5"), (other, "L0H1, L2H5")):
        found.page.reload()
        found.page.locator(".st-key-head-map .nsewdrag").first.wait_for()
        found.settle()
        found.expect_fact("heads", "70 of 72 kept")
        assert found.complaints() == [], heads
    other.page.context.close()


def test_a_link_opens_page_scheme_and_sentence_in_a_fresh_browser(
    workbench: Workbench, browser: Browser
) -> None:
    remove(workbench, 2, 5)
    workbench.go("Sentence", ".st-key-arcs .main-svg")
    box = workbench.page.locator(".st-key-sentence-row").get_by_role("combobox")
    box.click()
    workbench.page.get_by_role("option").nth(4).click()
    workbench.settle()
    sentence = box.input_value()
    accuracy = workbench.fact("accuracy")
    link = link_of(workbench)
    assert "/sentence?" in link
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(300_000)
    other = Workbench(page, link)
    page.goto(link)
    page.locator(".st-key-arcs .main-svg").first.wait_for()
    other.settle()
    assert page.locator(".st-key-sentence-row").get_by_role("combobox").input_value() == sentence
    assert page.locator("#heads").text_content() == "71 of 72 kept"
    assert page.locator("#accuracy").text_content() == accuracy
    assert "link=" not in page.url
    page.context.close()


def test_a_bad_link_is_a_sentence_and_a_normal_session(app: Workbench) -> None:
    app.address += "/?link=%3Cscript%3E"
    app.open()
    app.settle()
    expect(app.page.get_by_role("alert")).to_contain_text("The link is damaged")
    app.expect_fact("heads", "72 of 72 kept")


def test_a_fresh_page_offers_the_latest_work(workbench: Workbench, browser: Browser) -> None:
    remove(workbench, 5, 5)
    fresh = opened(browser, workbench.address)
    offer = fresh.page.locator(".st-key-offers").get_by_role("button").first
    expect(offer).to_contain_text("1 head removed")
    offer.click()
    fresh.settle()
    fresh.expect_fact("heads", "71 of 72 kept")
    assert "work=" in fresh.page.url
    fresh.page.context.close()


def test_strangers_find_their_scheme_by_the_address_and_nothing_is_written(
    browser: Browser, hosted: MortalServer, hosted_home: Path
) -> None:
    mine = opened(browser, hosted.address)
    remove(mine, 2, 5)
    accuracy = mine.fact("accuracy")
    assert "link=" in mine.page.url
    hosted.kill()
    hosted.start()
    mine.page.reload()
    mine.page.locator(".st-key-head-map .nsewdrag").first.wait_for()
    mine.settle()
    mine.expect_fact("heads", "71 of 72 kept")
    mine.expect_fact("accuracy", accuracy)
    mine.page.context.close()
    assert list(hosted_home.iterdir()) == []
