"""The feed-forward column beside a head map: what is filled, crossed out, framed and said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.feed_forward import GAP, WIDE, FeedForward
from bhpvas.charts.head_map import head_map, size
from bhpvas.charts.kept_map import kept_map
from bhpvas.heads import HeadId, HeadMask
from bhpvas.neurons import NeuronSet

WIDTH = 16
VALUES = np.arange(12.0).reshape(3, 4)
#: Layer 0 keeps all, layer 1 lost 4, layer 2 all.
MASK = HeadMask.parse("L0H3", 3, 4).without_neurons(
    NeuronSet.of_layers(3, WIDTH, {1: range(4), 2: range(16)})
)
START = 4 - 0.5 + GAP


def trace(figure: go.Figure, name: str) -> Any:
    (found,) = [one for one in figure.data if one.name == name]
    return found


def drawn(mask: HeadMask = MASK, **given: Any) -> go.Figure:
    return head_map(VALUES, mask, feed_forward=FeedForward(WIDTH, **given))


def test_a_cell_is_filled_as_far_as_its_neurons_are_kept() -> None:
    figure = drawn()
    filled, ground = trace(figure, "neurons kept"), trace(figure, "neurons")
    assert list(filled.y) == [0, 1]
    assert filled.x == pytest.approx([WIDE, WIDE * 12 / 16])
    assert list(ground.y) == [0, 1, 2] and ground.x == pytest.approx([WIDE] * 3)
    assert filled.base == ground.base == START
    assert list(trace(figure, "neurons kept, in numbers").text) == ["16", "12"]
    assert list(trace(figure, "removed feed-forward").y) == [2]


def test_without_a_cost_it_has_the_colour_of_heads_that_are_kept() -> None:
    parts = FeedForward(WIDTH)
    of_kinds = head_map(VALUES, MASK, palette=style.KINDS, feed_forward=parts)
    of_kept = head_map(0 * VALUES, MASK, palette=(style.KEPT,), feed_forward=parts)
    colours = {
        style.PLAIN: (drawn(), of_kinds),
        style.KEPT: (of_kept, kept_map(MASK, feed_forward=parts)),
    }
    for colour, figures in colours.items():
        for figure in figures:
            assert trace(figure, "neurons kept").marker.color == colour


def test_neurons_that_the_model_never_had_have_no_ground() -> None:
    lacking = NeuronSet.of_layers(3, WIDTH, {0: range(4), 2: range(16)})
    mask = HeadMask(3, 4, pruned_neurons=lacking).without_neurons(
        NeuronSet.of_layers(3, WIDTH, {0: [4, 5]})
    )
    figure = drawn(mask)
    ground, filled = trace(figure, "neurons"), trace(figure, "neurons kept")
    assert list(ground.y) == [0, 1] and ground.x == pytest.approx([WIDE * 12 / 16, WIDE])
    assert filled.x == pytest.approx([WIDE * 10 / 16, WIDE])
    assert len(trace(figure, "removed feed-forward").y) == 0
    said = trace(figure, "feed-forward").text
    assert said[0] == "<b>L0F</b> 10 of 12 neurons, 4 not in this model"
    assert said[1] == "<b>L1F</b> 16 of 16 neurons"


def test_what_removal_costs_colours_what_is_kept_around_zero() -> None:
    """What is gone stretches no scale, and what is not known is coloured as kept."""
    figure = drawn(costs=np.array([-0.1, 0.4, 9.0]))
    filled = trace(figure, "neurons kept, by cost")
    assert list(filled.y) == [0, 1] and list(filled.marker.color) == [-0.1, 0.4]
    assert (filled.marker.cmin, filled.marker.cmax) == (-0.4, 0.4)
    assert filled.marker.reversescale is True  # red = a rise
    assert list(trace(figure, "neurons kept").y) == []
    half = drawn(costs=np.array([np.nan, 0.4, 9.0]))
    assert list(trace(half, "neurons kept").y) == [0]
    assert trace(half, "neurons kept").marker.color == style.PLAIN


def test_a_selected_part_is_framed_with_a_line_where_it_would_be_cut() -> None:
    frame = trace(drawn(chosen={1: 4, 0: 0}), "selected feed-forward")
    at = [(x, y) for x, y in zip(frame.x, frame.y, strict=True) if x is not None]
    assert len(at) == 2 * (5 + 2)
    assert [x for x, _ in at[5:7]] == pytest.approx([START, START])
    assert [x for x, _ in at[-2:]] == pytest.approx([START + WIDE / 4] * 2)
    assert np.mean([y for _, y in at[7:11]]) == pytest.approx(1)


def test_the_pointer_finds_every_layer_over_its_whole_cell() -> None:
    column = trace(drawn(hover=["a", "b", "c"]), "feed-forward")
    assert list(column.text) == ["a", "b", "c"] and column.textposition == "none"
    assert [list(one) for one in column.customdata] == [[0, 4], [1, 4], [2, 4]]
    assert column.x == pytest.approx([WIDE] * 3)
    middles = trace(drawn(), "middles of feed-forward parts")
    assert [list(one) for one in middles.customdata] == [[0, 4], [1, 4], [2, 4]]
    assert middles.x == pytest.approx([START + WIDE / 2] * 3)


@pytest.mark.parametrize("change", [False, True])
def test_the_heads_are_drawn_as_without_it(change: bool) -> None:
    """The column comes beside them: what is theirs stays, trace by trace, and in the same cells."""
    given: dict[str, Any] = {"title": "importance", "change": change}
    plain = json.loads(head_map(VALUES, MASK, [HeadId(1, 1)], **given).to_json())
    both = head_map(VALUES, MASK, [HeadId(1, 1)], **given, feed_forward=FeedForward(WIDTH))
    beside = json.loads(both.to_json())
    assert [one for one in beside["data"] if one in plain["data"]] == plain["data"]
    assert beside["data"][-1] == plain["data"][-1]
    cells = [one["layout"]["width"] - 102 for one in (plain, beside)]
    units = [np.ptp(one["layout"]["xaxis"]["range"]) for one in (plain, beside)]
    assert cells[0] / units[0] == pytest.approx(cells[1] / units[1], rel=0.01)
    assert plain["layout"]["height"] == beside["layout"]["height"]
    assert beside["layout"]["xaxis"]["ticktext"] == ["H0", "H1", "H2", "H3", "neurons"]


@pytest.mark.parametrize(("layers", "heads"), [(1, 2), (6, 12), (12, 12), (24, 16)])
def test_maps_with_the_column_fit_the_page(layers: int, heads: int) -> None:
    assert size(layers, heads, feed_forward=True)[0] <= 640
    assert size(layers, heads, feed_forward=True)[1] == size(layers, heads)[1]
