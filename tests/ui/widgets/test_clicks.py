"""Clicks that come before the answer to the one before: each counts, and none undoes another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bhpvas.charts.feed_forward import GAP, WIDE, FeedForward
from bhpvas.charts.head_map import head_map
from bhpvas.heads import HeadId, HeadMask
from bhpvas.ui.widgets import clicks, synced


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Streamlit keeps of one browser."""
    state = dict[str, Any]()
    for module in (clicks, synced):
        monkeypatch.setattr(module.st, "session_state", state)
    return state


# --- clicks ---------------------------------------------------------------------------------------


def sent(state: dict[str, Any], *found: list[int]) -> None:
    state["clicks-map"] = SimpleNamespace(clicks=list(found))


def test_every_click_counts_once_however_often_it_is_sent(state: dict[str, Any]) -> None:
    state["clicks-map-taken"] = 0
    sent(state, [10, 0, 1])
    assert clicks._new("clicks-map") == [HeadId(0, 1)]
    sent(state, [10, 0, 1], [11, 2, 3], [14, 0, 1])
    assert clicks._new("clicks-map") == [HeadId(2, 3), HeadId(0, 1)]
    assert clicks._new("clicks-map") == []


def test_a_click_that_ends_the_first_run_counts_alone(state: dict[str, Any]) -> None:
    sent(state, [10, 0, 1], [11, 2, 3])
    assert clicks._new("clicks-map") == [HeadId(2, 3)]
    sent(state, [10, 0, 1], [11, 2, 3], [12, 1, 1])
    assert clicks._new("clicks-map") == [HeadId(1, 1)]


def test_a_message_that_was_overtaken_adds_nothing(state: dict[str, Any]) -> None:
    state["clicks-map-taken"] = 0
    sent(state, [10, 0, 1], [11, 2, 3])
    assert clicks._new("clicks-map") == [HeadId(0, 1), HeadId(2, 3)]
    sent(state, [10, 0, 1])
    assert clicks._new("clicks-map") == []
    sent(state, [10, 0, 1], [11, 2, 3], [12, 1, 1])
    assert clicks._new("clicks-map") == [HeadId(1, 1)]


def test_a_server_takes_no_click_that_the_one_before_has_answered(
    state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = list[dict[str, Any]]()

    def listener(**given: Any) -> SimpleNamespace:
        drawn.append(given)
        return SimpleNamespace(clicks=[[10, 0, 1], [11, 2, 3]])

    monkeypatch.setattr(clicks, "_listener", lambda: listener)
    taken = list[list[HeadId]]()
    figure = head_map(np.zeros((3, 4)), HeadMask(3, 4))
    clicks.clicks(figure, key="map", layers=3, heads=4, take=taken.append)
    sent(state, [10, 0, 1], [11, 2, 3], [15, 1, 2])
    drawn[0]["on_clicks_change"]()
    drawn[0]["on_clicks_change"]()
    assert taken == [[HeadId(1, 2)]]
    clicks.clicks(figure, key="map", layers=3, heads=4, take=taken.append)
    assert [one["data"]["taken"] for one in drawn] == [0, 15]


def test_the_listener_knows_where_the_feed_forward_parts_are(
    state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In cells from the left, of as many as the figure is wide."""
    drawn = list[dict[str, Any]]()

    def listener(**given: Any) -> SimpleNamespace:
        drawn.append(given["data"])
        return SimpleNamespace(clicks=[])

    monkeypatch.setattr(clicks, "_listener", lambda: listener)
    mask = HeadMask(3, 4)
    for parts in (None, FeedForward(16)):
        figure = head_map(np.zeros((3, 4)), mask, feed_forward=parts)
        column = None if parts is None else (4 + GAP, 4 + GAP + WIDE)
        take = list[list[HeadId]]().append
        clicks.clicks(figure, key="map", layers=3, heads=4, take=take, column=column)
    assert [one["across"] for one in drawn] == [4, pytest.approx(4 + GAP + WIDE)]
    assert drawn[1]["column"][1] == pytest.approx(drawn[1]["across"])


# --- synced widgets -------------------------------------------------------------------------------


def test_what_a_person_changes_keeps_the_widget(state: dict[str, Any]) -> None:
    key = synced.key_of("heads", ["L0H1"])
    assert synced.changed(key, ["L0H1", "L0H2"]) == {"L0H2"}
    assert synced.key_of("heads", ["L0H1", "L0H2"]) == key
    assert synced.changed(key, ["L0H2"]) == {"L0H1"}
    assert synced.key_of("heads", ["L0H2"]) == key


def test_a_widget_is_set_only_where_it_shows_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is set, Streamlit sends to the browser, over what was typed there meanwhile."""
    written: list[tuple[str, Any]] = []

    class State(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            written.append((key, value))
            super().__setitem__(key, value)

    monkeypatch.setattr(synced.st, "session_state", State())
    for value in ("", "", "why", "why", None, None):
        synced.hold("note", value)
    assert written == [("note", ""), ("note", "why"), ("note", None)]


def test_what_changed_elsewhere_needs_a_new_widget(state: dict[str, Any]) -> None:
    key = synced.key_of("heads", [])
    assert synced.key_of("heads", []) == key
    assert synced.key_of("heads", ["L0H1"]) != key


def test_a_widget_with_other_rows_is_another_one(state: dict[str, Any]) -> None:
    key = synced.key_of("ranked", ["L0H1"], about=("L0H1", "L0H2"))
    assert synced.key_of("ranked", ["L0H1"], about=("L0H2", "L0H1")) != key


def test_a_widget_that_says_what_it_was_shown_with_changes_nothing(state: dict[str, Any]) -> None:
    """The table that stood there two clicks ago comes along with the third."""
    keys = [synced.key_of("ranked", shown) for shown in ([], ["L0H1"], ["L0H1", "L0H2"])]
    assert len(set(keys)) == 3
    assert not synced.changed(keys[0], [])
    assert not synced.changed(keys[1], ["L0H1"])


def test_a_tick_in_a_widget_that_is_out_of_date_is_that_tick_alone(state: dict[str, Any]) -> None:
    key = synced.key_of("ranked", ["L0H1"])
    synced.key_of("ranked", ["L0H1", "L5H5"])  # a click on the map, on its way to the browser
    assert synced.changed(key, ["L0H1", "L2H2"]) == {"L2H2"}


def test_two_quick_ticks_are_two(state: dict[str, Any]) -> None:
    key = synced.key_of("ranked", [])
    assert synced.changed(key, ["L0H1"]) == {"L0H1"}
    assert synced.changed(key, ["L0H1", "L0H2"]) == {"L0H2"}


def test_what_is_remembered_of_widgets_is_bounded(state: dict[str, Any]) -> None:
    for number in range(500):
        synced.key_of("ranked", [str(number)])
    assert len(synced._mine().shown) == synced._KEPT
